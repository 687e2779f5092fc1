//! Whose word counts: a lock file, an option, a key and an old mirror have no more of it than the
//! definitions and the user gave them.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use elsewhere::stages::model::Checksum;

use support::header::Relation;
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
    assert!(refused.err.contains("the definitions do not pin"), "{}", refused.err);
    assert!(refused.err.contains("--trust-key"), "{}", refused.err);
    assert!(!site.prefix().exists());
    // Nor does it where the site forbids to trust more keys; there nobody can say otherwise.
    let config = site.scratch.write("config.toml", "[policy]\nforbid_trust_key = true\n");
    let config = ["--config", config.to_str().unwrap()];
    install_by(&site, &forged, &config).refused(4, print.as_str());
    // The user's word counts.
    let file = site.scratch.write("attacker.asc", attacker.public_file());
    let word = format!("base={}", file.display());
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

/// `hello` 2.0, whose file says itself that it needs `hello-data`.
fn needy() -> Package {
    let mut hello = hello("2.0");
    hello.relations.of("requires").push(Relation::parse("hello-data"));
    hello
}

/// A site with this `hello-data` in its repository, and the words that install `hello` 2.0 from a file.
fn with_file(
    name: &str,
    hello_bytes: &[u8],
    data_bytes: impl Fn(&Site) -> Vec<u8>,
) -> (Site, String) {
    let site = Site::new(name);
    let bytes = data_bytes(&site);
    site.publish(2000, &[site.good(hello("1.0")), site.forged(data(), bytes)]);
    let file = site.scratch.write("hello-2.0-1.el9.x86_64.rpm", hello_bytes);
    (site, file.to_str().unwrap().to_owned())
}

#[test]
fn leave_for_an_unsigned_file_is_for_that_file() {
    let unsigned = needy().unsigned();
    let (site, file) = with_file("believed-unsigned", &unsigned, |_| data().unsigned());
    let install = |words: &[&str]| site.install(&[&["-v", &file], words].concat());
    let refused =
        install(&["--allow-unsigned"]).refused(4, "hello-data-1.0-1.el9.x86_64 is refused");
    assert!(refused.err.contains("--allow-unsigned=lab/base"), "{}", refused.err);
    let both = ["--allow-unsigned", "--allow-unsigned=other"];
    install(&both).refused(4, "hello-data-1.0-1.el9.x86_64 is refused");
    let refused =
        install(&["--allow-unsigned=base"]).refused(4, "hello-2.0-1.el9.x86_64 is refused");
    assert!(refused.err.contains("--allow-unsigned lets it in"), "{}", refused.err);
    assert!(!site.prefix().join("x86_64").exists());
    install(&["--allow-unsigned", "--allow-unsigned=lab/base"]).ok();
    // What was let in once needs the same leave when it is proved again.
    site.run("verify", &["--deep", "--allow-unsigned"]).refused(8, "is damaged: 1 finding");
    site.run("verify", &["--deep", "--allow-unsigned=local,base"]).ok();
    // Where there is no file, it would be leave for nothing.
    let told = "say for which repository";
    site.run("update", &["--allow-unsigned"]).refused(2, told);
    site.install(&["--allow-unsigned"]).refused(2, told);
    site.install(&["--allow-unsigned=bse"]).refused(2, "no repository is called");
}

#[test]
fn a_key_for_a_file_is_for_that_file() {
    let own = TestKey::new();
    let signed = needy().signed(&own);
    let (site, file) = with_file("believed-key", &signed, |_| data().signed(&own));
    let key = site.scratch.write("own.asc", own.public_file());
    let key = key.to_str().unwrap();
    let install = |words: &[&str]| site.install(&[&["-v", &file], words].concat());
    let data_is_refused = "hello-data-1.0-1.el9.x86_64 is refused";
    let refused = install(&["--trust-key", key]).refused(4, data_is_refused);
    assert!(refused.err.contains("--trust-key lab/base=FILE"), "{}", refused.err);
    let named = |id: &str| format!("{id}={key}");
    install(&["--trust-key", key, "--trust-key", &named("other")]).refused(4, data_is_refused);
    install(&["--trust-key", &named("base")]).refused(4, "hello-2.0-1.el9.x86_64 is refused");
    install(&["--trust-key", key, "--trust-key", &named("base")]).ok();
    site.install(&["--trust-key", key]).refused(2, "say for which repository");
}

#[test]
fn a_key_vouches_for_the_metadata_of_its_own_repository_alone() {
    let site = Site::new("believed-metadata");
    let own = TestKey::new();
    let key = site.scratch.write("own.asc", own.public_file());
    let file = site.scratch.write("hello.rpm", hello("2.0").signed(&own));
    let repomd = fs::read(site.file("base/repodata/repomd.xml")).unwrap();
    site.write("base/repodata/repomd.xml.asc", own.sign_detached(&repomd));
    let named = |id: &str| format!("{id}={}", key.display());
    let (alone, file) = (key.to_str().unwrap(), file.to_str().unwrap());
    site.install(&["-v", file, "--trust-key", alone]).refused(4, "repomd.xml");
    site.install(&["--trust-key", &named("other")]).refused(4, "repomd.xml");
    site.install(&["--trust-key", &named("base")]).ok();
}

