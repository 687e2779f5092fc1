//! A lock file is enough: nothing is read of repositories, and packages are found where they are now. What
//! became of what it names, `lock --check` says.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::PathBuf;

use pgp::packet::RevocationCode;
use serde_json::{Value, json};
use support::keys::{MADE, SignOptions};
use support::server::Server;
use support::site::{Outcome, Site, data, hello};

/// A site and a lock file of its `hello`.
struct Locked {
    site: Site,
    file: PathBuf,
}

impl Locked {
    fn new(name: &str) -> Self {
        Self::of(Site::new(name))
    }

    fn of(site: Site) -> Self {
        let file = site.place("hello.lock");
        let mut plan = site.elsewhere();
        plan.args(["plan", "-d", "lab", "-r", "hello", "-a", "x86_64", "--mirror"]);
        plan.arg(site.mirror()).arg("--repos").arg(site.repos());
        plan.arg("--cache-dir").arg(site.place("other-cache")).arg("--lock").arg(&file);
        Outcome::of(plan.output().unwrap()).ok();
        Self { site, file }
    }

    fn install(&self, mirror: &str) -> Outcome {
        // Where packages are is what these tests are about.
        let words = ["--no-store", "--lock", self.file.to_str().unwrap()];
        self.site.run_from(mirror, "install", &words)
    }

    /// What `lock --check` says, which must end with `status`.
    #[track_caller]
    fn check(&self, status: i32) -> Value {
        let mut check = self.site.elsewhere();
        check.args(["lock", "--json", "--check"]).arg(&self.file).arg("--mirror");
        check.arg(self.site.mirror()).arg("--repos").arg(self.site.repos());
        check.arg("--cache-dir").arg(self.site.cache());
        let outcome = Outcome::of(check.output().unwrap());
        assert_eq!(outcome.status, status, "{}{}", outcome.out, outcome.err);
        outcome.json()["trees"][0].clone()
    }

    fn rewrite(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.file).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(&self.file, text.replace(from, to)).unwrap();
    }
}

#[test]
fn installing_by_a_lock_file_reads_nothing_of_repositories() {
    let locked = Locked::new("lock-enough");
    for id in ["base", "other"] {
        fs::remove_dir_all(locked.site.file(&format!("{id}/repodata"))).unwrap();
    }
    let server = Server::start(locked.site.mirror());
    locked.install(&server.url()).ok();
    let asked = server.requests();
    assert!(asked.iter().any(|it| it.contains("hello-1.0")), "{asked:?}");
    assert!(!asked.iter().any(|it| it.contains("repodata")), "{asked:?}");
}

#[test]
fn a_package_whose_places_are_gone_is_found_where_its_repository_is_now() {
    let locked = Locked::new("lock-moved");
    locked.rewrite("https://forged.example/base/", "https://gone.example/base/");
    let mirror = locked.site.mirror();
    // Where the definition says.
    locked.install(mirror.to_str().unwrap()).ok();
    fs::remove_dir_all(locked.site.prefix()).unwrap();
    // Where the repository's list of mirrors says.
    fs::create_dir(mirror.join("second.example")).unwrap();
    let packages = mirror.join("second.example/Packages");
    fs::rename(locked.site.file("base/Packages"), &packages).unwrap();
    locked.install(mirror.to_str().unwrap()).refused(3, "gone.example");
    let file = locked.site.repos().join("dists/lab.toml");
    let definition = fs::read_to_string(&file).unwrap();
    let listed = "id = \"base\"\nmirrorlist = \"https://forged.example/list\"\n";
    fs::write(&file, definition.replace("id = \"base\"\n", listed)).unwrap();
    locked.site.write("list", "https://second.example/\n");
    locked.install(mirror.to_str().unwrap()).ok();
    fs::remove_dir_all(locked.site.prefix()).unwrap();
    // Only what was locked is taken there.
    let package = packages.join("hello-1.0-1.el9.x86_64.rpm");
    fs::write(&package, locked.site.good(hello("1.1")).bytes).unwrap();
    locked.install(mirror.to_str().unwrap()).refused(4, "second.example");
    assert!(!locked.site.prefix().join("bin").exists());
}

