"""An HTTPS server on the loopback interface, whose authority nobody else knows."""

import functools
import http.server
import shutil
import ssl
import subprocess
import threading


class Site:
    """A release, and a mirror of packages, as the world would see them."""

    def __init__(self, work, release, version, mirror):
        self.release, self.version = release, version
        self.www = work / "www"
        self.www.mkdir()
        (self.www / "mirror").symlink_to(mirror)
        self.certificate, both = make_authority(work)
        handler = functools.partial(Quiet, directory=str(self.www))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # What busybox's own TLS speaks too.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(both)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.base = f"https://127.0.0.1:{self.server.server_address[1]}"
        self.script = f"{self.base}/v{version}/install.sh"
        self.restore()

    def close(self):
        self.server.shutdown()

    def restore(self):
        """Serves the release as it is."""
        shutil.rmtree(self.www / f"v{self.version}", ignore_errors=True)
        shutil.copytree(self.release, self.www / f"v{self.version}")

    def file(self, name):
        """A file that is served, to be changed."""
        return self.www / f"v{self.version}" / name

    def text(self):
        return self.file("install.sh").read_text()

    def environment(self):
        """What tells a user's tools where this world is."""
        return {
            "SSL_CERT_FILE": "/etc/authority.pem",
            "ELSEWHERE_DOWNLOAD_BASE": self.base,
            "ELSEWHERE_MIRROR": f"{self.base}/mirror",
        }


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


def make_authority(work):
    """An authority's certificate, and a server's key with the certificate that it gave."""
    authority, server = work / "authority", work / "server"
    authority.mkdir()
    server.mkdir()
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made = new + ["-subj", "/CN=dist check's authority", "-addext", "basicConstraints=critical,CA:TRUE"]
    made += ["-keyout", authority / "key", "-out", authority / "certificate"]
    subprocess.run(made, check=True, capture_output=True)
    made = new + ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made += ["-addext", "basicConstraints=critical,CA:FALSE"]
    made += ["-CA", authority / "certificate", "-CAkey", authority / "key"]
    made += ["-keyout", server / "key", "-out", server / "certificate"]
    subprocess.run(made, check=True, capture_output=True)
    both = server / "both"
    both.write_text((server / "key").read_text() + (server / "certificate").read_text())
    return authority / "certificate", both
