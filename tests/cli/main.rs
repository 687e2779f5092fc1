//! The program as users call it: what it prints, what it writes, how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod errors;
mod help;
mod install;
mod prefixes;
mod screen;

use std::process::{Command, Output};

use support::tiny::text;

/// Variables that would change what the program does, if the tests let it see them.
const OUTSIDE: [(&str, &str); 14] = [
    ("ELSEWHERE_ATTEMPTS", "often"),
    ("ELSEWHERE_CONFIG", "/nonexistent/config.toml"),
    ("ELSEWHERE_DIST", "nowhere"),
    ("ELSEWHERE_MIRROR", "/nonexistent"),
    ("HOME", "/nonexistent"),
    ("LANG", "C"),
    ("LC_ALL", "C"),
    ("NO_COLOR", "1"),
    ("SOURCE_DATE_EPOCH", "1"),
    ("SSL_CERT_FILE", "/nonexistent"),
    ("XDG_CACHE_HOME", "/nonexistent"),
    ("XDG_CONFIG_HOME", "/nonexistent"),
    ("http_proxy", "http://127.0.0.1:9"),
    ("https_proxy", "http://127.0.0.1:9"),
];

/// All tests of this file again, with much set that is no concern of theirs.
#[test]
fn nothing_that_is_set_outside_counts() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--skip", "nothing_that_is_set_outside_counts"]).envs(OUTSIDE);
    let Output { status, stdout, .. } = again.output().unwrap();
    assert!(status.success(), "{}", text(&stdout));
}

/// Runs `command`, which must end with `status`, and returns what it printed on standard error.
fn ends(command: &mut Command, status: i32) -> String {
    let Output { status: ended, stdout, stderr } = command.output().unwrap();
    let told = text(&stderr);
    assert_eq!(ended.code(), Some(status), "{command:?}\n{told}\n{}", text(&stdout));
    told
}

/// As [`ends`], and its standard error must have every one of `parts`.
fn fails(command: &mut Command, status: i32, parts: &[&str]) {
    let told = ends(command, status);
    for part in parts {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
    assert!(!told.contains("panicked"), "{told}");
}
