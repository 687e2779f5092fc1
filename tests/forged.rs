//! Mirrors that lie: whatever they serve, nothing unproven is installed, and what was installed
//! before is untouched.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use support::keys::{MADE, SignOptions, TestKey};
use support::rpms::{File, Package, assemble, parts, resign, signature_header};
use support::server::{Fault, Server};
use support::site::{Listed, Outcome, Site, data, hello};

/// A site whose `hello` 1.0 is installed already.
fn installed(name: &str) -> Site {
    let site = Site::new(name);
    site.install(&[]).ok();
    assert!(fs::read_to_string(site.prefix().join("x86_64/bin/hello")).unwrap().contains("1.0"));
    site
}

/// Installs again from what the site has become: refused, and all is as it was before.
#[track_caller]
fn refuse(site: &Site, words: &[&str], status: i32, message: &str) -> Outcome {
    let before = site.state();
    let outcome = site.install(words).refused(status, message);
    for (path, state) in &before {
        assert_eq!(site.state().get(path), Some(state), "{}", path.display());
    }
    assert_eq!(site.state().len(), before.len(), "{:?}", site.state());
    outcome
}

/// `hello` 2.0 as `forge` makes it is refused; metadata and all else are right.
#[track_caller]
fn refuse_package(
    forge: impl Fn(&Site, Package) -> Vec<u8>,
    words: &[&str],
    message: &str,
) -> Outcome {
    let site = installed("forged-package");
    let bytes = forge(&site, hello("2.0"));
    site.publish(2000, &[site.forged(hello("2.0"), bytes), site.good(data())]);
    refuse(&site, words, 4, message)
}

/// A signature that was made so long after the keys.
fn signed_after(seconds: u32) -> SignOptions {
    SignOptions { time: MADE + seconds, ..SignOptions::default() }
}

/// The package without any signature.
fn stripped(bytes: &[u8]) -> Vec<u8> {
    let [_, header, payload] = parts(bytes);
    let (header, payload) = (&bytes[header..payload], &bytes[payload..]);
    assemble(&signature_header(header, None), header, payload)
}

#[test]
fn a_good_update_is_installed() {
    let site = installed("forged-control");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let outcome = site.install(&["--verbose"]).ok();
    assert!(
        outcome
            .err
            .contains("what is compressed is decoded by processes of their own, kept from files"),
        "{}",
        outcome.err
    );
    assert!(fs::read_to_string(site.prefix().join("x86_64/bin/hello")).unwrap().contains("2.0"));
}

#[test]
fn a_key_that_nobody_pinned_is_refused() {
    let message = "package hello-2.0-1.el9.x86_64 is refused";
    let outcome = refuse_package(|_, package| package.signed(&TestKey::new()), &[], message);
    assert!(outcome.err.contains("--trust-key"), "{}", outcome.err);
}