/// `hello-data` in this version.
fn data_of(version: &str) -> Package {
    Package { version: version.to_owned(), ..data() }
}

/// A site whose prefix was made when `hello-data` was at 2.0; by now it serves what it did before, as it was
/// signed then, and the cache is empty.
fn replayed(name: &str) -> Site {
    let site = Site::new(name);
    site.publish(2000, &[site.good(hello("1.0")), site.good(data_of("2.0"))]);
    site.install(&[]).ok();
    site.publish(1000, &[site.good(hello("1.0")), site.good(data())]);
    fs::remove_dir_all(site.cache()).unwrap();
    site
}

fn has_data(site: &Site, version: &str) -> bool {
    site.run_status().contains(&format!("hello-data-{version}-1.el9.x86_64"))
}

#[test]
fn old_metadata_do_not_pass_through_an_empty_cache() {
    let site = replayed("believed-replay");
    for command in [["update", "-q"], ["update", "--check"]] {
        site.run(command[0], &command[1..]).refused(4, "older than what this prefix was made from");
    }
    let refused = site.install(&[]).refused(4, "older than what this prefix was made from");
    assert!(refused.err.contains("--allow-downgrade"), "{}", refused.err);
    assert!(has_data(&site, "2.0"));
    site.run("update", &["--allow-downgrade"]).ok();
    assert!(has_data(&site, "1.0"));
    // What was taken so is what is known now.
    site.run("update", &[]).ok();
    site.publish(3000, &[site.good(hello("1.0")), site.good(data_of("3.0"))]);
    site.run("update", &[]).ok();
    assert!(has_data(&site, "3.0"));
}

#[test]
fn a_lock_file_says_how_old_it_is() {
    let site = Site::new("believed-lock-age");
    let old = lock(&site, &[]);
    site.publish(2000, &[site.good(hello("1.0")), site.good(data_of("2.0"))]);
    let new = lock(&site, &[]);
    // What was installed by one lock file is known afterwards, whoever has the cache.
    install_by(&site, &new, &[]).ok();
    fs::remove_dir_all(site.cache()).unwrap();
    install_by(&site, &old, &[]).refused(4, "the lock file's metadata of lab-base-x86_64");
    site.publish(1000, &[site.good(hello("1.0")), site.good(data())]);
    site.run("update", &[]).refused(4, "older than what this prefix was made from");
    install_by(&site, &old, &["--allow-downgrade"]).ok();
    assert!(has_data(&site, "1.0"));
}

#[test]
fn newer_metadata_with_older_packages_take_nothing_back() {
    let site = Site::new("believed-packages");
    let of_other = |version: &str| {
        let package = data_of(version);
        let bytes = package.signed(&site.other);
        site.forged(package, bytes)
    };
    site.publish(1000, &[site.good(hello("1.0"))]);
    site.publish_in("other", 1000, &[of_other("2.0")]);
    site.install(&[]).ok();
    // Nothing but the server vouches for this repository: its package is genuine, and old.
    site.publish_in("other", 9000, &[of_other("1.0")]);
    let refused = site.run("update", &[]).refused(4, "hello-data-1.0-1.el9.x86_64 from lab");
    assert!(refused.err.contains("--allow-downgrade"), "{}", refused.err);
    site.install(&[]).refused(4, "hello-data-1.0-1.el9.x86_64 from lab");
    assert!(has_data(&site, "2.0"));
    site.run("update", &["--allow-downgrade"]).ok();
    assert!(has_data(&site, "1.0"));
}

#[test]
fn a_metalink_that_vouched_once_is_missed() {
    let site = Site::new("believed-metalink");
    let definition = site.repos().join("dists/lab.toml");
    let dist = fs::read_to_string(&definition).unwrap();
    let metalink = "id = \"other\"\nmetalink = \"https://forged.example/list\"\n";
    fs::write(&definition, dist.replace("id = \"other\"\n", metalink)).unwrap();
    let repomd = site.publish_in("other", 1000, &[]);
    let digest = Checksum::of(&repomd);
    let list = format!(
        "<metalink><files><file name=\"repomd.xml\"><verification><hash type=\"sha256\">{}</hash>\
         </verification><resources><url>https://forged.example/other/repodata/repomd.xml</url>\
         </resources></file></files></metalink>",
        digest.hex()
    );
    site.write("list", &list);
    site.install(&[]).ok();
    // Without it the repository can be read as well, from its base, where anybody may have written.
    fs::remove_file(site.file("list")).unwrap();
    site.run("update", &[]).refused(4, "a metalink vouched for it before");
    fs::remove_dir_all(site.cache()).unwrap();
    let refused = site.run("update", &[]).refused(4, "a metalink vouched for it before");
    assert!(refused.err.contains("--allow-downgrade"), "{}", refused.err);
    // Another mirror, which the user names, need not have it.
    let copy = site.place("copy");
    std::os::unix::fs::symlink(site.mirror(), &copy).unwrap();
    site.run_from(copy.to_str().unwrap(), "update", &[]).ok();
    site.run("update", &[]).refused(4, "a metalink vouched for it before");
    site.run("update", &["--allow-downgrade"]).ok();
    site.run("update", &[]).ok();
}
