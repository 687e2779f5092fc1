//! The way to the network as users set it: passwords, proxies, certificates, time-outs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

mod gateway;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gateway::Gateway;
use support::server::{Fault, Server};
use support::tiny::{TOOL, Tiny, text};

/// What must never be seen.
const SECRET: &str = "s3cret-w0rd";

/// `ann:s3cret-w0rd` as HTTP has it.
const BASIC: &str = "basic yw5uonmzy3jldc13mhjk";

/// A mirror behind a server.
struct World {
    tiny: Tiny,
    server: Server,
}

impl World {
    fn new(test: &str) -> Self {
        let tiny = Tiny::with(test, &["2.0.0"]);
        let server = Server::start(tiny.mirror());
        Self { tiny, server }
    }

    fn upstream(&self) -> String {
        self.server.url().trim_start_matches("http://").to_owned()
    }

    /// Plans from `mirror` with these variables: the exit status, and all that was printed, which
    /// tells as much as it can, and no secret.
    fn plan(&self, mirror: &str, variables: &[(&str, &str)]) -> (i32, String) {
        let mut command = self.tiny.elsewhere_from("plan", mirror);
        command.args(TOOL).args(["-e", "--verbose"]).envs(variables.iter().copied());
        let output = command.output().unwrap();
        let told = text(&output.stdout) + &text(&output.stderr);
        assert!(!told.contains(SECRET) && !told.to_lowercase().contains(BASIC), "{told}");
        (output.status.code().unwrap(), told)
    }

    fn works(&self, mirror: &str, variables: &[(&str, &str)]) {
        let (status, told) = self.plan(mirror, variables);
        assert_eq!(status, 0, "{told}");
    }

    fn fails(&self, mirror: &str, variables: &[(&str, &str)], parts: &[&str]) {
        let (status, told) = self.plan(mirror, variables);
        assert_eq!(status, 3, "{told}");
        for part in parts {
            assert!(told.contains(part), "{part:?} is not in:\n{told}");
        }
    }

    /// A `.netrc` with ann's password for a machine.
    fn netrc(&self, machine: &str) -> String {
        let text = format!("machine {machine}\n  login ann\n  password {SECRET}\n");
        self.tiny.scratch.write("netrc", text).to_string_lossy().into_owned()
    }

    fn configure(&self, text: &str) {
        self.tiny.scratch.write("home/.config/elsewhere/config.toml", text);
    }
}

fn authority() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network/authority")
}

#[test]
fn a_password_goes_to_the_host_that_netrc_names() {
    let world = World::new("network-netrc");
    let gateway = Gateway::plain(&world.upstream());
    let mirror = format!("http://127.0.0.1:{}", gateway.port);
    let seen = || {
        let heads = gateway.heads();
        let with = heads.iter().filter(|head| head.contains(BASIC)).count();
        assert!(with == 0 || with == heads.len(), "{heads:?}");
        !heads.is_empty() && with > 0
    };
    world.works(&mirror, &[("NETRC", &world.netrc("localhost"))]);
    assert!(!seen());
    world.works(&mirror, &[("NETRC", "/nonexistent")]);
    assert!(!seen());
    let gateway = Gateway::plain(&world.upstream());
    let mirror = format!("http://127.0.0.1:{}", gateway.port);
    // Where nothing names a file, it is the one at home.
    std::fs::rename(world.netrc("127.0.0.1"), world.tiny.scratch.write("home/.netrc", "")).unwrap();
    world.works(&mirror, &[]);
    assert!(gateway.heads().iter().all(|head| head.contains(BASIC)), "{:?}", gateway.heads());
    // A refusal is told, without what was refused.
    world.server.fault("repomd.xml", Fault::status(401, usize::MAX));
    world.fails(&mirror, &[], &["401"]);
}

#[test]
fn a_redirect_does_not_carry_a_password_to_another_host_or_port() {
    let world = World::new("network-redirect");
    for name in ["localhost", "127.0.0.1"] {
        let other = Gateway::plain(&world.upstream());
        let sending = Server::start("/nonexistent");
        let first = Gateway::plain(sending.url().trim_start_matches("http://"));
        let path = "tiny.example/os/x86_64/repodata/repomd.xml";
        sending.fault(path, Fault::redirect(format!("http://{name}:{}/{path}", other.port)));
        let mirror = format!("http://127.0.0.1:{}", first.port);
        // The rest of the repository is not there; what was sent before that counts.
        let netrc = world.netrc("127.0.0.1");
        let (status, told) = world.plan(&mirror, &[("NETRC", &netrc), ("ELSEWHERE_ATTEMPTS", "1")]);
        assert_ne!(status, 0, "{told}");
        assert!(first.heads().iter().all(|head| head.contains(BASIC)));
        let told = other.heads();
        assert!(
            !told.is_empty() && told.iter().all(|head| !head.contains("authorization")),
            "{told:?}"
        );
    }
}

