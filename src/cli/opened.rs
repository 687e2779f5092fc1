//! The words that a bundle starts the program with, which it unpacked for that: `open-bundle DIRECTORY BUNDLE
//! WORDS`, DIRECTORY being where the program is, and WORDS what was typed after the bundle's name.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::host::Host;

/// The first of these words. `carry/bundle/head.sh` says it.
const COMMAND: &str = "open-bundle";
/// How the directory is called that the head makes.
const DIRECTORY: &str = "elsewhere-bundle.";
/// What the program is called in it.
const PROGRAM: &str = "elsewhere";

/// What was typed, as the program's own commands have it.
pub(super) struct Typed {
    /// All words, the program's name first.
    pub(super) words: Vec<OsString>,
    /// Where the program was unpacked for this run alone.
    pub(super) unpacked: Option<PathBuf>,
}

impl Typed {
    /// The words of this process.
    pub(super) fn of(host: &Host) -> Self {
        let words: Vec<OsString> = host.arguments().collect();
        let [name, command, directory, bundle, typed @ ..] = words.as_slice() else {
            return Self { words, unpacked: None };
        };
        if command != COMMAND {
            return Self { words, unpacked: None };
        }
        let bundle = host.absolute(bundle.as_ref()).into_os_string();
        let unpacked = Some(host.absolute(directory.as_ref()));
        Self { words: translated(name, bundle, typed), unpacked }
    }

    /// Removes the program, where it was unpacked for this run.
    pub(super) fn clean(&self) {
        self.unpacked.iter().for_each(|directory| remove_unpacked(directory));
    }
}

/// Removes the directory in which the program was unpacked for this run alone.
pub(super) fn remove_unpacked(directory: &Path) {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    if name.is_some_and(|name| name.starts_with(DIRECTORY)) {
        // Whoever has it gone already has nothing left to be told.
        let _ = fs::remove_file(directory.join(PROGRAM));
        let _ = fs::remove_dir(directory);
    }
}

/// What was typed after a bundle's name, as words of this program.
fn translated(name: &OsString, bundle: OsString, typed: &[OsString]) -> Vec<OsString> {
    let first = typed.first().map(|first| first.to_string_lossy()).unwrap_or_default();
    let own = ["--list", "--verify", "--extract", "--run"];
    let is_own = own.contains(&first.as_ref()) || first.starts_with("--run=");
    let mut words = vec![name.clone()];
    if is_own {
        // What comes after `--` is another program's.
        let end = typed.iter().position(|word| word == "--").unwrap_or(typed.len());
        let (typed, theirs) = typed.split_at(end);
        words.push("bundle".into());
        words.extend_from_slice(typed);
        words.push(bundle);
        words.extend_from_slice(theirs);
    } else {
        words.extend(["install".into(), "--from".into(), bundle]);
        words.extend_from_slice(typed);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_after_a_bundle_are_those_of_install_but_for_its_own() {
        let translated = |typed: &str| -> String {
            let typed: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
            let words = translated(&"x".into(), "/b".into(), &typed);
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
            words.join(" ")
        };
        assert_eq!(translated("-a x86_64 p"), "x install --from /b -a x86_64 p");
        assert_eq!(translated("p --list"), "x install --from /b p --list");
        assert_eq!(translated("--list --json"), "x bundle --list --json /b");
        assert_eq!(translated("--extract d"), "x bundle --extract d /b");
        assert_eq!(translated("--run -q -- exec -- x"), "x bundle --run -q /b -- exec -- x");
        assert_eq!(translated("--run=crun"), "x bundle --run=crun /b");
    }
}
