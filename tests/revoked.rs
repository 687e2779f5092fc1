//! What becomes known of a key: a revocation is found out within a day, and stays known whatever servers,
//! caches and prefixes say later.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use pgp::packet::RevocationCode;
use serde_json::Value;

use support::keys::{MADE, TestKey};
use support::rpms::Package;
use support::site::{Listed, Outcome, Site, data, hello};
use support::tools::stdout;

const DAY: u64 = 24 * 3600;

/// A site whose prefix was made when its key was good.
fn installed(name: &str) -> Site {
    let site = Site::new(name);
    site.install(&[]).ok();
    site
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The day of a time, as people write it.
fn day(time: u64) -> String {
    let time = format!("@{time}");
    stdout(Command::new("date").args(["-u", "-d", &time, "+%F"])).trim().to_owned()
}

/// Lets the cache believe that so many days went by since it asked for keys.
fn pass(site: &Site, days: u64) {
    let notes = fs::read_dir(site.cache().join("seen")).unwrap();
    let is_key = |path: &PathBuf| path.to_str().unwrap().contains("/key-");
    let mut count = 0;
    for path in notes.map(|entry| entry.unwrap().path()).filter(is_key) {
        let mut note: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        note["asked_at"] = (note["asked_at"].as_u64().unwrap() - days * DAY).into();
        fs::write(&path, note.to_string()).unwrap();
        count += 1;
    }
    assert!(count > 0, "no key is in the cache");
}

/// Publishes `hello` in this version.
fn publish(site: &Site, version: &str) {
    let time = 1000 * version.split('.').next().unwrap().parse::<u64>().unwrap();
    site.publish(time, &[site.good(hello(version)), site.good(data())]);
}

/// The owner of the site's key says that others may have it, and publishes that. Returns the file from before.
fn revoke(site: &mut Site) -> Vec<u8> {
    let before = site.key.public_file();
    site.key.revoke(RevocationCode::KeyCompromised, MADE + 500);
    site.write("keys/key", site.key.public_file());
    before
}

fn update(site: &Site) -> Outcome {
    site.run("update", &[])
}

#[test]
fn a_revoked_key_is_found_out_within_a_day() {
    for days in [1, 400] {
        let mut site = installed("revoked-day");
        revoke(&mut site);
        // What was asked for today is not asked for again.
        publish(&site, "2.0");
        update(&site).ok();
        publish(&site, "3.0");
        pass(&site, days);
        update(&site).refused(4, "which was revoked");
        site.install(&[]).refused(4, "which was revoked");
        assert!(site.run_status().contains("hello-2.0-1.el9"), "what was live is live");
    }
}

#[test]
fn a_revoked_key_proves_nothing_to_deep_verification() {
    let mut site = installed("revoked-deep");
    revoke(&mut site);
    site.run("verify", &["--deep"]).ok();
    pass(&site, 1);
    site.run("verify", &["--deep"]).refused(4, "which was revoked");
    // Whoever has another cache learns the same.
    fs::remove_dir_all(site.cache()).unwrap();
    site.run("verify", &["--deep"]).refused(4, "which was revoked");
}

#[test]
fn a_revocation_that_was_known_once_stays_known() {
    let mut site = installed("revoked-stays");
    let before = revoke(&mut site);
    publish(&site, "2.0");
    pass(&site, 1);
    update(&site).refused(4, "which was revoked");
    // A server that hides it again, from the cache …
    site.write("keys/key", &before);
    pass(&site, 2);
    update(&site).refused(4, "which was revoked");
    // … and, where that is another one, from the prefix.
    fs::remove_dir_all(site.cache()).unwrap();
    update(&site).refused(4, "which was revoked");
    fs::remove_dir_all(site.cache()).unwrap();
    site.run("verify", &["--deep"]).refused(4, "which was revoked");
    // Where neither is, nobody knows.
    fs::remove_dir_all(site.cache()).unwrap();
    fs::remove_dir_all(site.prefix()).unwrap();
    site.install(&[]).ok();
}

#[test]
fn a_key_that_cannot_be_asked_for_counts_with_its_age() {
    let site = installed("revoked-offline");
    fs::remove_file(site.file("keys/key")).unwrap();
    publish(&site, "2.0");
    assert!(!update(&site).ok().err.contains("asked for anew"), "today it was asked for");
    publish(&site, "3.0");
    pass(&site, 40);
    let print = site.key.fingerprint();
    for command in [&["update"][..], &["verify", "--deep"]] {
        let told = site.run(command[0], &command[1..]).ok().err;
        let expected = format!("key {print} cannot be asked for anew, and nobody here knows");
        assert!(told.contains(&expected), "{told}");
        // The prefix knows better than the cache.
        assert!(told.contains(&format!("revoked since {}", day(now()))), "{told}");
    }
    let status = site.run_status();
    let age = format!("key {print}  as it was published on {}", day(now()));
    assert!(status.contains(&age), "{status}");
    let json = Outcome::of(
        site.elsewhere().args(["status", "--json"]).arg(site.prefix()).output().unwrap(),
    );
    let keys = &json.ok().json()[0]["keys"];
    assert_eq!(keys[0]["fingerprint"], print.as_str());
    assert!(now() - keys[0]["asked_at"].as_u64().unwrap() < DAY, "{keys}");
    // Where the prefix knows no better, the cache's age is told.
    fs::remove_file(site.prefix().join(".elsewhere/keys.toml")).unwrap();
    let told = update(&site).ok().err;
    assert!(told.contains(&format!("revoked since {}", day(now() - 40 * DAY))), "{told}");
}

#[test]
fn the_prefix_has_what_no_cache_has_any_more() {
    let site = installed("revoked-kept");
    fs::remove_dir_all(site.file("keys")).unwrap();
    fs::remove_dir_all(site.cache()).unwrap();
    publish(&site, "2.0");
    let told = update(&site).ok().err;
    assert!(told.contains("cannot be asked for anew"), "{told}");
    // Without it there is no key.
    fs::remove_file(site.prefix().join(".elsewhere/keys.toml")).unwrap();
    fs::remove_dir_all(site.cache()).unwrap();
    publish(&site, "3.0");
    update(&site).refused(4, "repomd.xml");
}

#[test]
fn another_key_in_the_place_of_a_key_changes_nothing() {
    let site = installed("revoked-other");
    let attacker = TestKey::new();
    site.write("keys/key", attacker.public_file());
    publish(&site, "2.0");
    pass(&site, 1);
    let told = update(&site).ok().err;
    assert!(told.contains("cannot be asked for anew"), "{told}");
    assert!(told.contains(attacker.fingerprint().as_str()), "{told}");
    let forged = |package: Package| {
        let bytes = package.signed(&attacker);
        site.forged(package, bytes)
    };
    site.publish(3000, &[forged(hello("3.0")), site.good(data())]);
    update(&site).refused(4, "hello-3.0-1.el9.x86_64 is refused");
}

#[test]
fn what_a_prefix_keeps_proves_itself_and_is_never_new() {
    let mut site = installed("revoked-forged");
    let kept = site.prefix().join(".elsewhere/keys.toml");
    let text = fs::read_to_string(&kept).unwrap();
    let before = revoke(&mut site);
    // Somebody's prefix, in which the key was asked for just now.
    fs::remove_dir_all(site.cache()).unwrap();
    site.run("verify", &["--deep"]).refused(4, "which was revoked");
    // Another certificate under the key's name.
    site.write("keys/key", before);
    fs::remove_dir_all(site.cache()).unwrap();
    let attacker = TestKey::new();
    let mut table: toml::Table = text.parse().unwrap();
    let print = site.key.fingerprint();
    let entry = table["keys"][print.as_str()].as_table_mut().unwrap();
    let certificate = String::from_utf8(attacker.public_file()).unwrap();
    entry.insert("certificate".to_owned(), certificate.into());
    fs::write(&kept, table.to_string()).unwrap();
    let forged = |package: Package| {
        let bytes = package.signed(&attacker);
        site.forged(package, bytes)
    };
    site.publish(3000, &[forged(hello("3.0")), site.good(data())]);
    let refused = update(&site).refused(4, "hello-3.0-1.el9.x86_64 is refused");
    assert!(
        refused.err.contains(&format!("a copy of key {print} is of no use")),
        "{}",
        refused.err
    );
    // What makes no sense may have held a revocation.
    fs::write(&kept, "format = 1\nkeys = 2\n").unwrap();
    update(&site).refused(6, "keys.toml makes no sense");
}

#[test]
fn definitions_bring_certificates_that_count_against_their_pins_alone() {
    let mut site = Site::new("revoked-definitions");
    let file = |key: &TestKey| format!("repos/keys/{}.asc", key.fingerprint());
    for key in [&site.key, &site.other] {
        site.scratch.write(&file(key), key.public_file());
    }
    fs::remove_dir_all(site.file("keys")).unwrap();
    let told = site.install(&[]).ok().err;
    assert!(told.contains("since the copy was made that is here"), "{told}");
    // What they know is known although the server hides it.
    let before = revoke(&mut site);
    site.scratch.write(&file(&site.key), site.key.public_file());
    site.write("keys/key", before);
    publish(&site, "2.0");
    update(&site).refused(4, "which was revoked");
    // A key that nobody pins is nobody's because its certificate is there.
    let attacker = TestKey::new();
    site.scratch.write(&file(&attacker), attacker.public_file());
    let forged = |package: Package| {
        let bytes = package.signed(&attacker);
        site.forged(package, bytes)
    };
    site.publish_in("other", 3000, &[Listed { requires: "", ..forged(hello("3.0")) }]);
    site.run("update", &["--disable-repo", "base"]).refused(4, "hello-3.0-1.el9.x86_64 is refused");
    // A certificate is called by its fingerprint.
    site.scratch.write("repos/keys/lab.asc", site.key.public_file());
    site.install(&[]).refused(2, "keys/FINGERPRINT.asc");
}

/// A site that has `hello-data` from the repository `other`, signed by the key of that.
fn with_other(name: &str) -> Site {
    let site = Site::new(name);
    site.publish(1000, &[site.good(hello("1.0"))]);
    let package = data();
    let bytes = package.signed(&site.other);
    site.publish_in("other", 1000, &[site.forged(package, bytes)]);
    site
}

#[test]
fn a_lock_file_brings_what_was_known_of_keys() {
    let mut site = with_other("revoked-lock");
    let before = site.other.public_file();
    site.other.revoke(RevocationCode::KeyCompromised, MADE + 500);
    site.write("keys/other", site.other.public_file());
    let mut plan = site.elsewhere();
    plan.arg("plan").arg("--mirror").arg(site.mirror()).arg("--repos").arg(site.repos());
    plan.arg("--cache-dir").arg(site.cache()).args(["-d", "lab", "-r", "hello", "-a", "x86_64"]);
    let lock = Outcome::of(plan.args(["--lock", "-"]).output().unwrap()).ok().out;
    let install = |text: &str| {
        // Another machine, and a server that hides it.
        fs::remove_dir_all(site.cache()).unwrap();
        site.write("keys/other", &before);
        let file = site.scratch.write("lock.toml", text);
        site.run("install", &["--lock", file.to_str().unwrap()])
    };
    install(&lock).refused(4, "hello-data-1.0-1.el9.x86_64 is refused");
    let (without, _) = lock.split_once("\n[certificates]").unwrap();
    install(without).ok();
    assert!(site.run_status().contains("hello-data-1.0-1.el9.x86_64  signed by"));
}

#[test]
fn what_a_revoked_key_signed_is_not_taken_over() {
    let mut site = with_other("revoked-taken");
    site.install(&[]).ok();
    site.other.revoke(RevocationCode::KeyCompromised, MADE + 500);
    site.write("keys/other", site.other.public_file());
    pass(&site, 1);
    // What is there stays, and that is said.
    let told = update(&site).ok().err;
    assert!(told.contains("1 of the packages that are installed"), "{told}");
    assert!(told.contains(site.other.fingerprint().as_str()), "{told}");
    // In a new tree it would be a package like any other.
    site.publish(2000, &[site.good(hello("2.0"))]);
    update(&site).refused(4, "hello-data-1.0-1.el9.x86_64 is refused");
}

#[test]
fn what_a_revoked_key_signed_is_not_taken_from_the_store() {
    let mut site = installed("revoked-store");
    let taken = "are not decoded again: 2";
    let again = || {
        fs::remove_dir_all(site.prefix()).unwrap();
        site.install(&["--verbose"])
    };
    assert!(again().ok().err.contains(taken));
    let unpacked = site.cache().join("unpacked/packages");
    let count = || fs::read_dir(&unpacked).unwrap().count();
    let before = site.key.public_file();
    revoke(&mut site);
    pass(&site, 1);
    fs::remove_dir_all(site.prefix()).unwrap();
    let refused = site.install(&["--verbose"]).refused(4, "which was revoked");
    assert!(!refused.err.contains("are not decoded again"), "{}", refused.err);
    assert!(!site.in_tree("share/hello/text").exists());
    assert_eq!(count(), 2, "to whom the key is good it is still there");
    // Another world, in which nobody knows.
    site.write("keys/key", before);
    fs::remove_dir_all(site.cache().join("seen")).unwrap();
    let _ = fs::remove_dir_all(site.prefix());
    assert!(site.install(&["--verbose"]).ok().err.contains(taken));
}

#[test]
fn what_a_key_signed_before_it_retired_is_taken_over() {
    let mut site = with_other("revoked-retired");
    site.install(&[]).ok();
    site.other.revoke(RevocationCode::KeyRetired, MADE + 9000);
    site.write("keys/other", site.other.public_file());
    pass(&site, 1);
    assert!(!update(&site).ok().err.contains("revoked"));
    site.publish(2000, &[site.good(hello("2.0"))]);
    update(&site).ok();
    assert!(site.run_status().contains("hello-2.0-1.el9"));
}
