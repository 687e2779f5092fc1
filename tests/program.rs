//! The program that a prefix keeps for itself.

#![allow(clippy::unwrap_used)]

mod prefixes;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use elsewhere::stages::launcher;
use elsewhere::stages::model::Arch;
use elsewhere::stages::prefix::{Locked, Prefix, PrefixError};
use elsewhere::stages::report::Silent;
use prefixes::{ARCH, Place, install, mode, write};

/// A script in place of the program.
const PROGRAM: &str = "#!/bin/sh\nprintf '%s|' ran \"$@\"\nexit 7\n";

fn run(program: &Path) -> Output {
    Command::new(program).args(["self update", "", "x"]).output().unwrap()
}

/// A prefix, and the script.
fn prepared() -> (Place, Prefix, Locked, PathBuf) {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    let program = place.join("elsewhere");
    write(&program, PROGRAM);
    (place, prefix, lock, program)
}

#[test]
fn it_is_kept_and_started_wherever_the_prefix_is() {
    let (place, prefix, lock, program) = prepared();
    for arch in Arch::ALL {
        lock.keep_program(arch, &program, launcher::own).unwrap();
    }
    let kept = prefix.path().join(".elsewhere/program/s390x/elsewhere");
    assert_eq!((mode(&kept), mode(&prefix.bin().join("elsewhere"))), (0o755, 0o755));
    let before = fs::metadata(&kept).unwrap().ino();
    lock.keep_program(Arch::S390x, &program, launcher::own).unwrap();
    assert_eq!(fs::metadata(&kept).unwrap().ino(), before, "what is right is not touched");
    write(&program, "#!/bin/sh\n");
    lock.keep_program(Arch::S390x, &program, launcher::own).unwrap();
    assert_ne!(fs::metadata(&kept).unwrap().ino(), before);
    install(&lock, &[("bin/x", "")]);
    drop(lock);
    let moved = place.join("moved there");
    fs::rename(prefix.path(), &moved).unwrap();
    let output = run(&moved.join("bin/elsewhere"));
    assert_eq!(output.stdout, b"ran|self update||x|");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn its_launcher_stays_when_others_go_and_says_what_is_missing() {
    let (_place, prefix, lock, program) = prepared();
    lock.keep_program(Arch::X86_64, &program, launcher::own).unwrap();
    lock.remove_launchers(&[]).unwrap();
    lock.clean(&Silent::default()).unwrap();
    assert!(prefix.bin().join("elsewhere").exists());
    fs::remove_dir_all(prefix.path().join(".elsewhere/program")).unwrap();
    let output = run(&prefix.bin().join("elsewhere"));
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&output.stderr).contains("install.sh"));
}

#[test]
fn it_goes_with_the_last_tree() {
    let (_place, prefix, lock, program) = prepared();
    install(&lock, &[("bin/x", "")]);
    lock.keep_program(ARCH, &program, launcher::own).unwrap();
    drop(lock);
    assert!(prefix.bin().join("elsewhere").exists());
    let lock = prefix.lock(true, &Silent::default()).unwrap();
    lock.remove(ARCH, true).unwrap();
    drop(lock);
    assert!(!prefix.bin().exists() && !prefix.path().join(".elsewhere").exists());
}

#[test]
fn a_file_of_that_name_that_is_not_ours_outlives_the_last_tree() {
    let (_place, prefix, lock, program) = prepared();
    install(&lock, &[("bin/x", "")]);
    lock.keep_program(ARCH, &program, launcher::own).unwrap();
    write(&prefix.bin().join("elsewhere"), "mine");
    lock.remove(ARCH, true).unwrap();
    drop(lock);
    assert_eq!(fs::read(prefix.bin().join("elsewhere")).unwrap(), b"mine");
}

#[test]
fn a_file_of_that_name_that_is_not_ours_stays() {
    let (place, prefix, lock, program) = prepared();
    write(&prefix.bin().join("elsewhere"), "mine");
    let kept = lock.keep_program(Arch::X86_64, &program, launcher::own);
    assert!(matches!(kept, Err(PrefixError::Foreign { .. })));
    let missing = lock.keep_program(Arch::X86_64, &place.join("no"), launcher::own);
    assert!(missing.is_err());
    assert_eq!(fs::read(prefix.bin().join("elsewhere")).unwrap(), b"mine");
}
