//! Why something is not written to.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::model::escape;

/// What is wrong with a directory or file that was to be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnedProblem {
    /// It belongs to somebody else.
    Owner,
    /// Others may write to it.
    Writable,
    /// A directory should be there.
    NoDirectory,
    /// A file should be there.
    NoFile,
    /// It is a file of several names, which may be anywhere.
    OtherNames,
}

/// Why something is not written to.
#[derive(Debug, thiserror::Error)]
pub enum OwnedError {
    /// It is not as elsewhere makes it, or not of those whom this run trusts.
    #[error("{} {} (user {user}, group {group}, mode {mode:04o})", escape(&path.to_string_lossy()), told(*problem, *is_link))]
    Untrusted {
        /// What.
        path: PathBuf,
        /// What is wrong with it.
        problem: OwnedProblem,
        /// Whether it is a symlink.
        is_link: bool,
        /// Its owner's id.
        user: u32,
        /// Its group's id.
        group: u32,
        /// Its permissions.
        mode: u32,
    },
    /// The operating system refused something.
    #[error("cannot open {}", escape(&path.to_string_lossy()))]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn told(problem: OwnedProblem, is_link: bool) -> &'static str {
    match problem {
        OwnedProblem::Owner => "belongs to somebody else",
        OwnedProblem::Writable => "can be written by others",
        OwnedProblem::NoDirectory if is_link => "is a symlink where elsewhere has a directory",
        OwnedProblem::NoDirectory => "is not a directory",
        OwnedProblem::NoFile if is_link => "is a symlink where elsewhere has a file",
        OwnedProblem::NoFile => "is not a regular file",
        OwnedProblem::OtherNames => "is a file that has other names too",
    }
}

impl OwnedError {
    pub(super) fn new(path: &Path, metadata: &Metadata, problem: OwnedProblem) -> Self {
        Self::Untrusted {
            path: path.to_owned(),
            problem,
            is_link: metadata.is_symlink(),
            user: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode() & 0o7777,
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }

    /// What to do next.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        let Self::Untrusted { problem, user, group, mode, .. } = self else { return None };
        let trust = |who: String| {
            format!(
                "whoever can write there decides what runs: choose another place, or, if you trust them \
                 with that, add to your configuration file: trusted_owners = [\"{who}\"]"
            )
        };
        Some(match problem {
            OwnedProblem::Owner => trust(format!("user:{user}")),
            OwnedProblem::Writable if mode & 0o002 == 0 => {
                format!("take that away (chmod g-w); or: {}", trust(format!("group:{group}")))
            }
            OwnedProblem::Writable => "take that away: chmod go-w".to_owned(),
            OwnedProblem::NoDirectory | OwnedProblem::NoFile | OwnedProblem::OtherNames => {
                "somebody else prepared it, or an archive did: look at it, and remove it or choose \
                 another place"
                    .to_owned()
            }
        })
    }
}
