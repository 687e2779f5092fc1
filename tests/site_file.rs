//! `/etc/elsewhere/config.toml`, in a mount namespace with an `/etc` of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{program, tools};

/// A directory with a site's file and a home.
fn place(test: &str, site: &str, user: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("site-file").join(test);
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(place.join(".config/elsewhere")).unwrap();
    fs::write(place.join("site.toml"), site).unwrap();
    fs::write(place.join(".config/elsewhere/config.toml"), user).unwrap();
    place
}

/// Runs `elsewhere WORDS` there: its status, and what it says.
fn run(place: &Path, words: &[&str]) -> (i32, String) {
    let script = "mount -t tmpfs none /etc && mkdir /etc/elsewhere && \
                  cp \"$1/site.toml\" /etc/elsewhere/config.toml && shift && exec \"$@\"";
    let output = Command::new(tools::need("unshare", "util-linux"))
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(place)
        .arg(program::path())
        .args(words)
        .env_clear()
        .env("HOME", place)
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const PLAN: [&str; 5] = ["plan", "-a", "x86_64", "--for", "el8"];

#[test]
fn the_sites_file_counts_after_the_users_and_what_is_named() {
    let site = "mirror = '/of-site'\ndist = 'el8'\n";
    let says = |place: &Path, words: &[&str], part: &str| {
        let (status, told) = run(place, &[&PLAN, words].concat());
        assert_eq!(status, 2, "{told}");
        assert!(told.contains(&format!("the mirror {part} is no directory")), "{told}");
    };
    let alone = place("alone", site, "");
    says(&alone, &[], "/of-site");
    let named = alone.join("named.toml");
    fs::write(&named, "mirror = '/of-named'").unwrap();
    says(&alone, &["--config", named.to_str().unwrap()], "/of-named");
    says(&place("both", site, "mirror = '/of-user'"), &[], "/of-user");
    says(&alone, &["--mirror", "/of-option"], "/of-option");
}

#[test]
fn the_sites_policy_holds_against_the_users_file_and_options() {
    let site = "mirror = '/proc'\n[policy]\nforbid_unsigned = true\ndists = ['el9']\n";
    let place = place("policy", site, "[policy]\nforbid_unsigned = false\ndists = []\n");
    let (status, told) = run(&place, &[&PLAN[..], &["--allow-unsigned"]].concat());
    assert_eq!(status, 2, "{told}");
    assert!(told.contains("--allow-unsigned is forbidden by this site's configuration"), "{told}");
    assert!(told.contains("/etc/elsewhere/config.toml"), "{told}");
}

#[test]
fn the_sites_definitions_are_known_to_every_command() {
    let place = place("repos", "", "");
    fs::create_dir_all(place.join("repos/runtimes")).unwrap();
    let runtime = "name = 'ours'\ntitle = 'Ours'\npackage = 'ours'\ncommand = []\n";
    fs::write(place.join("repos/runtimes/ours.toml"), runtime).unwrap();
    let site = format!("repos = ['{}']\n", place.join("repos").display());
    fs::write(place.join("site.toml"), site).unwrap();
    let (_, told) = run(&place, &["doctor", "-r", "ours"]);
    assert!(!told.contains("unknown runtime"), "{told}");
    let (status, told) = run(&place, &["doctor", "-r", "theirs"]);
    assert!(status == 2 && told.contains("ours,"), "{told}");
}

#[test]
fn a_sites_file_that_is_wrong_is_named() {
    let place = place("wrong", "mirrors = 'x'\n", "");
    let (status, told) = run(&place, &PLAN);
    assert_eq!(status, 2, "{told}");
    assert!(told.contains("/etc/elsewhere/config.toml, line 1: unknown field `mirrors`"), "{told}");
}
