//! Published versions: complete beside each other, never changed, found by two links; and the wishlist that says
//! which there are.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../support/mod.rs"]
mod support;

mod destinations;
mod layout;
mod lint;
mod wishes;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use support::rpms::File;
use support::small::{Small, packages, small};

/// The packages of `tool` in one version, with a mended part.
fn mended(version: &str) -> Vec<Small> {
    let mut all = packages(version);
    let part = vec![
        File::regular("/usr/libexec/part/part", b"part=2\n"),
        File::symlink("/usr/libexec/part/link", "part"),
        File::regular("/etc/part.conf", b"part = 1\n"),
    ];
    all[0] = small("part", "2", part, &[]);
    all
}

/// The packages of `tool` in several versions.
fn several(versions: &[&str]) -> Vec<Small> {
    let mut all = packages(versions[0]);
    for version in &versions[1..] {
        all.extend(packages(version).into_iter().skip(2));
    }
    all
}

/// What is in a directory: of each path its type, mode, inode, time of change, and what it leads to.
fn state(root: &Path) -> BTreeMap<PathBuf, (u32, u64, i64, i64, Option<PathBuf>)> {
    let (mut all, mut waiting) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(path) = waiting.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let facts = (about.mode(), about.ino(), about.ctime(), about.ctime_nsec());
        all.insert(path.clone(), (facts.0, facts.1, facts.2, facts.3, fs::read_link(&path).ok()));
    }
    all
}

/// Paths, modes and bytes: what is the same wherever it is made.
fn contents(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let paths = state(root).into_iter();
    let content =
        |(path, (mode, _, _, _, link)): (PathBuf, (u32, u64, i64, i64, Option<PathBuf>))| {
            let bytes = match link {
                Some(link) => link.into_os_string().into_encoded_bytes(),
                None => fs::read(&path).unwrap_or_default(),
            };
            (path.strip_prefix(root).unwrap().to_owned(), (mode, bytes))
        };
    paths.map(content).collect()
}

/// Copies a directory.
fn copied(from: &Path, to: &Path) {
    let mut copy = std::process::Command::new("cp");
    assert!(copy.arg("-a").args([from, to]).status().unwrap().success());
}

/// The names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What a base must be, whenever it is looked at.
fn check(base: &Path) {
    let current = fs::read_link(base.join("current")).unwrap();
    assert_eq!(current.components().count(), 1, "{current:?}");
    assert_eq!(fs::read_link(base.join("bin")).unwrap(), Path::new("current/bin"));
    for (path, (mode, ..)) in state(base) {
        let about = fs::symlink_metadata(&path).unwrap();
        if about.is_file() {
            assert_eq!(about.nlink(), 1, "{}", path.display());
            assert_eq!(mode & 0o444, 0o444, "{}", path.display());
        } else if about.is_dir() {
            assert_eq!(mode & 0o7777, 0o755, "{}", path.display());
        } else {
            let link = fs::read_link(&path).unwrap();
            assert!(link.is_relative(), "{}", path.display());
        }
        for name in ["staging", "trash", "lock", ".elsewhere", ".elsewhere-new"] {
            assert_ne!(path.file_name().unwrap(), name, "{}", path.display());
        }
    }
}
