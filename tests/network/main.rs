//! The way to the network as users set it: passwords, proxies, certificates, time-outs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

#[path = "../support/mod.rs"]
mod support;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::gateway::Gateway;
use support::metadata;
use support::rpms::{File, Package};
use support::server::{Fault, Server};
use support::site::{Site, hello};
use support::tiny::{TOOL, Tiny, names, text};

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
        let mut command = self.tiny.run_from("plan", mirror);
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
        self.ends(3, mirror, variables, parts);
    }

    fn ends(&self, with: i32, mirror: &str, variables: &[(&str, &str)], parts: &[&str]) {
        let (status, told) = self.plan(mirror, variables);
        assert_eq!(status, with, "{told}");
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

/// Failed before: `.netrc` was asked anew for the host of the redirect, whatever its port.
#[test]
fn pieces_of_a_file_do_not_carry_a_password_to_another_port() {
    let site = Site::new("network-pieces");
    let mut state = 1_u32;
    let noise = (0..14_000_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let file = File::regular("/usr/share/hello-data/noise", &noise.collect::<Vec<_>>());
    let big = Package::new(vec![file]).named("hello-data");
    site.publish(2000, &[site.good(hello("1.0")), site.good(big)]);
    symlink("forged.example", site.mirror().join("alias")).unwrap();
    let definition = site.repos().join("dists/lab.toml");
    let text_before = std::fs::read_to_string(&definition).unwrap();
    let netrc =
        site.scratch.write("netrc", format!("machine localhost login ann password {SECRET}"));
    let path = "base/Packages/hello-data-1.0-1.el9.x86_64.rpm";
    for is_other in [true, false] {
        let servers = [(); 2].map(|()| Server::start(site.mirror()));
        let [own, other] =
            [0, 1].map(|at: usize| Gateway::tls(servers[at].url().trim_start_matches("http://")));
        let slow = if is_other { &other } else { &own };
        servers[usize::from(is_other)].rate(6_000_000);
        let there = format!("https://localhost:{}/alias/{path}", slow.port);
        servers[0].fault(format!("forged.example/{path}"), Fault::redirect(there));
        let origin = format!("https://localhost:{}/forged.example", own.port);
        let text_now = text_before.replace("https://forged.example", &origin);
        std::fs::write(&definition, text_now).unwrap();
        let mut install = site.elsewhere();
        install.args(["install", "-d", "lab", "-r", "hello", "-a", "x86_64", "--for", "el9"]);
        install.args(["--cache-dir", "cache", "--repos"]).arg(site.repos()).arg("prefix");
        install.env("SSL_CERT_FILE", authority().join("974eb9f8.0")).env("NETRC", &netrc);
        let output = install.current_dir(site.scratch.path()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let pieces = slow.heads().into_iter().filter(|head| head.contains("range: bytes="));
        let pieces: Vec<String> = pieces.collect();
        assert!(pieces.len() > 2, "{:?}", slow.heads());
        assert!(own.heads().iter().all(|head| head.contains(BASIC)), "{:?}", own.heads());
        let strange = other.heads();
        assert!(strange.iter().all(|head| !head.contains("authorization")), "{strange:?}");
        assert!(strange.iter().all(|head| !head.contains("referer")), "{strange:?}");
        for made in ["cache", "prefix"] {
            std::fs::remove_dir_all(site.scratch.path().join(made)).unwrap();
        }
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
        metadata::relist(&world.tiny.repository(repository, "x86_64"), 9, |primary| {
            primary.replace("<location ", &format!("<location xml:base=\"{base}\" "))
        });
    }
    let mut command = world.tiny.elsewhere();
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
    // What is handed on says where packages are from, and no more.
    for format in ["spdx", "cyclonedx"] {
        let mut command = world.tiny.elsewhere();
        command.args(["sbom", "--format", format]);
        let output = command.arg(world.tiny.prefix()).output().unwrap();
        let told = text(&output.stdout);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(told.contains(&format!("https://localhost:{}/", own.port)), "{told}");
        assert!(!told.contains(SECRET) && !told.contains("ann:"), "{told}");
    }
}

/// The files below `root` that hold the password or the name, but for what the user wrote.
fn holders(root: &Path) -> Vec<String> {
    let is_written = |name: &String| name.starts_with("repos") || name.starts_with("mirror");
    let holds = |name: &String| {
        let bytes = std::fs::read(root.join(name)).unwrap_or_default();
        let has = |text: &str| bytes.windows(text.len()).any(|it| it == text.as_bytes());
        has(SECRET) || has("ann:") || has("ann@")
    };
    names(root).into_iter().filter(|name| !is_written(name) && holds(name)).collect()
}

/// Failed before: the receipt, the lock file and the cache's documents had it.
#[test]
fn a_password_in_a_url_is_stored_and_printed_nowhere() {
    let world = World::new("network-nowhere");
    let own = Gateway::tls(&world.upstream());
    let root = world.tiny.scratch.path().to_owned();
    let origin = format!("https://ann:{SECRET}@localhost:{}/tiny.example", own.port);
    let dist = std::fs::read_to_string(root.join("repos/dists/tiny.toml")).unwrap();
    world
        .tiny
        .scratch
        .write("repos/dists/tiny.toml", dist.replace("https://tiny.example", &origin));
    let run = |status: i32, words: &[&str]| {
        let mut command = world.tiny.elsewhere();
        command.current_dir(&root).env("SSL_CERT_FILE", authority().join("974eb9f8.0"));
        command.env("XDG_CACHE_HOME", root.join("caches")).env("ELSEWHERE_ATTEMPTS", "1");
        let output = command.args(words).output().unwrap();
        let told = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {told}");
        assert!(!told.contains(SECRET) && !told.contains("ann:"), "{words:?}: {told}");
        assert_eq!(holders(&root), [""; 0], "{words:?}");
    };
    let repos = ["--repos", "repos"];
    let wanted = ["-r", "tool", "-d", "tiny", "-a", "x86_64", "--for", "el8", "-e", "--verbose"];
    let with = |command: &'static str, words: &[&'static str]| {
        [&[command][..], &repos, &wanted, words].concat()
    };
    run(0, &with("plan", &["--lock", "lock"]));
    run(0, &with("plan", &["--json"]));
    run(0, &with("plan", &["--lock", "-"]));
    run(0, &with("install", &["--json", "p"]));
    // What is taken over from the tree before comes from there too.
    world.tiny.publish(&["2.0.0", "2.1.0"], |_| {});
    run(10, &["update", "--check", "--repos", "repos", "p"]);
    run(0, &["update", "--verbose", "--repos", "repos", "p"]);
    for words in [
        &["status", "--json", "p"][..],
        &["history", "--json", "p"],
        &["sbom", "p"],
        &["sbom", "--format", "spdx", "p"],
        &["list", "--check-sources", "-d", "tiny", "--repos", "repos", "--verbose"],
        &["verify", "--json", "p"],
    ] {
        run(0, words);
    }
    // Neither a lock file nor a receipt says how one gets in: the definitions do.
    std::fs::remove_dir_all(root.join("caches")).unwrap();
    run(0, &["verify", "--deep", "--repos", "repos", "p"]);
    std::fs::remove_dir_all(root.join("caches")).unwrap();
    run(0, &["install", "--lock", "lock", "--repos", "repos", "--for", "el8", "q"]);
    assert!(own.heads().iter().all(|head| head.contains(BASIC)), "{:?}", own.heads());
    // A package by its own URL.
    let place = "extra/x86_64/Packages/tool-2.0.0-1.x86_64.rpm";
    let package = format!("{origin}/{place}");
    run(0, &[&with("install", &["-v"])[..], &[&package, "r"]].concat());
    let receipt = std::fs::read_to_string(root.join("r/x86_64/.elsewhere.json")).unwrap();
    let url = format!("\"https://localhost:{}/tiny.example/{place}\"", own.port);
    assert!(receipt.contains(&url), "{receipt}");
    // What fails tells where.
    world.server.fault("repomd.xml", Fault::status(403, usize::MAX));
    run(3, &with("plan", &[]));
    let mirror = format!("http://ann:{SECRET}@127.0.0.1:9/el");
    run(3, &[&with("plan", &["--mirror"])[..], &[&mirror]].concat());
}

/// Failed before: a location that leads where it may not was told as it stood.
#[test]
fn a_password_in_metadata_is_told_nobody() {
    let world = World::new("network-metadata");
    let root = world.tiny.scratch.path().to_owned();
    let dist = root.join("repos/dists/tiny.toml");
    let text = std::fs::read_to_string(&dist).unwrap();
    std::fs::write(dist, text.replace("metadata = true", "metadata = false")).unwrap();
    let repomd = world.tiny.repository("os", "x86_64").join("repodata/repomd.xml");
    let text = std::fs::read_to_string(&repomd).unwrap();
    for scheme in ["http", "ftp"] {
        let place = format!("href=\"{scheme}://ann:{SECRET}@tiny.example/repodata/");
        std::fs::write(&repomd, text.replace("href=\"repodata/", &place)).unwrap();
        world.fails(&world.server.url(), &[], &[&format!("{scheme}://tiny.example/repodata/")]);
    }
}

/// Receipts and lock files of earlier versions had passwords: they are taken off as those are read.
#[test]
fn a_password_in_an_older_receipt_or_lock_file_is_told_nobody() {
    let world = World::new("network-older");
    let root = world.tiny.scratch.path().to_owned();
    world.tiny.install(&[]);
    let mut plan = world.tiny.run("plan");
    assert!(
        plan.args(TOOL).arg("--lock").arg(root.join("lock")).output().unwrap().status.success()
    );
    let spoil = |path: PathBuf| {
        let file = std::fs::read_to_string(&path).unwrap();
        let spoilt = file.replace("https://", &format!("https://ann:{SECRET}@"));
        assert_ne!(spoilt, file);
        std::fs::write(path, spoilt).unwrap();
    };
    spoil(root.join("lock"));
    let arch = std::env::consts::ARCH;
    spoil(world.tiny.prefix().join(arch).join(".elsewhere.json"));
    let silent = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        let told = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert!(!told.contains(SECRET) && !told.contains("ann:"), "{told}");
    };
    for words in [&["status", "--json"][..], &["sbom"], &["sbom", "--format", "spdx"]] {
        silent(world.tiny.elsewhere().args(words).arg(world.tiny.prefix()));
    }
    let lock = root.join("lock");
    let mut install = world.tiny.run("install");
    install.args(["--json", "--dry-run", "--lock"]).arg(&lock).arg(root.join("q"));
    silent(&mut install);
    let mut install = world.tiny.run("install");
    silent(install.args(["--verbose", "--lock"]).arg(&lock).arg(root.join("q")));
    let receipt =
        std::fs::read_to_string(root.join("q").join(arch).join(".elsewhere.json")).unwrap();
    assert!(!receipt.contains(SECRET), "{receipt}");
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
fn a_variable_that_names_no_proxy_is_an_error_and_nothing_passes_it_by() {
    let world = World::new("network-no-proxy");
    for (name, value) in [
        ("http_proxy", "ftp://ann:s3cret-w0rd@proxy:1"),
        ("HTTP_PROXY", "http://ann:s3cret-w0rd@proxy:port"),
        ("all_proxy", "http://"),
        ("ALL_PROXY", "pr oxy"),
        ("http_proxy", "socks6://proxy"),
    ] {
        let server = Server::start(world.tiny.mirror());
        let unset = format!("unset {name}");
        world.ends(2, &server.url(), &[(name, value)], &[name, &unset]);
        assert_eq!(server.requests(), [] as [String; 0], "{name} {value}");
    }
    // What it is not about, and what needs no proxy, is fetched.
    let url = world.server.url();
    world.works(&url, &[("https_proxy", "ftp://proxy")]);
    world.works(&url, &[("http_proxy", "ftp://proxy"), ("no_proxy", "127.0.0.0/8")]);
    // A redirect does not get around it either.
    let sending = Server::start("/nonexistent");
    let path = "tiny.example/os/x86_64/repodata/repomd.xml";
    sending.fault(path, Fault::redirect(format!("https://127.0.0.1:9/{path}")));
    let set = [("https_proxy", "ftp://proxy"), ("ELSEWHERE_ATTEMPTS", "1")];
    let (status, told) = world.plan(&sending.url(), &set);
    assert!(status != 0 && told.contains("https_proxy names a proxy by a scheme"), "{told}");
}

#[test]
fn a_proxy_that_fails_is_named_and_not_the_mirror_blamed() {
    let world = World::new("network-bad-proxy");
    let (http, https) = ("http://mirror.invalid", "https://mirror.invalid");
    let once = ("ELSEWHERE_ATTEMPTS", "1");
    let by =
        |proxy: &str, variable: &str| format!("through the proxy {proxy}, which {variable} names");
    let refused = "http://127.0.0.1:9";
    let dead = format!("http://ann:{SECRET}@127.0.0.1:9");
    world.fails(http, &[("http_proxy", &dead), once], &[&by(refused, "http_proxy"), "refused"]);
    world.fails(https, &[("ALL_PROXY", &dead), once], &[&by(refused, "ALL_PROXY"), "refused"]);
    let lost = "http://proxy.invalid:1";
    let name = "the name proxy.invalid could not be resolved";
    world.fails(https, &[("https_proxy", lost), once], &[&by(lost, "https_proxy"), name]);
    let socks = "socks5h://127.0.0.1:9";
    world.fails(https, &[("https_proxy", socks), once], &[&by(socks, "https_proxy")]);
    for (status, part) in [("407 Who", "407"), ("503 No", "503"), ("403 No", "403")] {
        let proxy = Gateway::refusing(status);
        let url = format!("http://127.0.0.1:{}", proxy.port);
        world.fails(http, &[("http_proxy", &url), once], &[&by(&url, "http_proxy"), part]);
        world.fails(https, &[("https_proxy", &url), once], &[&by(&url, "https_proxy")]);
    }
}

#[test]
fn socks_proxies_of_both_versions_serve() {
    let world = World::new("network-socks");
    let first = |gateway: &Gateway| gateway.heads().first().cloned().unwrap_or_default();
    for (scheme, user, expected) in [
        ("socks4", "", "4 127.0.0.1 by \"\""),
        ("socks", "", "4 127.0.0.1 by \"\""),
        ("socks4a", "", "4 localhost by \"\""),
        ("socks5", "", "5 127.0.0.1 by \"\""),
        ("socks5h", "", "5 localhost by \"\""),
        ("socks5h", "ann:p%40ss@", "5 localhost by \"ann:p@ss\""),
    ] {
        let proxy = Gateway::socks(&world.upstream());
        let url = format!("{scheme}://{user}127.0.0.1:{}", proxy.port);
        // Version 4 knows no IPv6 addresses, of which localhost may have one; with `a` it takes names.
        let origin =
            if expected.starts_with("4 127") { "http://127.0.0.1" } else { "http://localhost" };
        world.works(origin, &[("all_proxy", &url)]);
        let head = first(&proxy);
        // What a machine takes localhost for is its own affair.
        let same = head == expected || head.starts_with("5 [0, 0") && scheme == "socks5";
        assert!(same, "{scheme}: {head}");
    }
    let server = Gateway::tls(&world.upstream());
    let proxy = Gateway::socks(&format!("127.0.0.1:{}", server.port));
    let (url, file) =
        (format!("socks5h://127.0.0.1:{}", proxy.port), authority().join("974eb9f8.0"));
    let by_file = ("SSL_CERT_FILE", file.to_str().unwrap());
    world.works("https://localhost", &[("https_proxy", &url), by_file]);
    assert_eq!(first(&proxy), "5 localhost by \"\"");
}

#[test]
fn certificates_that_cannot_be_read_are_named() {
    let world = World::new("network-certificates");
    let empty = world.tiny.scratch.write("empty.pem", "");
    let empty = empty.to_str().unwrap();
    let https = "https://127.0.0.1:9";
    for (name, value, part) in [
        (
            "SSL_CERT_FILE",
            "/nowhere/x.pem",
            "names /nowhere/x.pem, which cannot be read: No such file",
        ),
        ("SSL_CERT_FILE", "/", "cannot be read"),
        ("SSL_CERT_FILE", empty, "holds no certificate"),
        ("SSL_CERT_FILE", "", "is set to nothing"),
        ("SSL_CERT_DIR", "/nowhere", "cannot be read: No such file"),
        ("SSL_CERT_DIR", "/proc/self/task", "holds no certificate"),
    ] {
        world.ends(2, https, &[(name, value)], &[name, part, &format!("unset {name}")]);
        world.works(&world.server.url(), &[(name, value)]);
    }
}

#[test]
fn passwords_reach_the_server_as_the_file_has_them() {
    let world = World::new("network-netrc-forms");
    let seen = |text: &str, variables: &[(&str, &str)]| {
        let gateway = Gateway::plain(&world.upstream());
        let file = world.tiny.scratch.write("netrc", text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, mode).unwrap();
        let netrc = [("NETRC", file.to_str().unwrap())];
        let mirror = format!("http://127.0.0.1:{}", gateway.port);
        world.works(&mirror, &[&netrc, variables].concat());
        let heads = gateway.heads();
        let line = |head: &String| {
            let line = head.lines().find(|line| line.starts_with("authorization: "));
            line.map(|line| line.trim_start_matches("authorization: ").to_owned())
        };
        heads.first().and_then(line).unwrap_or_default()
    };
    // In small letters, as all heads.
    let basic = |text: &str| {
        format!("basic {}", support::packets::base64(text.as_bytes()).trim()).to_lowercase()
    };
    for (text, expected) in [
        ("machine 127.0.0.1 login ann password %41b%", "ann:%41b%"),
        ("machine 127.0.0.1 login \"ann b\" password \"p \\\"q\\\" :@/\"", "ann b:p \"q\" :@/"),
        ("machine 127.0.0.1 login ann", "ann:"),
        ("macdef x\n machine 127.0.0.1\n\nmachine 127.0.0.1 password only", ":only"),
        ("default login own password mirror", "own:mirror"),
    ] {
        assert_eq!(seen(text, &[]), basic(expected), "{text}");
    }
    assert_eq!(seen("machine other login ann password x", &[]), "");
}

#[test]
fn a_netrc_that_others_can_read_or_nobody_is_told() {
    let world = World::new("network-netrc-modes");
    let netrc = world.netrc("127.0.0.1");
    let (status, told) = world.plan(&world.server.url(), &[("NETRC", &netrc)]);
    assert!(
        status == 0 && told.contains(&format!("others may read the passwords in {netrc}")),
        "{told}"
    );
    let (status, told) = world.plan(&world.server.url(), &[("NETRC", "/proc/self/task")]);
    assert!(status == 0 && told.contains("/proc/self/task cannot be read"), "{told}");
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
