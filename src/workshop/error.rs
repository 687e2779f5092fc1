//! What can go wrong where a tree is made, or with one that lies somewhere.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::escape;
use crate::tools::files::is_full;
use crate::tools::space;

/// Why a tree could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum WorkshopError {
    /// The file system does not have what a tree is made of.
    #[error("no tree can be made at {}: its file system {problem}", shown(.path))]
    Unfit {
        /// The directory.
        path: PathBuf,
        /// What the file system does not do.
        problem: &'static str,
    },
    /// The disk or the quota is full, or would be.
    #[error("not enough space at {}{}", shown(.path), space::amounts(*.needed, *.available))]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// Bytes that are wanted, where known.
        needed: Option<u64>,
        /// Bytes that are free, where known.
        available: Option<u64>,
    },
    /// The receipt does not say what it should.
    #[error("{} is damaged: {problem}", shown(.path))]
    Damaged {
        /// The receipt.
        path: PathBuf,
        /// What about it.
        problem: String,
    },
    /// A newer version of this program wrote the receipt.
    #[error("{} has format {format}, which is newer than this program", shown(.path))]
    NewerFormat {
        /// The receipt.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}", shown(.path))]
    Io {
        /// What was tried: `write`, `read`, …
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl WorkshopError {
    /// What to type or do next, where there is something useful to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unfit { .. } => {
                Some("name a directory of another file system in TMPDIR".to_owned())
            }
            Self::NoSpace { .. } => Some(
                "free some space or choose a directory with more; what was installed is untouched"
                    .to_owned(),
            ),
            Self::Damaged { .. } => Some("copy the tree anew from where it was made".to_owned()),
            Self::NewerFormat { .. } => Some("use a newer elsewhere".to_owned()),
            Self::Io { .. } => None,
        }
    }
}

/// Makes the error of doing `action` to `path`; full disks and quotas get their own.
pub(super) fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> WorkshopError {
    move |source| {
        let path = path.to_owned();
        match is_full(&source) {
            true => {
                let available = space::available(&path).ok();
                WorkshopError::NoSpace { path, needed: None, available }
            }
            false => WorkshopError::Io { action, path, source },
        }
    }
}

/// A path for people.
pub(super) fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}