#[test]
fn a_password_in_a_base_url_stays_with_its_origin() {
    let world = World::new("network-origin");
    let (own, other) = (Gateway::tls(&world.upstream()), Gateway::tls(&world.upstream()));
    let root = world.tiny.scratch.path();
    let place = format!("https://ann:{SECRET}@localhost:{}/tiny.example", own.port);
    let dist = std::fs::read_to_string(root.join("repos/dists/tiny.toml")).unwrap();
    let dist = dist.replace("https://tiny.example", &place);
    world
        .tiny
        .scratch
        .write("repos/dists/tiny.toml", dist.replace("metadata = true", "metadata = false"));
    // The tool lies on another port, what it needs at the same one, by a whole URL.
    for (repository, port) in [("extra", other.port), ("os", own.port)] {
        let base = format!("https://localhost:{port}/tiny.example/{repository}/x86_64");
        world.tiny.relist(repository, "x86_64", |primary| {
            primary.replace("<location ", &format!("<location xml:base=\"{base}\" "))
        });
    }
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_elsewhere"));
    command.env_clear().env("HOME", root.join("home")).env("PATH", "/usr/bin:/bin");
    command.env("SSL_CERT_FILE", authority().join("974eb9f8.0")).arg("install").args(TOOL);
    command.args(["-a", "x86_64", "--for", "el8", "--repos"]).arg(root.join("repos"));
    command.arg("--cache-dir").arg(root.join("cache")).arg(world.tiny.prefix());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = other.heads();
    assert!(told.iter().any(|head| head.contains("/tool-2.0.0-1.")), "{told:?}");
    assert!(told.iter().all(|head| !head.contains("authorization")), "{told:?}");
    let told = own.heads();
    assert!(told.iter().any(|head| head.contains("/tool-data-1-2.")), "{told:?}");
    assert!(told.iter().all(|head| head.contains(BASIC)), "{told:?}");
}

#[test]
fn http_goes_through_the_proxy_but_for_what_no_proxy_names() {
    let world = World::new("network-proxy");
    let proxy = Gateway::proxy(&world.upstream());
    let url = format!("http://ann:{SECRET}@127.0.0.1:{}", proxy.port);
    world.works("http://mirror.invalid", &[("http_proxy", &url)]);
    let heads = proxy.heads();
    let is_right = |head: &String| {
        head.starts_with("get http://mirror.invalid/tiny.example/")
            && head.contains(&format!("proxy-authorization: {BASIC}"))
    };
    assert!(heads.iter().all(is_right), "{heads:?}");
    let past = [("http_proxy", &*url), ("no_proxy", "example.org,mirror.invalid")];
    world.fails("http://mirror.invalid", &past, &["mirror.invalid"]);
    assert_eq!(proxy.heads().len(), heads.len());
    let dead = format!("http://ann:{SECRET}@127.0.0.1:9");
    world.fails("http://mirror.invalid", &[("http_proxy", &dead)], &["refused"]);
}

#[test]
fn https_goes_through_the_proxy_and_is_vouched_for_by_a_sites_own_authority() {
    let world = World::new("network-tls");
    let server = Gateway::tls(&world.upstream());
    let mirror = format!("https://localhost:{}", server.port);
    world.fails(&mirror, &[], &["certificate", "SSL_CERT_FILE"]);
    assert!(server.heads().is_empty());
    let directory = authority();
    let file = directory.join("974eb9f8.0");
    let by_file = ("SSL_CERT_FILE", file.to_str().unwrap());
    let by_directory = ("SSL_CERT_DIR", directory.to_str().unwrap());
    world.works(&mirror, &[by_file]);
    world.works(&mirror, &[by_directory]);
    let proxy = Gateway::proxy("127.0.0.1:9");
    let url = format!("http://127.0.0.1:{}", proxy.port);
    world.works(&mirror, &[by_file, ("https_proxy", &url)]);
    let tunnel = format!("connect localhost:{} ", server.port);
    assert!(proxy.heads().iter().all(|head| head.starts_with(&tunnel)), "{:?}", proxy.heads());
    assert!(!proxy.heads().is_empty());
    // The certificate is for other names.
    let other = format!("https://other.invalid:{}", server.port);
    world.fails(&other, &[by_file, ("https_proxy", &url)], &["certificate"]);
    let netrc = world.netrc("localhost");
    world.works(&mirror, &[by_file, ("NETRC", &netrc)]);
    assert!(server.heads().last().unwrap().contains(BASIC));
}

#[test]
fn attempts_and_time_outs_are_set_by_file_and_variable() {
    let world = World::new("network-patience");
    let url = world.server.url();
    let asked = |variables: &[(&str, &str)]| {
        let before = world.server.count("os/x86_64/repodata/repomd.xml 503");
        world.fails(&url, variables, &["503"]);
        world.server.count("os/x86_64/repodata/repomd.xml 503") - before
    };
    world.server.fault("repomd.xml", Fault::status(503, usize::MAX));
    world.configure("[network]\nattempts = 2\npause = 0.01\n");
    assert_eq!(asked(&[]), 2);
    assert_eq!(asked(&[("ELSEWHERE_ATTEMPTS", "4")]), 4);
    world.server.clear_faults();
    world.server.fault("repomd.xml", Fault::stall());
    let waited = |variables: &[(&str, &str)]| {
        let started = Instant::now();
        world.fails(&url, variables, &["0.2"]);
        started.elapsed()
    };
    world.configure("[network]\nattempts = 1\nstall_timeout = 0.2\n");
    assert!(waited(&[]) < Duration::from_secs(10));
    world.configure("[network]\nattempts = 1\nstall_timeout = 60\n");
    assert!(waited(&[("ELSEWHERE_STALL_TIMEOUT", "0.2")]) < Duration::from_secs(10));
}
