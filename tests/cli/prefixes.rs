//! Prefixes in awkward places.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::support::tiny::{TOOL, Tiny, text};
use crate::{ends, fails};

#[test]
fn a_path_with_spaces_works() {
    let tiny = Tiny::new("prefix-space");
    let prefix = tiny.scratch.path().join("my tools/it's here");
    let told = ends(tiny.run("install").args(TOOL).arg(&prefix), 0);
    assert!(
        told.contains(
            "warning: the prefix has a blank in its path, which breaks in tool: counting words"
        ),
        "{told}"
    );
    let suggestion = told.lines().find_map(|line| line.strip_prefix("try: ")).unwrap();
    let run = Command::new("sh").arg("-c").arg(suggestion).output().unwrap();
    assert_eq!(text(&run.stdout), "tool version 2.0.0\n", "{told}");
}

#[test]
fn a_path_with_a_comma_is_warned_of_by_runtime() {
    let tiny = Tiny::new("prefix-comma");
    let prefix = tiny.scratch.path().join("a,b");
    let told = ends(tiny.run("install").args(TOOL).arg(&prefix), 0);
    let warning =
        "warning: the prefix has a comma in its path, which breaks in tool: counting clauses";
    assert_eq!(told.matches(warning).count(), 1, "{told}");
    assert!(!told.contains("a blank"), "{told}");
}

#[test]
fn paths_that_no_runtime_can_live_with_are_refused() {
    let tiny = Tiny::new("prefix-refused");
    let root = tiny.scratch.path();
    for (name, part) in [
        (OsStr::new("a:b"), "colon"),
        (OsStr::new("a\nb"), "line break"),
        (OsStr::from_bytes(b"a\xffb"), "UTF-8"),
        // By its runtime's file.
        (
            OsStr::new("a=b"),
            "has an equals sign (=) in its path, with which tool does not work: counting",
        ),
    ] {
        let prefix = root.join(name);
        fails(tiny.run("install").args(TOOL).arg(&prefix), 6, &[part]);
        assert!(!prefix.exists());
    }
}

#[test]
fn a_prefix_in_another_ones_bin_is_a_mistake() {
    let tiny = Tiny::new("prefix-inside");
    tiny.install(&[]);
    for inside in ["bin", "x86_64", "aarch64/opt", ".elsewhere/x"] {
        let path = tiny.prefix().join(inside);
        let hint = format!("hint: did you mean {}?", tiny.prefix().display());
        let parts = ["lies inside the prefix", &hint];
        fails(tiny.run("install").args(TOOL).arg(path), 6, &parts);
    }
    ends(tiny.run("install").args(TOOL).arg(tiny.prefix().join("other")), 0);
}

#[test]
fn a_file_in_the_way_is_left_alone() {
    let tiny = Tiny::new("prefix-file");
    let file = tiny.scratch.write("file", "mine");
    fails(tiny.run("install").args(TOOL).arg(&file), 6, &["is not a directory"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    fails(tiny.run("install").args(TOOL).arg(file.join("below")), 6, &["file/below"]);
}

#[test]
fn a_place_that_cannot_be_written() {
    let tiny = Tiny::new("prefix-unwritable");
    fails(tiny.run("install").args(TOOL).arg("/proc/elsewhere"), 6, &["/proc/elsewhere"]);
}

#[test]
fn a_symlink_to_a_directory_is_followed() {
    let tiny = Tiny::new("prefix-symlink");
    let real = tiny.scratch.path().join("real");
    fs::create_dir(&real).unwrap();
    let link = tiny.scratch.path().join("link");
    std::os::unix::fs::symlink("real", &link).unwrap();
    ends(tiny.run("install").args(TOOL).arg(&link), 0);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let run = Command::new(real.join("bin/tool")).output().unwrap();
    assert_eq!(text(&run.stdout), "tool version 2.0.0\n");
}

#[test]
fn a_prefix_of_the_old_script_is_recognised() {
    let tiny = Tiny::new("prefix-script");
    fs::create_dir_all(tiny.prefix().join("x86_64/bin")).unwrap();
    fails(
        tiny.run("install").args(TOOL).arg(tiny.prefix()),
        6,
        &["install-unprivileged.sh", "--adopt"],
    );
}

#[test]
fn two_installs_at_once_take_turns() {
    let tiny = Tiny::new("prefix-two");
    let command = || {
        let mut command = tiny.run("install");
        command.args(TOOL).arg(tiny.prefix()).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let running: Vec<_> = (0..4).map(|_| command()).collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let run = Command::new(tiny.prefix().join("bin/tool")).output().unwrap();
    assert_eq!(text(&run.stdout), "tool version 2.0.0\n");
    // One made it, the others found it made.
    assert!(!tiny.prefix().join(".elsewhere/x86_64/2").exists());
}

#[test]
fn a_busy_prefix_is_told_with_no_wait() {
    let tiny = Tiny::new("prefix-busy");
    tiny.install(&["-v", "1.9.3"]);
    let lock = fs::File::open(tiny.prefix().join(".elsewhere/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut command = tiny.run("install");
    fails(command.args(TOOL).arg("--no-wait").arg(tiny.prefix()), 9, &["is being changed by"]);
}

#[test]
fn a_moved_prefix_works_and_names_no_place() {
    let tiny = Tiny::new("prefix-moved");
    tiny.install(&[]);
    let moved = tiny.scratch.path().join("moved here");
    fs::rename(tiny.prefix(), &moved).unwrap();
    let run = Command::new(moved.join("bin/tool")).output().unwrap();
    assert_eq!(text(&run.stdout), "tool version 2.0.0\n");
    let grep = Command::new("grep").arg("-rlF").arg(tiny.prefix()).arg(&moved).output().unwrap();
    assert_eq!(text(&grep.stdout), "");
}
