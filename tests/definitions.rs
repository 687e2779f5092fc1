//! What was made with definitions of the user's own is judged, and goes back, without them; and what
//! must trust somebody names those that are missing.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::site::{Site, data, hello};

/// Exit status where definitions are missing.
const UNDEFINED: i32 = 11;

fn installed(name: &str) -> Site {
    let site = Site::new(name);
    site.install(&[]).ok();
    site
}

fn update_to(site: &Site, version: &str, time: u64) {
    site.publish(time, &[site.good(hello(version)), site.good(data())]);
    site.run("update", &[]).ok();
}

/// The launcher of `hello`.
fn launcher(site: &Site) -> String {
    fs::read_to_string(site.prefix().join("bin/hello")).unwrap()
}

/// Changes the runtime's definition.
fn redefine(site: &Site, from: &str, to: &str) {
    let path = site.scratch.path().join("repos/runtimes/hello.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_prefix_is_judged_without_the_definitions_that_made_it() {
    let site = installed("undefined-judged");
    update_to(&site, "2.0", 2000);
    site.run_without_definitions(&["verify", "--all"]).ok();
    assert!(site.run_without_definitions(&["status"]).ok().out.contains("hello 2.0 from lab"));
    assert!(site.run_without_definitions(&["sbom"]).ok().out.contains("hello-data"));
    site.run_without_definitions(&["history"]).ok();
    let doctor = site.run_without_definitions(&["doctor"]);
    assert!(doctor.err.contains("hello: no definition here says"), "{doctor:?}");
    site.run_without_definitions(&["rollback"]).ok();
    assert!(site.run_status().contains("hello 1.0 from lab"));
    site.run_without_definitions(&["verify", "--all"]).ok();
    site.run_without_definitions(&["rollback"]).ok();
    assert!(site.run_status().contains("hello 2.0 from lab"));
}

#[test]
fn what_needs_no_package_is_repaired_without_definitions() {
    let site = installed("undefined-repair");
    let text = site.in_tree("share/hello/text");
    fs::set_permissions(&text, fs::Permissions::from_mode(0o777)).unwrap();
    fs::remove_file(site.in_tree("bin/hi")).unwrap();
    fs::remove_file(site.prefix().join("bin/hello")).unwrap();
    site.run_without_definitions(&["verify"]).refused(8, "is damaged: 3 findings");
    site.run_without_definitions(&["verify", "--repair"]).ok();
    fs::write(&text, "damaged").unwrap();
    let outcome = site.run_without_definitions(&["verify", "--repair"]);
    outcome
        .refused(UNDEFINED, "definitions that are not here: dists/lab.toml, runtimes/hello.toml");
    assert_eq!(fs::read_to_string(&text).unwrap(), "damaged");
    site.run("verify", &["--repair"]).ok();
}

#[test]
fn what_must_trust_somebody_names_the_definitions_that_are_missing() {
    let site = installed("undefined-trust");
    let missing = "definitions that are not here: dists/lab.toml, runtimes/hello.toml";
    for words in [&["update"][..], &["update", "--check"], &["verify", "--deep"]] {
        let outcome = site.run_without_definitions(words);
        assert!(outcome.err.contains("--repos"), "{outcome:?}");
        outcome.refused(UNDEFINED, missing);
    }
    let outcome = site.run_without_definitions(&["install", "-r", "crun", "-a", "x86_64"]);
    outcome.refused(UNDEFINED, "definitions that are not here: runtimes/hello.toml");
    // The dist is known, and a repository of it that packages came from is not.
    let path = site.scratch.path().join("repos/dists/lab.toml");
    let dist = fs::read_to_string(&path).unwrap();
    fs::write(path, dist.replace("id = \"base\"", "id = \"renamed\"")).unwrap();
    let missing = "the repository base in dists/lab.toml";
    site.run("verify", &["--deep"]).refused(UNDEFINED, missing);
}

#[test]
fn receipts_that_do_not_say_it_are_read_with_the_definitions() {
    let site = installed("undefined-older");
    update_to(&site, "2.0", 2000);
    site.forge_receipt(|receipt| {
        receipt.as_object_mut().unwrap().remove("made_with").unwrap();
    });
    site.run("verify", &["--deep"]).ok();
    let missing = "definitions that are not here: runtimes/hello.toml";
    site.run_without_definitions(&["verify"]).refused(UNDEFINED, missing);
    site.run_without_definitions(&["status"]).ok();
    site.run("rollback", &[]);
    site.run("rollback", &[]);
    site.run("update", &[]).ok();
}

#[test]
fn launchers_follow_what_is_live() {
    let site = installed("undefined-launchers");
    let first = launcher(&site);
    redefine(&site, "path = \"bin/hello\"\n", "path = \"bin/hello\"\narguments = [\"loud\"]\n");
    // The same packages, and made otherwise.
    let installed = site.install(&[]).ok();
    assert!(!installed.err.contains("nothing to do"), "{}", installed.err);
    assert!(launcher(&site).contains("loud"));
    assert!(site.install(&[]).ok().err.contains("nothing to do"));
    site.run_without_definitions(&["rollback"]).ok();
    assert_eq!(launcher(&site), first);
    site.run_without_definitions(&["verify"]).ok();
    site.run("verify", &[]).ok();
}

#[test]
fn a_receipt_that_was_told_other_definitions_is_found_by_looking_deep() {
    let site = installed("undefined-forged");
    site.forge_receipt(|receipt| {
        receipt["made_with"]["host_libraries"] = serde_json::json!(["*"]);
    });
    site.run("verify", &[]).ok();
    let outcome = site.run("verify", &["--deep"]).refused(8, "is damaged: 1 finding");
    assert!(
        outcome.out.contains(".elsewhere.json: the receipt says otherwise than"),
        "{outcome:?}"
    );
}
