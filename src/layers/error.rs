//! What can go wrong with a layer.

use std::io;

use crate::model::escape;

/// Why a layer did not become files.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// Its bytes cannot be read, or decoded.
    #[error("it cannot be read or decoded")]
    Read(#[source] io::Error),
    /// It is no tar archive, or one that makes no sense.
    #[error("it is no archive that can be unpacked: {0}")]
    Archive(String),
    /// An entry of it makes no sense.
    #[error("its entry {} {what}", escape(entry))]
    Entry {
        /// The entry's path, as it stands there.
        entry: String,
        /// What is wrong with it.
        what: String,
    },
    /// The tree cannot be written.
    #[error("cannot write {}", escape(path))]
    Write {
        /// Where in the tree.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl LayerError {
    /// An archive that makes no sense.
    pub(super) fn archive(what: impl Into<String>) -> Self {
        Self::Archive(what.into())
    }

    /// An entry that makes no sense.
    pub(super) fn entry(entry: &[u8], what: impl Into<String>) -> Self {
        Self::Entry { entry: String::from_utf8_lossy(entry).into_owned(), what: what.into() }
    }
}
