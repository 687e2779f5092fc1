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