#[test]
fn a_lock_file_is_held_against_the_repositories_of_today() {
    let locked = Locked::new("lock-check");
    let standing = locked.check(0);
    assert_eq!((&standing["packages"], &standing["newer"]), (&json!(2), &json!([])));
    let site = &locked.site;
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let standing = locked.check(10);
    let newer = json!([{"package": "hello", "from": "1.0-1.el9", "to": "2.0-1.el9"}]);
    assert_eq!(standing["newer"], newer);
    assert_eq!(standing["gone"], json!([]), "it is not listed and still there");
    // Other bytes under its name are not it.
    let package = site.file("base/Packages/hello-1.0-1.el9.x86_64.rpm");
    fs::write(&package, "another").unwrap();
    assert_eq!(locked.check(5)["gone"][0]["package"], "hello-1.0-1.el9.x86_64");
    fs::remove_file(&package).unwrap();
    let gone = &locked.check(5)["gone"];
    assert_eq!(gone.as_array().unwrap().len(), 1, "{gone}");
    assert!(gone[0]["reason"].as_str().unwrap().contains("base/Packages/hello-1.0"), "{gone}");
    // It changes nothing.
    let mut check = site.elsewhere();
    check.args(["lock", "--check"]).arg(&locked.file).arg("--mirror").arg(site.mirror());
    check.arg("--repos").arg(site.repos()).arg("--cache-dir").arg(site.cache());
    let told = Outcome::of(check.output().unwrap()).refused(5, "elsewhere plan --lock");
    assert!(told.out.contains("hello 1.0-1.el9: there is 2.0-1.el9"), "{}", told.out);
}

#[test]
fn a_key_that_signed_what_is_locked_and_was_revoked_is_named() {
    let mut locked = Locked::new("lock-revoked");
    // Another key of the repository that was revoked signed nothing of it.
    assert_eq!(locked.check(0)["keys"], json!([]));
    locked.site.key.revoke(RevocationCode::KeyCompromised, MADE + 500);
    locked.site.write("keys/key", locked.site.key.public_file());
    fs::remove_dir_all(locked.site.cache()).unwrap();
    let keys = &locked.check(4)["keys"];
    assert_eq!(keys[0]["fingerprint"], locked.site.key.fingerprint().to_string());
    assert_eq!((&keys[0]["state"], keys.as_array().unwrap().len()), (&json!("revoked"), 1));
    assert_eq!(keys[0]["packages"].as_array().unwrap().len(), 2, "{keys}");
}

#[test]
fn a_key_that_signed_what_is_locked_and_has_expired_is_named() {
    let site = Site::new("lock-expired");
    let options = SignOptions { time: MADE + 100, ..SignOptions::default() };
    let bytes = hello("1.0").signed_so(&site.expired, &options);
    site.publish(2000, &[site.forged(hello("1.0"), bytes), site.good(data())]);
    let locked = Locked::of(site);
    let keys = locked.check(4)["keys"].clone();
    assert_eq!(keys[0]["fingerprint"], locked.site.expired.fingerprint().to_string());
    assert_eq!(keys[0]["state"], "expired");
    assert_eq!(keys[0]["packages"], json!(["hello-1.0-1.el9.x86_64"]));
    assert!(keys[0]["since"].is_string());
}

#[test]
fn a_lock_file_of_another_version_is_understood_or_refused_clearly() {
    let locked = Locked::new("lock-versions");
    let mirror = locked.site.mirror();
    let mirror = mirror.to_str().unwrap();
    let text = fs::read_to_string(&locked.file).unwrap();
    for (from, to, message) in [
        ("format = 2", "format = 3", "use the version of elsewhere that wrote it, or newer"),
        ("[[tree]]", "[[tree]]\ncolour = 1", "a newer version of elsewhere may have written it"),
    ] {
        locked.rewrite(from, to);
        locked.install(mirror).refused(2, message);
        fs::write(&locked.file, &text).unwrap();
    }
    // The first format had no certificates.
    let (plan, _) = text.split_once("[certificates]").unwrap();
    fs::write(&locked.file, plan.replace("format = 2", "format = 1")).unwrap();
    locked.install(mirror).ok();
}
