"""Installs with each program of a release, under qemu-user where it is for another processor.

Uses the mirror of real programs that `make demo` builds in target/el-mirror/default: x86_64 and
aarch64, el8. Every program must make the same trees, byte for byte.
"""

import functools
import hashlib
import http.server
import os
import platform
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

QEMU = {"x86_64": "x86_64", "aarch64": "aarch64", "ppc64le": "ppc64le", "s390x": "s390x"}
INSTALL = ["install", "-d", "el8", "-r", "crun,charliecloud", "-a", "x86_64,aarch64"]


def check(root, release, version, programs):
    """Checks every program; ends the process at the first that fails."""
    mirror = Path(os.environ.get("EL_MIRROR") or root / "target/el-mirror/default")
    if not (mirror / "repos").is_dir():
        sys.exit(f"there is no mirror at {mirror}: make demo builds one, EL_MIRROR names another")
    work = Path(tempfile.mkdtemp(prefix="dist-check."))
    try:
        seen = {}
        for arch, program in programs.items():
            says_version(arch, program, version)
            prefix = work / f"made by {arch}"
            installs(arch, program, mirror, prefix, work / f"cache-{arch}")
            seen[arch] = digest_of(prefix)
            print(f"{arch}: installs; its trees are {seen[arch][:16]}", flush=True)
        if len(set(seen.values())) != 1:
            sys.exit(f"programs make different trees: {seen}")
        if platform.machine() in programs:
            empty_root(programs[platform.machine()], mirror, work / "empty")
            whole_line(release, version, mirror, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def runner(arch):
    return [] if arch == platform.machine() else [f"qemu-{QEMU[arch]}"]


def environment(cache, **more):
    """No variable of the caller but PATH; a fixed time, so that receipts are equal."""
    fixed = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1000000000"}
    return {**fixed, "XDG_CACHE_HOME": str(cache), **more}


def says_version(arch, program, version):
    command = [*runner(arch), program, "--version"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    if said != f"elsewhere {version}":
        sys.exit(f"{program.name} --version says {said!r}")


def installs(arch, program, mirror, prefix, cache):
    sources = ["--mirror", mirror / "mirror", "--repos", mirror / "repos"]
    command = [*runner(arch), program, *INSTALL, *sources, prefix]
    subprocess.run(command, check=True, env=environment(cache), stdout=subprocess.DEVNULL)
    kept = prefix / ".elsewhere/program" / arch / "elsewhere"
    if kept.read_bytes() != program.read_bytes():
        sys.exit(f"{kept} is not the program")
    if not runner(arch):
        command = [prefix / "bin/elsewhere", "status", prefix]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def digest_of(prefix):
    """One digest of names, modes, links and contents of all that a program makes for everybody."""
    digest = hashlib.sha256()
    for part in ["bin", "x86_64/", "aarch64/"]:
        for directory, directories, files in os.walk(prefix / part):
            directories.sort()
            for name in sorted(directories + files):
                path = Path(directory) / name
                content = b""
                if path.is_symlink():
                    content = os.readlink(path).encode()
                elif path.is_file():
                    content = path.read_bytes()
                mode = path.lstat().st_mode
                digest.update(f"{path.relative_to(prefix)} {mode:o} {len(content)}\n".encode())
                digest.update(content)
    return digest.hexdigest()


def empty_root(program, mirror, root):
    """Installs where there is nothing: no libc, no shell, no certificates."""
    for name in ["mirror", "proc", "tmp"]:
        (root / name).mkdir(parents=True)
    shutil.copy(program, root / "elsewhere")
    foreign = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    inner = f"mount --rbind '{mirror}' '{root}/mirror' && exec chroot '{root}' " + (
        f"/elsewhere install -d el8 -r crun -a {foreign} --mirror /mirror/mirror "
        "--repos /mirror/repos --cache-dir /tmp/cache /tmp/prefix"
    )
    command = ["unshare", "-Urm", "sh", "-c", inner]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print("installs in an empty root", flush=True)


def whole_line(release, version, mirror, work):
    """`curl … | sh -s -- …` from an HTTPS server whose authority nobody else knows."""
    certificate, both = make_authority(work)
    www = work / "www"
    www.mkdir()
    (www / f"v{version}").symlink_to(release)
    (www / "mirror").symlink_to(mirror / "mirror")
    handler = functools.partial(Quiet, directory=str(www))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"https://127.0.0.1:{server.server_address[1]}"
    words = f"-d el8 -r crun --repos '{mirror}/repos' '{work}/by the line'"
    line = f"curl -fsSL {base}/v{version}/install.sh | sh -s -- {words}"
    variables = environment(
        work / "cache-line",
        SSL_CERT_FILE=str(certificate),
        ELSEWHERE_DOWNLOAD_BASE=base,
        ELSEWHERE_MIRROR=f"{base}/mirror",
    )
    subprocess.run(["sh", "-c", line], check=True, env=variables, stdout=subprocess.DEVNULL)
    subprocess.run([work / "by the line/bin/crun", "--version"], check=True)
    variables.pop("SSL_CERT_FILE")
    program = release / f"elsewhere-{version}-{platform.machine()}"
    again = [program, "install", "-d", "el8", "-r", "crun", "--repos", mirror / "repos", work / "x"]
    refused = subprocess.run(again, env=variables, capture_output=True, text=True)
    if refused.returncode != 3 or "ertificate" not in refused.stderr:
        sys.exit(f"a server of an unknown authority is not refused: {refused}")
    server.shutdown()
    print("the whole line works over HTTPS", flush=True)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_):
        pass


def make_authority(work):
    key, certificate, both = work / "key.pem", work / "ca.pem", work / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=dist check", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return certificate, both
