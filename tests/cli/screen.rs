//! What is printed fits the screen, and any locale.

use std::process::Command;

use crate::support::program;
use crate::support::tiny::{TOOL, Tiny, text};

/// What a command prints on a screen of so many columns.
fn printed(command: &mut Command, width: usize) -> String {
    let output = command.env("COLUMNS", width.to_string()).env("TERM", "xterm").output().unwrap();
    text(&output.stdout)
}

#[test]
fn plans_fit_the_screen() {
    let tiny = Tiny::new("screen-plan");
    for width in [40, 60, 80, 200] {
        let plan = printed(tiny.run("plan").args(TOOL), width);
        assert!(plan.contains("tool needs tool-data >= 1-2"), "{plan}");
        for line in plan.lines() {
            assert!(line.len() <= width && line.is_ascii(), "{width}: {line}");
            assert_eq!(line, line.trim_end());
        }
    }
    let narrow = printed(tiny.run("plan").args(TOOL), 30);
    assert!(narrow.contains("\n  tool-data 1-2\n      os, "), "{narrow}");
}

#[test]
fn the_doctor_fits_the_screen() {
    // A prefix that cannot be, and little else that works: much is said.
    let words = ["doctor", "--wait", "20", "/proc/a-directory-with-a-long-name"];
    for width in [40, 60, 80, 100, 200] {
        let mut command = program::elsewhere();
        let told = printed(command.env_remove("HOME").env_remove("PATH").args(words), width);
        assert!(told.contains("user-namespaces") && told.contains("On this machine:"), "{told}");
        assert!(told.is_ascii(), "{told}");
        let is_command = |line: &&str| line.starts_with("    ") && !line.starts_with("     ");
        let prose = told.lines().filter(|line| width >= 80 || !is_command(line));
        for line in prose.filter(|line| !line.contains("/proc/a-directory")) {
            let limit = if line.contains(" > /etc/") { 200 } else { width };
            assert!(line.chars().count() <= limit, "{width}: {line}");
        }
    }
}

#[test]
fn no_terminal_gets_colours_or_bars() {
    let tiny = Tiny::new("screen-plain");
    let mut command = tiny.run("install");
    let output = command.args(TOOL).arg(tiny.prefix()).env("TERM", "xterm-256color").output();
    let output = output.unwrap();
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(told.is_ascii() && !told.contains(['\x1b', '\r']), "{told:?}");
}
