//! Whose word counts: a lock file, an option, a key and an old mirror have no more of it than the
//! definitions and the user gave them.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use support::keys::TestKey;
use support::rpms::Package;
use support::site::{Outcome, Site, data, hello};

/// A site whose packages are signed by a key that nobody pinned; the key's file is on the mirror.
fn with_forged(name: &str) -> (Site, TestKey) {
    let site = Site::new(name);
    let attacker = TestKey::new();
    site.write("keys/attacker", attacker.public_file());
    let forged = |package: Package| {
        let bytes = package.signed(&attacker);
        site.forged(package, bytes)
    };
    site.publish(2000, &[forged(hello("2.0")), forged(data())]);
    (site, attacker)
}

/// What `elsewhere plan` makes of the site, as a lock file.
fn lock(site: &Site, words: &[&str]) -> String {
    let mut plan = site.elsewhere();
    plan.arg("plan").arg("--mirror").arg(site.mirror()).arg("--repos").arg(site.repos());
    plan.arg("--cache-dir").arg(site.cache()).args(["-d", "lab", "-r", "hello", "-a", "x86_64"]);
    let outcome = Outcome::of(plan.args(words).args(["--lock", "-"]).output().unwrap()).ok();
    outcome.out
}

/// Installs by a lock file with this text.
fn install_by(site: &Site, lock: &str, words: &[&str]) -> Outcome {
    let file = site.scratch.write("lock.toml", lock);
    site.run("install", &[&["--lock", file.to_str().unwrap()], words].concat())
}

/// The tables of a lock file, each with its heading.
fn tables(lock: &str) -> Vec<String> {
    lock.split("\n[").map(|table| format!("\n[{table}")).collect()
}

#[test]
fn a_lock_file_gives_no_trust_to_a_key() {
    let (site, attacker) = with_forged("believed-lock");
    let print = attacker.fingerprint();
    let forged = lock(&site, &[]).replace(site.key.fingerprint().as_str(), print.as_str());
    let forged = forged.replace("forged.example/keys/key", "forged.example/keys/attacker");
    let refused = install_by(&site, &forged, &[]).refused(4, print.as_str());
    assert!(refused.err.contains("lab/base"), "{}", refused.err);
    assert!(refused.err.contains("--trust-key"), "{}", refused.err);
    assert!(!site.prefix().exists());
    // Nor does it where the site forbids to trust more keys; there nobody can say otherwise.
    let config = site.scratch.write("config.toml", "[policy]\nforbid_trust_key = true\n");
    let config = ["--config", config.to_str().unwrap()];
    install_by(&site, &forged, &config).refused(4, print.as_str());
    // The user's word counts.
    let file = site.scratch.write("attacker.asc", attacker.public_file());
    let word = file.to_str().unwrap().to_owned();
    install_by(&site, &forged, &["--trust-key", &word]).ok();
}

#[test]
fn a_lock_file_may_narrow_trust() {
    let site = Site::new("believed-narrow");
    let whole = lock(&site, &[]);
    let without = |key: &TestKey| -> String {
        let print = key.fingerprint();
        let is_its = |table: &&String| {
            table.starts_with("\n[[tree.source.key]]") && table.contains(print.as_str())
        };
        tables(&whole).iter().filter(|table| !is_its(table)).map(String::as_str).collect()
    };
    let narrower = without(&site.key);
    assert_ne!(narrower.trim(), whole.trim());
    install_by(&site, narrower.trim_start_matches(['\n', '[']), &[]).refused(4, "is refused");
    let enough = without(&site.expired);
    install_by(&site, enough.trim_start_matches(['\n', '[']), &[]).ok();
}

#[test]
fn a_lock_file_brings_no_repositories() {
    let site = Site::new("believed-source");
    let text = lock(&site, &[]);
    let foreign = text.replace("\"base\"", "\"mine\"");
    let refused = install_by(&site, &foreign, &[]).refused(4, "repository mine");
    assert!(refused.err.contains("--repos"), "{}", refused.err);
    // Where it is called as a file that the user names, only a runtime's own package is.
    let local = text.replace("\"base\"", "\"local\"");
    install_by(&site, &local, &[]).refused(4, "hello-data-1.0-1.el9.x86_64");
    // What a policy leaves out, it leaves out.
    let policy = site.scratch.write("policy.toml", "[policy]\ndisable_repo = ['base']\n");
    let policy = ["--config", policy.to_str().unwrap()];
    install_by(&site, &text, &policy).refused(4, "repository base");
    // Of a repository that is read for some packages only, it takes no others.
    let definition = site.repos().join("dists/lab.toml");
    let dist = fs::read_to_string(&definition).unwrap();
    let only = dist.replace("id = \"base\"\n", "id = \"base\"\nonly = [\"hello\"]\n");
    fs::write(&definition, only).unwrap();
    install_by(&site, &text, &[]).refused(4, "hello-data-1.0-1.el9.x86_64");
    fs::write(&definition, dist).unwrap();
    install_by(&site, &text, &[]).ok();
}
