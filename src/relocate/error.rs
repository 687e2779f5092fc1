//! Why a tree cannot be relocated.

use std::io;
use std::path::PathBuf;

use crate::model::{RelPath, escape};

/// Why a tree cannot be relocated.
#[derive(Debug, thiserror::Error)]
pub enum RelocateError {
    /// The tree itself cannot be opened.
    #[error("cannot open the staged tree {}", .path.display())]
    Tree {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file or directory of the tree cannot be read or changed.
    #[error("cannot change {path} in the staged tree")]
    File {
        /// Where in the tree.
        path: RelPath,
        /// Why not.
        source: io::Error,
    },
    /// What was written is not what is read: the disk or its file system fails.
    #[error("{path} in the staged tree does not hold what was written to it")]
    Written {
        /// Where in the tree.
        path: RelPath,
    },
    /// A file has no line that an edit of the runtime's definition is about.
    #[error("{path} has no line that starts with `{}`, which must be changed", escape(.line))]
    NoSuchLine {
        /// Where in the tree.
        path: RelPath,
        /// How the line should start.
        line: String,
    },
    /// A file that was taken over from another tree would be another one in this tree.
    #[error("{path} cannot be taken over from another tree")]
    Stale {
        /// Where in the tree.
        path: RelPath,
    },
    /// The user stopped the run.
    #[error("stopped while relocating")]
    Cancelled,
}

impl RelocateError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchLine { .. } => Some(
                "the package is newer than the runtime's definition: correct its `edit` in a \
                 definition of your own and give the directory with --repos"
                    .to_owned(),
            ),
            Self::Written { .. } => Some("check the disk and its file system".to_owned()),
            Self::Tree { .. } | Self::File { .. } | Self::Stale { .. } | Self::Cancelled => None,
        }
    }
}
