//! The way to a registry: TLS with certificates of one's own, proxies, other repositories.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shop::{PLAN, Shop};
use crate::support::gateway::Gateway;
use crate::support::program;
use crate::support::registry::Real;
use crate::support::site::Outcome;

/// The keys and certificates of `tests/network`.
fn tls() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network")
}

/// Pushes to `reference` and installs from there, with these words and variables.
fn carry(shop: &Shop, reference: &str, words: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mirror = shop.site.mirror();
    let push = [&["push", reference, "--mirror", mirror.to_str().unwrap()], &PLAN[..]].concat();
    let prefix = shop.site.prefix();
    let (prefix, _) = (prefix.to_str().unwrap(), std::fs::remove_dir_all(&prefix));
    let install = ["install", "--from", reference, "-a", "x86_64", prefix];
    let mut last = None;
    for basic in [&push[..], &install[..]] {
        let mut command: Command = program::elsewhere();
        shop.command(&mut command, &[basic, words].concat());
        command.envs(variables.iter().copied());
        let outcome = Outcome::of(command.output().unwrap());
        if outcome.status != 0 {
            return outcome;
        }
        let _ = std::fs::remove_dir_all(shop.site.cache());
        last = Some(outcome);
    }
    shop.works("1.0");
    last.unwrap()
}

#[test]
fn a_registry_with_tls_needs_a_certificate_that_somebody_believes() {
    let shop = Shop::new("registry-tls");
    let real = Real::start_with(&shop.site.place("real"), Some(&tls()));
    let port = real.address.rsplit_once(':').unwrap().1;
    let authority = tls().join("authority/974eb9f8.0");
    let trusted = ("SSL_CERT_FILE", authority.to_str().unwrap());
    for host in ["127.0.0.1", "localhost"] {
        let reference = format!("oci://{host}:{port}/lab/hello:1.0");
        let told = carry(&shop, &reference, &[], &[trusted]);
        assert!(told.status == 3 && told.err.contains("--plain-http=false"), "{}", told.err);
        let told = carry(&shop, &reference, &["--plain-http=false"], &[]);
        assert!(told.status == 3 && told.err.contains("SSL_CERT_FILE"), "{}", told.err);
        carry(&shop, &reference, &["--plain-http=false"], &[trusted]).ok();
    }
    // One that speaks no TLS is not spoken to without.
    let plain = Real::start(&shop.site.place("plain"));
    let reference = format!("oci://{}/lab/hello:1.0", plain.address);
    let told = carry(&shop, &reference, &["--plain-http=false"], &[trusted]);
    assert_eq!(told.status, 3, "{}", told.err);
}

#[test]
fn a_registry_is_reached_through_a_proxy() {
    let shop = Shop::new("registry-proxy");
    let plain = Real::start(&shop.site.place("real"));
    // The name means something to the proxy alone.
    let proxy = Gateway::proxy(&plain.address);
    let named = format!("http://127.0.0.1:{}", proxy.port);
    let reference = "oci://registry.example/lab/hello:1.0";
    let variables = [("http_proxy", named.as_str())];
    carry(&shop, reference, &["--plain-http"], &variables).ok();
    let heads = proxy.heads();
    assert!(heads.iter().any(|it| it.starts_with("put http://registry.example/v2/lab/hello/")));
    assert!(heads.iter().all(|it| it.contains("http://registry.example/v2/")), "{heads:#?}");
    // By TLS it sees the name alone.
    let secure = Real::start_with(&shop.site.place("secure"), Some(&tls()));
    let proxy = Gateway::proxy("127.0.0.1:1");
    let named = format!("http://127.0.0.1:{}", proxy.port);
    let authority = tls().join("authority/974eb9f8.0");
    let port = secure.address.rsplit_once(':').unwrap().1;
    let reference = format!("oci://localhost:{port}/lab/hello:1.0");
    let variables = [
        ("https_proxy", named.as_str()),
        ("SSL_CERT_FILE", authority.to_str().unwrap()),
        ("no_proxy", ""),
    ];
    carry(&shop, &reference, &["--plain-http=false"], &variables).ok();
    let heads = proxy.heads();
    assert!(!heads.is_empty() && heads.iter().all(|it| it.starts_with("connect localhost:")));
    // One that refuses is told of.
    let refusing = Gateway::refusing("403 no");
    let named = format!("http://127.0.0.1:{}", refusing.port);
    let variables = [("https_proxy", named.as_str())];
    let told = carry(&shop, "oci://registry.example/lab/hello:1.0", &[], &variables);
    assert!(told.status == 3 && told.err.contains("does the proxy work?"), "{}", told.err);
    assert!(!told.err.contains("--mirror"), "{}", told.err);
}
