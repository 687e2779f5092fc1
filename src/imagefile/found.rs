//! What is found in a file, or why nothing is.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::escape;

/// A squashfs file system in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long what holds it is, in bytes.
    pub size: u64,
    /// Whose programs are in it, where the file says that.
    pub machine: Option<ImageMachine>,
}

/// A kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageMachine {
    /// As Go, and so the files, call it.
    pub name: &'static str,
    /// As `uname -m` may.
    pub machines: &'static [&'static str],
}

/// Why no file system of a file can be shown.
#[derive(Debug, thiserror::Error)]
pub enum ImageFileError {
    /// The file cannot be read.
    #[error("cannot read the image {}", shown(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no image, or one that is damaged, or one that nobody mounts without root.
    #[error("cannot use {} as an image: {why}", shown(path))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// Why not, before it is said of which file.
pub(super) enum ImageFault {
    /// It cannot be read.
    Unreadable(io::Error),
    /// What is wrong with it.
    Unusable(String),
}

impl From<io::Error> for ImageFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Unusable("it is cut off".to_owned()),
            _ => Self::Unreadable(error),
        }
    }
}

impl ImageFault {
    pub(super) fn of(self, path: &Path) -> ImageFileError {
        let path = path.to_owned();
        match self {
            Self::Unreadable(source) => ImageFileError::Unreadable { path, source },
            Self::Unusable(why) => ImageFileError::Unusable { path, why },
        }
    }
}

/// `N` bytes from a place on.
pub(super) fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(super) fn unusable(why: impl Into<String>) -> ImageFault {
    ImageFault::Unusable(why.into())
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}