#[test]
fn what_is_refused_is_refused_before_the_rest_has_come() {
    let site = installed("forged-slow");
    let mut state = 1_u32;
    let noise = (0..600_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let noise = File::regular("/usr/share/hello-data/noise", &noise.collect::<Vec<_>>());
    let data = Package::new(vec![noise]).named("hello-data");
    let hello = site.forged(hello("2.0"), hello("2.0").signed(&TestKey::new()));
    site.publish(2000, &[hello, site.good(data)]);
    let server = Server::start(site.mirror());
    // Half a minute for all of it.
    server.fault("hello-data", Fault::slow(20_000));
    let start = Instant::now();
    site.install_from(&server.url(), &[]).refused(4, "package hello-2.0-1.el9.x86_64 is");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn what_is_refused_counts_for_more_than_what_does_not_come() {
    let site = installed("forged-absent");
    let hello = site.forged(hello("2.0"), hello("2.0").signed(&TestKey::new()));
    let two = File::regular("/usr/share/hello-data/two", b"another two\n");
    site.publish(2000, &[hello, site.good(Package::new(vec![two]).named("hello-data"))]);
    let server = Server::start(site.mirror());
    server.fault("hello-data", Fault::status(503, 100));
    site.install_from(&server.url(), &[]).refused(4, "package hello-2.0-1.el9.x86_64 is");
}

#[test]
fn the_key_of_another_repository_is_refused() {
    refuse_package(|site, package| package.signed(&site.other), &[], "hello-2.0-1.el9.x86_64 is");
}

#[test]
fn unsigned_and_stripped_packages_are_refused() {
    let unsigned = refuse_package(|_, package| package.unsigned(), &[], "is refused");
    assert!(unsigned.err.contains("--allow-unsigned"), "{}", unsigned.err);
    refuse_package(|site, package| stripped(&package.signed(&site.key)), &[], "is refused");
}

#[test]
fn a_signature_stripped_behind_the_metadatas_back_is_another_file() {
    let site = installed("forged-stripped");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let file = site.file("base/Packages/hello-2.0-1.el9.x86_64.rpm");
    fs::write(&file, stripped(&fs::read(&file).unwrap())).unwrap();
    refuse(&site, &[], 4, "hello-2.0-1.el9.x86_64.rpm");
    // Nor does it help to allow unsigned packages.
    refuse(&site, &["--allow-unsigned=base"], 4, "hello-2.0-1.el9.x86_64.rpm");
}

#[test]
fn an_expired_key_signs_nothing_new() {
    let late =
        |site: &Site, package: Package| package.signed_so(&site.expired, &signed_after(2000));
    refuse_package(late, &[], "is refused");
    let again = |site: &Site, package: Package| resign(&package.signed(&site.key), &site.expired);
    // `resign` signs at the last second that counts no more.
    refuse_package(again, &[], "is refused");
}

#[test]
fn what_a_key_signed_before_it_expired_counts() {
    let site = installed("forged-in-time");
    let bytes = hello("2.0").signed_so(&site.expired, &signed_after(900));
    site.publish(2000, &[site.forged(hello("2.0"), bytes), site.good(data())]);
    site.install(&[]).ok();
}

#[test]
fn what_a_key_signed_that_is_no_longer_pinned_is_not_taken_over() {
    let site = Site::new("forged-unpinned");
    let bytes = data().signed_so(&site.expired, &signed_after(900));
    let by_expired = || site.forged(data(), bytes.clone());
    site.publish(2000, &[site.good(hello("1.0")), by_expired()]);
    site.install(&[]).ok();
    let file = site.scratch.path().join("repos/dists/lab.toml");
    let (gone, other) = (site.expired.fingerprint(), site.other.fingerprint());
    let text = fs::read_to_string(&file).unwrap().replace(gone.as_str(), other.as_str());
    fs::write(&file, text).unwrap();
    site.publish(3000, &[site.good(hello("2.0")), by_expired()]);
    site.install(&[]).refused(4, "package hello-data-1.0-1.el9.x86_64 is refused");
}

#[test]
fn a_revoked_key_is_refused() {
    refuse_package(
        |site, package| resign(&package.signed(&site.key), &site.revoked),
        &[],
        "revoked",
    );
    let early = |site: &Site, package: Package| package.signed_so(&site.revoked, &signed_after(10));
    refuse_package(early, &["--allow-unsigned=base"], "revoked");
}

#[test]
fn another_package_under_the_name_is_refused() {
    let other = |site: &Site, package: Package| package.named("goodbye").signed(&site.key);
    let message = "the file for package hello-2.0-1.el9.x86_64 holds package goodbye-2.0-1.el9";
    refuse_package(other, &[], message);
    let older = |site: &Site, _| hello("1.0").signed(&site.key);
    refuse_package(older, &[], "holds package hello-1.0-1.el9.x86_64");
    // Though it is proven by its own signature, or let in without one.
    let unsigned = |_: &Site, package: Package| package.named("goodbye").unsigned();
    refuse_package(unsigned, &["--allow-unsigned=base"], "holds package goodbye");
}

#[test]
fn flipped_bits_are_refused_wherever_they_are() {
    let site = installed("forged-bits");
    let good = hello("2.0").signed(&site.key);
    let [signature, header, payload] = parts(&good);
    let middle = payload + (good.len() - payload) / 2;
    for at in [signature + 40, header + 300, payload + 1, middle, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
        site.write("base/Packages/hello-2.0-1.el9.x86_64.rpm", &bytes);
        refuse(&site, &[], 4, "hello-2.0-1.el9.x86_64");
        // Metadata that was forged with it leaves what the package's own signature covers: not
        // its signature header, where much means nothing to anyone.
        if at > header {
            site.publish(2000, &[site.forged(hello("2.0"), bytes), site.good(data())]);
            refuse(&site, &[], 4, "hello-2.0-1.el9.x86_64");
        }
    }
}

#[test]
fn older_metadata_than_was_seen_is_refused() {
    let site = installed("forged-rollback");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    site.install(&[]).ok();
    // Rightly signed, by the right key: what the mirror served last year.
    site.publish(500, &[site.good(hello("1.0")), site.good(data())]);
    let seen = site.seen();
    refuse(&site, &["-v", "1.0"], 4, "older");
    assert_eq!(site.seen(), seen);
}

#[test]
fn mixed_metadata_is_refused() {
    let site = installed("forged-mixed");
    let old = fs::read(site.file("base/repodata/primary.xml.gz")).unwrap();
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    site.write("base/repodata/primary.xml.gz", old);
    refuse(&site, &[], 4, "primary.xml.gz");
    let old_signature = site.key.sign_detached(b"what it signed before");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    site.write("base/repodata/repomd.xml.asc", old_signature);
    refuse(&site, &[], 4, "repomd.xml");
}

#[test]
fn a_signed_repository_without_its_signature_is_refused() {
    let site = installed("forged-asc");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let (repomd, asc) = ("base/repodata/repomd.xml", "base/repodata/repomd.xml.asc");
    let bytes = fs::read(site.file(repomd)).unwrap();
    let wrong: [Vec<u8>; 4] = [
        b"<html>not found</html>".to_vec(),
        Vec::new(),
        TestKey::new().sign_detached(&bytes),
        site.other.sign_detached(&bytes),
    ];
    for signature in wrong {
        site.write(asc, signature);
        refuse(&site, &[], 4, "repomd.xml");
        refuse(&site, &["--allow-unsigned=base"], 4, "repomd.xml");
    }
    fs::remove_file(site.file(asc)).unwrap();
    refuse(&site, &[], 4, "repomd.xml");
    assert!(site.seen().contains("1000"), "{}", site.seen());
    site.write(asc, site.key.sign_detached(&bytes));
    site.install(&[]).ok();
}

#[test]
fn a_key_file_with_another_key_is_no_key() {
    let site = Site::new("forged-key");
    site.write("keys/key", TestKey::new().public_file());
    let outcome = site.install(&[]).refused(4, "repomd.xml");
    assert!(outcome.err.contains("repomd.xml"), "{}", outcome.err);
    assert!(!site.prefix().exists());
}

#[test]
fn allowing_unsigned_packages_is_loud_and_recorded() {
    let site = installed("forged-allowed");
    let unsigned = Listed { bytes: hello("2.0").unsigned(), ..site.good(hello("2.0")) };
    site.publish(2000, &[unsigned, site.good(data())]);
    let outcome = site.install(&["--allow-unsigned=base"]).ok();
    let warning = "the origin of package hello-2.0-1.el9.x86_64 is not proven";
    assert!(outcome.err.contains(warning), "{}", outcome.err);
    let status = site.run_status();
    assert!(status.contains("hello-2.0-1.el9.x86_64  UNSIGNED"), "{status}");
    assert!(status.contains("hello-data-1.0-1.el9.x86_64  signed by"), "{status}");
    // For one run only.
    site.publish(3000, &[site.forged(hello("3.0"), hello("3.0").unsigned()), site.good(data())]);
    refuse(&site, &[], 4, "is refused");
}

#[test]
fn a_key_that_the_configuration_names_counts_for_every_command() {
    let site = installed("forged-configured");
    let own = TestKey::new();
    site.scratch.write("own.asc", own.public_file());
    let config = site.scratch.write("config.toml", "trust_key = ['base=own.asc']\n");
    let bytes = hello("2.0").signed(&own);
    site.publish(2000, &[site.forged(hello("2.0"), bytes), site.good(data())]);
    let words = ["--config", config.to_str().unwrap()];
    site.run("update", &[]).refused(4, "is refused");
    site.run("update", &words).ok();
    fs::remove_file(site.prefix().join("x86_64/bin/hello")).unwrap();
    site.run("verify", &["--repair"]).refused(4, "is refused");
    site.run("verify", &[&["--repair"], &words[..]].concat()).ok();
}

#[test]
fn what_a_policy_forbids_is_forbidden_to_every_command() {
    let site = installed("forged-policy");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let key = site.scratch.write("own.asc", TestKey::new().public_file());
    let policy = "[policy]\nforbid_unsigned = true\nforbid_trust_key = true\n";
    let config = site.scratch.write("config.toml", policy);
    let config = ["--config", config.to_str().unwrap()];
    let trust = ["--trust-key", key.to_str().unwrap()];
    let refuse = |command, words: &[&str], what: &str| {
        site.run(command, &[&config[..], words].concat()).refused(2, what);
    };
    refuse("update", &["--allow-unsigned"], "--allow-unsigned is forbidden");
    refuse("update", &trust, "--trust-key is forbidden");
    refuse("verify", &[&["--deep"], &trust[..]].concat(), "--trust-key is forbidden");
    let dists = site.scratch.write("dists.toml", "[policy]\ndists = ['el9']\n");
    site.run("update", &["--config", dists.to_str().unwrap()]).refused(2, "the dist lab is");
    assert!(fs::read_to_string(site.prefix().join("x86_64/bin/hello")).unwrap().contains("1.0"));
    site.run("update", &config).ok();
}

#[test]
fn a_policy_of_dists_chooses_among_them() {
    let site = installed("forged-dists");
    let dist = fs::read_to_string(site.scratch.path().join("repos/dists/lab.toml")).unwrap();
    let other = dist.replace("name = \"lab\"", "name = \"yard\"").replace("2.17", "2.16");
    site.scratch.write("repos/dists/yard.toml", other);
    let chosen = |words: &[&str]| {
        let basic = ["-r", "hello", "-a", "x86_64", "--dry-run", "--json"];
        site.run("install", &[&basic[..], words].concat()).ok().out
    };
    for name in ["lab", "yard"] {
        let policy = format!("[policy]\ndists = ['{name}']\n");
        let config = site.scratch.write("policy.toml", policy);
        fs::remove_dir_all(site.prefix()).ok();
        let plan = chosen(&["-d", "auto", "--config", config.to_str().unwrap()]);
        assert!(plan.contains(&format!("\"dist\":\"{name}\"")), "{plan}");
    }
}

#[test]
fn only_a_network_that_fails_leaves_the_versions_open() {
    let site = installed("forged-list");
    site.publish_in("base", 3000, &[site.good(hello("2.0")), site.good(data())]);
    let config = site.scratch.write("config.toml", "dist = 'lab'\n");
    let mut list = site.elsewhere();
    list.arg("list").arg("--mirror").arg(site.mirror()).arg("--config").arg(config);
    list.arg("--repos").arg(site.repos()).arg("--cache-dir").arg(site.cache());
    let outcome = list.args(["-a", "x86_64"]).output().unwrap();
    assert_eq!(outcome.status.code(), Some(4), "{}", String::from_utf8_lossy(&outcome.stderr));
}

#[test]
fn a_key_that_the_user_trusts_counts_and_is_recorded() {
    let site = installed("forged-trusted");
    let own = TestKey::new();
    let file = site.scratch.write("own.asc", own.public_file());
    let bytes = hello("2.0").signed(&own);
    site.publish(2000, &[site.forged(hello("2.0"), bytes), site.good(data())]);
    refuse(&site, &[], 4, "is refused");
    site.install(&["--trust-key", &format!("base={}", file.display())]).ok();
    let receipt = fs::read_to_string(site.prefix().join("x86_64/.elsewhere.json")).unwrap();
    let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    let package = &receipt["packages"][0];
    assert_eq!(package["signed_by"], own.fingerprint().as_str());
    assert_eq!(package["trusted_by_user"], true);
    assert_eq!(receipt["packages"][1]["trusted_by_user"], false);
}
