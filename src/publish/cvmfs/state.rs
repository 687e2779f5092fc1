//! What a repository's state on this machine says, seen from outside.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use crate::error::CvmfsError;

/// What the file begins with that marks a transaction as a run's. A name that is the repository's own is no place in a
/// prefix.
pub(super) const MARK: &str = concat!(".", env!("CARGO_PKG_NAME"), "-txn-");

/// The file that says that a transaction is open: empty, and of nobody's. When it was made, and as which file, tells
/// one from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flag {
    seconds: i64,
    nanoseconds: i64,
    inode: u64,
}

impl Configuration {
    /// The flag, where a transaction is open.
    ///
    /// # Errors
    /// When it cannot be looked for.
    pub(super) fn flag(&self) -> Result<Option<Flag>, CvmfsError> {
        let path = self.spool.join("in_transaction.lock");
        match fs::symlink_metadata(&path) {
            Ok(about) => Ok(Some(Flag {
                seconds: about.mtime(),
                nanoseconds: about.mtime_nsec(),
                inode: about.ino(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CvmfsError::Io { path, source }),
        }
    }

    /// Whether something publishes right now. The file that says so stays where one was killed: its lock does not.
    pub(super) fn is_publishing(&self) -> bool {
        let Ok(file) = File::open(self.spool.join("is_publishing.lock")) else { return false };
        let tried = flock(&file, FlockOperation::NonBlockingLockShared);
        matches!(tried, Err(Errno::WOULDBLOCK))
    }

    /// What was written in the transaction lies there.
    fn scratch(&self) -> PathBuf {
        self.spool.join("scratch/current")
    }

    /// Whether the file `name` was written in the root of the repository, in the transaction that is open; where that
    /// is mounted no more, after a crash of the machine, its layer has it.
    pub(super) fn was_written(&self, name: &str) -> bool {
        let is_in = |root: &Path| fs::symlink_metadata(root.join(name)).is_ok();
        is_in(&self.union) || is_in(&self.scratch())
    }

    /// Whether a run of this program wrote its mark in the transaction that is open: any run, of whoever.
    pub(super) fn is_marked(&self) -> bool {
        let has_mark = |root: &Path| {
            let names = fs::read_dir(root).into_iter().flatten().flatten();
            names
                .map(|entry| entry.file_name())
                .any(|name| name.as_encoded_bytes().starts_with(MARK.as_bytes()))
        };
        has_mark(&self.union) || has_mark(&self.scratch())
    }

    /// Whether nothing is where the repository is mounted: as where it is not.
    pub(super) fn is_bare(&self) -> bool {
        fs::read_dir(&self.union).map_or(true, |mut entries| entries.next().is_none())
    }

    /// Whether nothing was written in the transaction.
    pub(super) fn is_untouched(&self) -> bool {
        fs::read_dir(self.scratch()).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// Whose repository it is: its user's and group's ids.
    ///
    /// # Errors
    /// When its state cannot be looked at.
    pub(super) fn owner(&self) -> Result<(u32, u32), CvmfsError> {
        let about = fs::metadata(&self.spool);
        let about = about.map_err(|source| CvmfsError::Io { path: self.spool.clone(), source })?;
        Ok((about.uid(), about.gid()))
    }
}

/// Processes that keep a publication waiting, or fail it: with a file open below `union`, or their working directory
/// there. As many as this user may see.
pub(super) fn holders(union: &Path) -> Vec<String> {
    let mut holders = Vec::new();
    for process in processes() {
        let links = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let links = links.map(|entry| entry.path()).chain([process.join("cwd")]);
        let held = links.filter_map(|link| fs::read_link(link).ok());
        if let Some(path) = held.into_iter().find(|path| path.starts_with(union)) {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            let number = process.file_name().unwrap_or_default().to_string_lossy();
            holders.push(format!("process {number} ({}) at {}", name.trim(), path.display()));
        }
    }
    holders
}

/// Whether this process's working directory is below `union`.
pub(super) fn is_inside(union: &Path) -> bool {
    fs::read_link("/proc/self/cwd").is_ok_and(|path| path.starts_with(union))
}

/// What the names of the server's programs begin with: those that it starts for a part of its work outlive it.
const PROGRAMS: &str = "cvmfs_";

/// Whether the server, or a program of its own that it started, works on the repository `name`, whoever began it: they
/// outlive a run of ours that is killed. Those of a server elsewhere are none of this `program`'s.
pub(super) fn is_served(program: &Path, name: &str) -> bool {
    let beside = program.parent().unwrap_or(Path::new(""));
    processes().any(|process| {
        let text = fs::read(process.join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let words: Vec<&str> = text.split('\0').collect();
        let runs = |word: &&str| {
            let (word, directory) = (Path::new(word), Path::new(word).parent());
            let called = word.file_name().unwrap_or_default().as_encoded_bytes();
            let is_here = |it: &Path| it == beside || it.as_os_str().is_empty();
            called.starts_with(PROGRAMS.as_bytes()) && directory.is_some_and(is_here)
        };
        let is_named = |word: &&str| word.split('/').next() == Some(name);
        // As a script it is its interpreter's first or second word.
        let at = words.iter().take(3).position(runs);
        at.is_some_and(|at| words.iter().skip(at + 1).any(is_named))
    })
}

fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.iter().all(u8::is_ascii_digit)
    })
}
