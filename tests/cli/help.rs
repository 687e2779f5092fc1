//! Help, usage errors and listings.

use std::process::Command;

use crate::support::program;
use crate::support::tiny::{TOOL, Tiny, text};
use crate::{ends, fails};

const COMMANDS: [&str; 25] = [
    "install",
    "plan",
    "list",
    "lock",
    "mirror",
    "push",
    "sync",
    "lint",
    "status",
    "verify",
    "sbom",
    "update",
    "rollback",
    "history",
    "pin",
    "unpin",
    "remove",
    "prune",
    "cache",
    "receipt",
    "doctor",
    "env",
    "module",
    "completions",
    "man",
];

fn elsewhere() -> Command {
    program::elsewhere()
}

#[test]
fn help_shows_commands_examples_and_exit_statuses() {
    let output = elsewhere().arg("--help").output().unwrap();
    let help = text(&output.stdout);
    assert!(output.status.success());
    for part in
        ["install", "plan", "list", "status", "Examples:", "Exit statuses:", "130  interrupted"]
    {
        assert!(help.contains(part), "{part}");
    }
}

#[test]
fn every_command_has_help_that_fits_a_terminal() {
    for command in COMMANDS {
        let output = elsewhere().args([command, "--help"]).output().unwrap();
        let help = text(&output.stdout);
        assert!(help.contains("Usage: elsewhere"), "{command}");
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{command}: {line}");
            assert!(line.is_ascii(), "not every locale has that: {command}: {line}");
        }
    }
}

#[test]
fn usage_errors_end_with_2() {
    fails(elsewhere().arg("instal"), 2, &["unrecognized subcommand", "install"]);
    fails(elsewhere().args(["install", "--color", "p"]), 2, &["unexpected argument"]);
    fails(elsewhere().arg("install"), 2, &["<PREFIX>"]);
    fails(
        elsewhere().args(["install", "-a", "i686", "p"]),
        2,
        &["unknown architecture \"i686\": choose from x86_64, aarch64, ppc64le, s390x"],
    );
    fails(
        elsewhere().args(["install", "-r", "apptainer,crun", "-v", "1", "p"]),
        2,
        &["--version belongs to one runtime"],
    );
}

#[test]
fn old_scripts_options_are_accepted() {
    let tiny = Tiny::new("cli-old-options");
    let mut command = tiny.run("plan");
    let told = ends(command.args(TOOL).args(["-o", "-e"]), 0);
    assert!(told.contains("EL packages are used on openSUSE and SLES too"), "{told}");
}

#[test]
fn list_shows_versions_newest_first() {
    let tiny = Tiny::new("cli-list");
    let output = tiny.run("list").args(["-d", "tiny", "-a", "x86_64"]).output().unwrap();
    let listing = text(&output.stdout);
    assert!(listing.contains("tool            2.0.0 1.10.0 1.9.3 1.2.0"), "{listing}");
    assert!(listing.contains("el8   glibc 2.28  until 2029-05-31"), "{listing}");
    assert!(listing.lines().all(|line| line.chars().count() <= 80), "{listing}");
}

#[test]
fn list_without_a_network_still_lists_the_definitions() {
    let tiny = Tiny::new("cli-list-offline");
    let mut command = tiny.run_from("list", "/proc");
    let output = command.args(["-a", "x86_64"]).output().unwrap();
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("charliecloud"));
    assert!(text(&output.stderr).contains("warning: versions are not known"));
}
