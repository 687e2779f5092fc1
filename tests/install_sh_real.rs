//! `install.sh` under every shell, with each tool that fetches, and over HTTPS with an authority of
//! its own. Needs real tools: a missing one is a failure that names its Debian package.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod bootstrap;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bootstrap::{Release, TOOLS, VERSION, script, template};

/// Name for messages, program, name under which it is started, Debian package.
const SHELLS: [(&str, &str, &str, &str); 8] = [
    ("dash", "dash", "dash", "dash"),
    ("bash", "bash", "bash", "bash"),
    ("bash --posix", "bash", "sh", "bash"),
    ("busybox ash", "busybox", "ash", "busybox"),
    ("ksh93", "ksh", "ksh", "ksh"),
    ("mksh", "mksh", "mksh", "mksh"),
    ("yash", "yash", "yash", "yash"),
    ("yash as sh", "yash", "sh", "yash"),
];

/// Serves the directory `$1` over HTTPS with the key and certificate in `$2`; prints its port.
const SERVER: &str = r#"
import functools, http.server, ssl, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=sys.argv[1]))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_2
# What busybox's own TLS speaks too.
context.set_ciphers("ALL:@SECLEVEL=0")
context.load_cert_chain(sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

/// A program's path, or a failure that says what to install.
fn tool(name: &str, package: &str) -> String {
    let found = ["/bin", "/usr/bin"].map(|directory| format!("{directory}/{name}"));
    let found = found.into_iter().find(|path| Path::new(path).exists());
    found.unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
}

/// An HTTPS server on the loopback interface, ended when dropped.
struct Https {
    child: Child,
    base: String,
}

impl Https {
    /// Serves `release`'s `www`, with a new authority whose certificate is `ca.pem`.
    fn start(release: &Release) -> Self {
        tool("openssl", "openssl");
        let pem = release.path("server.pem");
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
        openssl.args(["-subj", "/CN=a test", "-addext", "subjectAltName=IP:127.0.0.1"]);
        openssl.args(["-keyout", &pem, "-out", &release.path("ca.pem")]);
        assert!(openssl.output().unwrap().status.success());
        let certificate = fs::read_to_string(release.path("ca.pem")).unwrap();
        let key = fs::read_to_string(&pem).unwrap();
        fs::write(&pem, key + &certificate).unwrap();
        let mut python = Command::new(tool("python3", "python3"));
        python.args(["-c", SERVER, &release.path("www"), &pem]).stdout(Stdio::piped());
        let mut child = python.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { child, base: format!("https://127.0.0.1:{}", port.trim()) }
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A release whose mirror is also served, at `www/vVERSION`.
fn served() -> (Release, Https) {
    let release = Release::new();
    fs::create_dir(release.root.join("www")).unwrap();
    symlink("../mirror", release.root.join(format!("www/v{VERSION}"))).unwrap();
    let https = Https::start(&release);
    (release, https)
}

/// The environment in which only `tools` are there, and the server's authority is known.
fn environment(release: &Release, name: &str, tools: &[&str]) -> BTreeMap<&'static str, String> {
    let mut environment = release.environment();
    environment.insert("PATH", release.tools(name, &[&TOOLS[..], tools].concat()));
    environment.insert("SSL_CERT_FILE", release.path("ca.pem"));
    environment
}

#[test]
fn a_run_that_is_stopped_says_so_in_every_shell() {
    for (shown, program, name, package) in SHELLS {
        let release = Release::new();
        let shell = release.path(name);
        symlink(tool(program, package), &shell).unwrap();
        release.write_program("fake/curl", "#!/bin/sh\nexec /bin/sleep 20\n");
        let mut environment = release.environment();
        environment.insert("PATH", format!("{}:{}", release.path("fake"), environment["PATH"]));
        for (signal, status) in [("HUP", 129), ("INT", 130), ("TERM", 143)] {
            let stop = ["/usr/bin/timeout", "--preserve-status", "--signal", signal, "1", &shell];
            let run = release.run_with(&stop, &["p"], &environment);
            assert_eq!(run.status, status, "{shown}, {signal}: {}", run.stderr);
            assert_eq!(release.leftovers(), 0, "{shown}, {signal}");
        }
    }
}

#[test]
fn every_shell_does_the_same() {
    for (shown, program, name, package) in SHELLS {
        println!("under {shown}");
        let release = Release::new();
        let shell = release.path(name);
        symlink(tool(program, package), &shell).unwrap();
        // With the umask that hides most.
        let run_at = |home: Option<&str>, words: &[&str]| {
            let inner = "umask 077; exec \"$0\" -s -- \"$@\"";
            let mut command = Command::new("/bin/sh");
            command.args(["-c", inner, &shell]).args(words).current_dir(&release.root);
            command.env_clear().envs(release.environment()).env_remove("HOME");
            command.envs(home.map(|home| ("HOME", home)));
            release.finish(command, &fs::read(release.root.join("install.sh")).unwrap())
        };
        let home = release.path("home");
        let run = |words: &[&str]| run_at(Some(&home), words);
        let installed = run(&["-e", "--from", "mirror", "-d", "el 9", "", "a*"]);
        assert_eq!(installed.status, 0, "{shown}: {}", installed.stderr);
        assert_eq!(installed.words(), ["install", "-e", "-d", "el 9", "", "a*"], "{shown}");
        for home in [None, Some(""), Some("/dev/null")] {
            let homeless = run_at(home, &["--from", "mirror", "p"]);
            assert_eq!(homeless.status, 0, "{shown}, {home:?}: {}", homeless.stderr);
            assert!(homeless.noted("cache").starts_with(&release.path("tmp")), "{shown}, {home:?}");
            run_at(home, &["--from", "mirror"]).refused("ELSEWHERE_INSTALL_DIR");
        }
        let alone = run(&["--from", "mirror"]);
        assert_eq!(alone.status, 0, "{shown}: {}", alone.stderr);
        let program = release.root.join("home/.local/bin/elsewhere");
        assert_eq!(fs::metadata(program).unwrap().permissions().mode() & 0o777, 0o755, "{shown}");
        assert!(run(&["-h"]).stdout.contains("installpath"), "{shown}");
        run(&["--from", "home", "p"]).refused("home has no elsewhere-");
        for arch in elsewhere::stages::model::Arch::ALL {
            release.write(&format!("mirror/elsewhere-{VERSION}-{arch}"), "changed");
        }
        run(&["--from", "mirror", "p"]).refused("what was fetched is not elsewhere");
        assert_eq!(release.leftovers(), 0, "{shown}");
    }
}

#[test]
fn no_shell_runs_anything_of_a_cut_download() {
    let whole = script(VERSION, &"0".repeat(64)).into_bytes();
    let complete = whole.len() - 1;
    for (shown, program, name, package) in SHELLS {
        let release = Release::new();
        let shell = release.path(name);
        symlink(tool(program, package), &shell).unwrap();
        for length in (0..complete).filter(|length| length % 211 == 0 || length + 30 > complete) {
            let mut command = Command::new(&shell);
            command.arg("-s").env_clear().env("PATH", "/nowhere");
            let cut = release.finish(command, &whole[..length]);
            let ran = cut.stderr.contains("install.sh:") || cut.stderr.contains("not found");
            assert!(!ran && cut.stdout.is_empty(), "{shown} cut to {length}: {}", cut.stderr);
        }
    }
}

#[test]
fn either_tool_fetches_over_https() {
    let (release, https) = served();
    for fetcher in ["curl", "wget"] {
        tool(fetcher, fetcher);
        let mut known = environment(&release, fetcher, &[fetcher, "sha256sum"]);
        // The first base is a place where nothing is.
        let bases = format!("{}/nowhere {}", https.base, https.base);
        known.insert("ELSEWHERE_DOWNLOAD_BASE", bases);
        let run = release.run_with(&["/bin/sh"], &["p"], &known);
        assert_eq!(run.status, 0, "{fetcher}: {}", run.stderr);
        assert_eq!(run.words(), ["install", "p"]);
        let mut unknown = known.clone();
        unknown.remove("SSL_CERT_FILE");
        let refused = release.run_with(&["/bin/sh"], &["p"], &unknown);
        refused.refused("cannot fetch elsewhere-9.8.7-");
        assert!(refused.stderr.contains("certificate"), "{fetcher}: {}", refused.stderr);
        let words = ["--from", &https.base, "p"];
        release.run_with(&["/bin/sh"], &words, &known).refused("has no elsewhere-");
        let from = format!("{}/v{VERSION}/", https.base);
        let run = release.run_with(&["/bin/sh"], &["--from", &from, "p"], &known);
        assert_eq!((run.status, run.noted("mirror")), (0, from.trim_end_matches('/')));
    }
    assert_eq!(release.leftovers(), 0);
}

#[test]
fn busybox_alone_will_do() {
    let (release, https) = served();
    let busybox = tool("busybox", "busybox");
    let applets = release.root.join("applets");
    fs::create_dir(&applets).unwrap();
    for applet in ["sh", "wget", "sha256sum", "sleep"].iter().chain(&TOOLS) {
        symlink(&busybox, applets.join(applet)).unwrap();
    }
    let mut environment = release.environment();
    environment.insert("PATH", release.path("applets"));
    environment.insert("ELSEWHERE_DOWNLOAD_BASE", https.base.clone());
    let shell = release.path("applets/sh");
    let run = release.run_with(&[&shell], &["p"], &environment);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(run.words(), ["install", "p"]);
    // Its wget believes any server: what counts is the checksum.
    for arch in elsewhere::stages::model::Arch::ALL {
        release.write(&format!("mirror/elsewhere-{VERSION}-{arch}"), "#!/bin/sh\n");
    }
    release.run_with(&[&shell], &["p"], &environment).refused("what was fetched is not");
}

/// Runs `inner` by `sh` in new user and mount namespaces, `install.sh` being its input.
fn in_namespace(release: &Release, inner: &str) -> bootstrap::Outcome {
    let mut command = Command::new(tool("unshare", "util-linux"));
    command.args(["-Urm", "sh", "-c", inner]).current_dir(&release.root);
    command.env_clear().envs(release.environment());
    release.finish(command, &fs::read(release.root.join("install.sh")).unwrap())
}

#[test]
fn a_noexec_mount_and_a_home_that_is_read_only_do_not_matter() {
    let release = Release::new();
    let noexec = "mount -t tmpfs -o noexec none tmp && exec sh -s -- --from mirror p";
    let run = in_namespace(&release, noexec);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(!run.noted("program").starts_with(&release.path("tmp")), "{}", run.log);
    let read_only = "mount -t tmpfs -o ro none home && exec sh -s -- --from mirror";
    let run = in_namespace(&release, &format!("{read_only} p"));
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(run.noted("cache").starts_with(&release.path("tmp")), "{}", run.log);
    in_namespace(&release, read_only).refused("name another one in ELSEWHERE_INSTALL_DIR");
}

#[test]
fn an_ordinary_user_needs_nothing_of_root() {
    let release = Release::new();
    for directory in ["", "home", "tmp"] {
        let path = release.root.join(directory);
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut command = Command::new(tool("setpriv", "util-linux"));
    if Command::new("id").arg("-u").output().unwrap().stdout == b"0\n" {
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    command.args(["sh", "-s", "--", "--from", "mirror", "p"]).current_dir(&release.root);
    command.env_clear().envs(release.environment());
    let run = release.finish(command, &fs::read(release.root.join("install.sh")).unwrap());
    assert_eq!(run.words(), ["install", "p"], "{}", run.stderr);
}

#[test]
fn the_architecture_is_that_of_the_shells_file() {
    // ELF headers: class, byte order, machine.
    for (arch, class, order, machine) in [
        ("x86_64", 2, 1, [0x3e, 0]),
        ("aarch64", 2, 1, [0xb7, 0]),
        ("ppc64le", 2, 1, [0x15, 0]),
        ("s390x", 2, 2, [0, 0x16]),
    ] {
        let release = Release::new();
        let mut header = vec![0x7f, b'E', b'L', b'F', class, order];
        header.resize(18, 0);
        header.extend(machine);
        fs::write(release.root.join("sh"), header).unwrap();
        let path = release.path("sh").replace(' ', "\\ ");
        let text = script(VERSION, &"0".repeat(64)).replace("/bin/sh)", &format!("{path})"));
        release.write("install.sh", &text);
        let run = release.run(&["--from", "mirror", "p"]);
        run.refused("what was fetched is not");
        assert!(
            run.stderr.contains(&format!("mirror/elsewhere-{VERSION}-{arch}\n")),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn no_release_is_built_without_the_key_that_programs_know() {
    tool("python3", "python3");
    tool("minisign", "minisign");
    let mut build = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/build"));
    // Nobody's key.
    build.env("MINISIGN_SECRET_KEY", "/dev/null");
    let output = build.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let has_key = elsewhere::stages::release::PINNED_KEY.lines().count() > 1;
    let why = if has_key { "does not sign for" } else { "holds no key yet" };
    assert!(told.contains(why), "{told}");
}

#[test]
fn shellcheck_finds_nothing() {
    let release = Release::new();
    release.write("install.sh", &template());
    let shellcheck = tool("shellcheck", "shellcheck");
    let output = Command::new(shellcheck).arg(release.root.join("install.sh")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
