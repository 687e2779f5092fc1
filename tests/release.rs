//! `elsewhere self update`: what is let in, what is refused, and that the program that runs stays
//! whole. The releases are fixtures (`tests/release/`), signed by minisign.

#![allow(clippy::unwrap_used)]

mod support;

use std::cmp::Ordering;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use elsewhere::stages::error::Error;
use elsewhere::stages::fetch::{FetchOptions, Fetched, Fetcher, join};
use elsewhere::stages::model::{Arch, Checksum};
use elsewhere::stages::release::{
    PINNED_KEY, Release, ReleaseError, newer_release, replace, replace_program, verify,
};
use elsewhere::stages::report::Silent;
use support::program;

const KEY: &str = include_str!("release/minisign.pub");
const OTHER_KEY: &str = include_str!("release/other.pub");

/// A release's directory, to be changed, and an installed program beside it; gone at the end.
///
/// One at a time: a file that another thread's child still has open for writing cannot be run.
struct Place(PathBuf, #[expect(dead_code)] MutexGuard<'static, ()>);

impl Place {
    fn new(test: &str, release: &str) -> Self {
        static SERIAL: Mutex<()> = Mutex::new(());
        let serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("release {test}"));
        let _ = fs::remove_dir_all(&path);
        for directory in ["release", "bin", "cache"] {
            fs::create_dir_all(path.join(directory)).unwrap();
        }
        let place = Self(path, serial);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/release").join(release);
        for name in ["SHA256SUMS", "SHA256SUMS.minisig"] {
            fs::copy(source.join(name), place.0.join("release").join(name)).unwrap();
        }
        for arch in Arch::ALL {
            let name = format!("release/elsewhere-99.0.0-{arch}");
            fs::copy(source.join("program"), place.0.join(name)).unwrap();
        }
        fs::write(place.program(), "old").unwrap();
        place
    }

    fn program(&self) -> PathBuf {
        self.0.join("bin/elsewhere")
    }

    /// The release and its base URL, as version 1.2.3 with `key` sees it.
    fn newer(&self, key: &str) -> Result<Option<Release>, ReleaseError> {
        newer_release(&self.fetcher(), &self.base(), key, "1.2.3")
    }

    fn replace(&self, arch: Arch) -> Result<(), ReleaseError> {
        let release = self.newer(KEY)?.unwrap();
        replace_program(&self.fetcher(), &self.base(), &release, arch, &self.program())
    }

    fn base(&self) -> String {
        join("file://", self.0.join("release").to_str().unwrap())
    }

    fn fetcher(&self) -> Fetcher<'static> {
        let reporter = Box::leak(Box::<Silent>::default());
        Fetcher::new(FetchOptions::new(self.0.join("cache")), reporter).unwrap()
    }

    /// The file as it is now, digested.
    fn fetched(&self, path: &Path) -> Fetched {
        let checksum = Checksum::of(&fs::read(path).unwrap());
        let url = join("file://", path.to_str().unwrap());
        self.fetcher().content(&[url], &checksum, None, None).unwrap()
    }

    /// Asserts that nothing was changed.
    #[track_caller]
    fn unchanged(&self) {
        assert_eq!(fs::read(self.program()).unwrap(), b"old");
        assert_eq!(fs::read_dir(self.0.join("bin")).unwrap().count(), 1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The exit status of a run that fails so.
fn status(error: ReleaseError) -> u8 {
    Error::from(error).exit_status()
}

#[test]
fn a_newer_release_takes_the_programs_place() {
    let place = Place::new("newer", "new");
    let before = fs::metadata(place.program()).unwrap().ino();
    place.replace(Arch::X86_64).unwrap();
    let metadata = fs::metadata(place.program()).unwrap();
    assert_ne!(metadata.ino(), before, "written beside, then renamed");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o755);
    let output = Command::new(place.program()).output().unwrap();
    assert_eq!(output.stdout, b"elsewhere 99.0.0\n");
    assert_eq!(fs::read_dir(place.0.join("bin")).unwrap().count(), 1);
}

#[test]
fn an_older_release_is_refused_and_the_same_one_is_nothing_to_do() {
    let place = Place::new("older", "old");
    let error = place.newer(KEY).unwrap_err();
    assert!(matches!(error, ReleaseError::Older { .. }), "{error}");
    assert_eq!(status(error), 4);
    let same = newer_release(&place.fetcher(), &place.base(), KEY, "0.0.1").unwrap();
    assert_eq!(same, None);
}

#[test]
fn only_the_pinned_keys_signature_counts() {
    let place = Place::new("key", "new");
    for key in [OTHER_KEY, "untrusted comment: x\nRWQ=\n"] {
        let error = place.newer(key).unwrap_err();
        assert!(matches!(error, ReleaseError::Signature { .. }), "{error}");
        assert_eq!(status(error), 4);
    }
    for key in ["", "untrusted comment: none\n", "untrusted comment: none\n\n"] {
        let error = place.newer(key).unwrap_err();
        assert!(matches!(error, ReleaseError::NoKey), "{error}");
    }
    fs::copy("tests/release/old/SHA256SUMS.minisig", place.0.join("release/SHA256SUMS.minisig"))
        .unwrap();
    assert!(matches!(place.newer(KEY), Err(ReleaseError::Signature { .. })));
    fs::remove_file(place.0.join("release/SHA256SUMS.minisig")).unwrap();
    assert_eq!(status(place.newer(KEY).unwrap_err()), 3);
}

#[test]
fn every_changed_byte_of_list_or_signature_is_refused() {
    let sums = fs::read("tests/release/new/SHA256SUMS").unwrap();
    let signature = fs::read("tests/release/new/SHA256SUMS.minisig").unwrap();
    assert_eq!(verify(KEY, &sums, &signature).unwrap().version(), "99.0.0");
    for position in 0..sums.len() {
        let mut changed = sums.clone();
        changed[position] ^= 1;
        assert!(verify(KEY, &changed, &signature).is_err(), "byte {position}");
        assert!(verify(KEY, &sums[..position], &signature).is_err(), "cut to {position}");
    }
    // The comment in the first line is not signed.
    let start = signature.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for position in start..signature.len() - 1 {
        let mut changed = signature.clone();
        changed[position] ^= 1;
        let line_end = signature[position] == b'\n' || changed[position] == b'\n';
        assert!(line_end || verify(KEY, &sums, &changed).is_err(), "byte {position}");
    }
}

#[test]
fn a_program_that_differs_is_refused() {
    let place = Place::new("differs", "new");
    let name = place.0.join("release/elsewhere-99.0.0-x86_64");
    fs::write(&name, "#!/bin/sh\necho elsewhere 99.0.0 \n").unwrap();
    assert_eq!(status(place.replace(Arch::X86_64).unwrap_err()), 4);
    fs::remove_file(&name).unwrap();
    assert_eq!(status(place.replace(Arch::X86_64).unwrap_err()), 3);
    let error = place.replace(Arch::S390x).unwrap_err();
    assert!(error.to_string().contains("release 99.0.0 has no program for s390x"), "{error}");
    place.unchanged();
}

#[test]
fn a_program_that_does_not_run_is_refused() {
    let place = Place::new("broken", "new");
    let other = place.0.join("other");
    for text in ["", "#!/nowhere/sh\n", "#!/bin/sh\nexit 1\n", "#!/bin/sh\necho elsewhere 98\n"] {
        fs::write(&other, text).unwrap();
        let replaced = replace(&place.program(), &place.fetched(&other), "99.0.0");
        assert!(matches!(replaced, Err(ReleaseError::DoesNotRun { .. })), "{text}");
    }
    place.unchanged();
    let nowhere = place.0.join("nowhere/elsewhere");
    let error = replace(&nowhere, &place.fetched(&other), "99.0.0").unwrap_err();
    assert!(matches!(error, ReleaseError::Write { .. }), "{error}");
}

#[test]
fn what_was_changed_since_it_was_digested_is_not_run() {
    let place = Place::new("changed", "new");
    let other = place.0.join("other");
    fs::write(&other, "#!/bin/sh\necho elsewhere 99.0.0\n").unwrap();
    let fetched = place.fetched(&other);
    let witness = place.0.join("witness");
    let trojan = format!("#!/bin/sh\ntouch {}\necho elsewhere 99.0.0\n", witness.display());
    fs::write(&other, trojan).unwrap();
    let error = replace(&place.program(), &fetched, "99.0.0").unwrap_err();
    assert!(matches!(error, ReleaseError::Write { .. }), "{error}");
    assert!(!witness.exists());
    place.unchanged();
}

#[test]
fn versions_are_ordered_as_semantic_versioning_does() {
    let place = Place::new("order", "new");
    let release = place.newer(KEY).unwrap().unwrap();
    for (running, order) in [
        ("98.10.2", Ordering::Greater),
        ("99.0.0", Ordering::Equal),
        ("99.0.0-rc1", Ordering::Greater),
        ("99.0.1-rc1", Ordering::Less),
        ("100.0.0", Ordering::Less),
    ] {
        assert_eq!(release.compare(running), order, "{running}");
    }
}

#[test]
fn plain_http_is_refused() {
    let place = Place::new("http", "new");
    let error = newer_release(&place.fetcher(), "http://127.0.0.1:9/x", KEY, "1").unwrap_err();
    assert!(format!("{error}").contains("http://127.0.0.1:9/x"), "{error}");
    assert_eq!(status(error), 3);
}

#[test]
fn the_command_uses_the_pinned_key_and_no_other() {
    let place = Place::new("command", "new");
    let mut command = program::elsewhere();
    command.args(["self", "update", "--cache-dir"]).arg(place.0.join("cache"));
    let output = command.arg("--from").arg(place.0.join("release")).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{message}");
    let has_key = PINNED_KEY.lines().count() > 1;
    let expected = if has_key { "is not signed by the key" } else { "knows no key" };
    assert!(message.contains(expected), "{message}");
}
