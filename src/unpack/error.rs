//! What can be wrong with a payload, or with the place that it goes to.

use std::io;

use crate::model::{Checksum, RelPath, escape};
use crate::trust::TrustError;

/// A package could not be unpacked. Paths that come from packages are escaped.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The package file is not what the plan says.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The payload cannot be decompressed, or ends too early.
    #[error("the payload of package {package} cannot be decoded")]
    Decode {
        /// The package.
        package: String,
        /// What the decoder says.
        source: io::Error,
    },
    /// The payload is no archive as RPM writes it.
    #[error("the payload of package {package} is damaged: {problem}")]
    Archive {
        /// The package.
        package: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A file of the header is refused, or the payload has another than the header lists.
    #[error("package {package} is refused: {path} {problem}")]
    File {
        /// The package.
        package: String,
        /// The path, as the package has it.
        path: String,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// Two packages have different things in the same place.
    #[error("packages {} and {} both have {path}, and not the same", escape(&.owners[0]), escape(&.owners[1]))]
    Conflict {
        /// The path in the tree.
        path: RelPath,
        /// Their names.
        owners: [String; 2],
    },
    /// Two names that the file system takes for the same.
    #[error("{} and {} are one and the same on this file system, which does not tell upper from lower case", .paths[0], .paths[1])]
    SameName {
        /// The paths in the tree.
        paths: [RelPath; 2],
    },
    /// A file was asked for that the package does not have.
    #[error("package {package} does not have {path}")]
    NotInPackage {
        /// The package.
        package: String,
        /// The path in the tree.
        path: RelPath,
    },
    /// Something could not be written into the tree.
    #[error("cannot write {path} of package {package}")]
    Write {
        /// The package.
        package: String,
        /// The path in the tree.
        path: RelPath,
        /// What the system says.
        source: io::Error,
    },
    /// The user asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// What is wrong with one file of a package.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// Its path climbs, or is otherwise no place in a tree.
    #[error("is not a path inside a tree")]
    Path,
    /// It is neither a file nor a directory nor a symlink.
    #[error("is a device, FIFO or socket")]
    Special,
    /// The header lists the path twice.
    #[error("is listed twice")]
    ListedTwice,
    /// The package has a directory and something else in one place, or two different files once
    /// `/usr` and `/` are one.
    #[error("is two things at once")]
    TwoThings,
    /// The payload has it twice.
    #[error("is twice in the payload")]
    Duplicate,
    /// The payload has it and the header does not.
    #[error("is in the payload but not in the header's list")]
    Unlisted,
    /// The header has it and the payload does not, or has no data for it.
    #[error("is in the header's list but not in the payload")]
    Missing,
    /// The payload has a file where the header has a directory, or the like.
    #[error("is of another type in the payload than in the header")]
    Type,
    /// Its size is not what the header says.
    #[error("has {got} bytes in the payload where the header says {expected}")]
    Size {
        /// Bytes by the header.
        expected: u64,
        /// Bytes in the payload.
        got: u64,
    },
    /// Its content is not what the header says.
    #[error("has digest {got} where the header says {expected}")]
    Digest {
        /// Digest by the header.
        expected: Checksum,
        /// Digest of the payload's bytes.
        got: Checksum,
    },
    /// The symlink leads elsewhere than the header says, or nowhere.
    #[error("is a symlink with another target in the payload than in the header")]
    LinkTarget,
}

impl UnpackError {
    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Trust(error) => error.hint(),
            Self::SameName { .. } => {
                Some("choose a directory on a file system that tells them apart".to_owned())
            }
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("make room on that file system, or install elsewhere".to_owned())
            }
            Self::Write { source, .. } if source.kind() == io::ErrorKind::QuotaExceeded => {
                Some("your quota is used up: make room, or install elsewhere".to_owned())
            }
            _ => None,
        }
    }

    /// Whether the package's bytes are to blame, so that its digest may say why.
    pub(super) fn blames_package(&self) -> bool {
        matches!(self, Self::Decode { .. } | Self::Archive { .. } | Self::File { .. })
    }
}
