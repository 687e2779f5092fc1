//! Reads repositories' metadata: bytes in, types out. Metalinks and mirror lists, `repomd.xml`,
//! `primary.xml` and `modules.yaml`, all of them hostile until their digests were compared, and
//! read with bounded memory all the same.

mod decode;
mod entry;
pub mod metalink;
pub mod modules;
pub mod primary;
pub mod repomd;
#[cfg(test)]
mod tests;
mod xml;

use std::io;
use std::sync::Arc;

use crate::model::{Checksum, InvalidChecksum, escape};

/// Why metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RepodataError {
    /// The bytes cannot be read or decompressed, or there are too many of them.
    #[error("cannot be read: {0}")]
    Read(#[source] Arc<io::Error>),
    /// No well-formed XML.
    #[error("is not XML: {message} (at byte {position})")]
    Xml {
        /// Where, in the decompressed text.
        position: u64,
        /// What the parser says.
        message: String,
    },
    /// A document type, or an entity that XML does not define: neither belongs here, and both
    /// serve to attack parsers.
    #[error("declares or uses XML entities, which metadata never needs")]
    Entities,
    /// The text ends inside an element.
    #[error("ends early: <{0}> is not closed")]
    Truncated(&'static str),
    /// Elements nested deeper than any metadata.
    #[error("is nested deeper than {0} elements")]
    Deep(usize),
    /// Another kind of document.
    #[error("is <{}>, not <{expected}>", escape(.found))]
    Root {
        /// The element that was expected.
        expected: &'static str,
        /// The element that is there.
        found: String,
    },
    /// Something that must be there is not.
    #[error("{} lacks its {what}", escape(.of))]
    Missing {
        /// The field.
        what: &'static str,
        /// Whose field.
        of: String,
    },
    /// A value that makes no sense.
    #[error("{} has {} as its {what}", escape(.of), quote(.value))]
    Invalid {
        /// The field.
        what: &'static str,
        /// Whose field.
        of: String,
        /// Its value.
        value: String,
    },
    /// A checksum that proves nothing.
    #[error("{}: {source}", escape(.of))]
    Checksum {
        /// Whose checksum.
        of: String,
        /// Why not.
        source: InvalidChecksum,
    },
    /// The decompressed text is not what `repomd.xml` declares.
    #[error("unpacks to something else than declared: its digest is {got}, expected {expected}")]
    OpenDigest {
        /// As declared.
        expected: Checksum,
        /// As found.
        got: Checksum,
    },
    /// modules.yaml is not in the form that libmodulemd writes.
    #[error("line {line} is not understood: {}", quote(.text))]
    Yaml {
        /// The line, from 1.
        line: usize,
        /// Its text.
        text: String,
    },
}

impl From<io::Error> for RepodataError {
    fn from(error: io::Error) -> Self {
        Self::Read(Arc::new(error))
    }
}

/// A value as messages show it: escaped, and not endless.
fn quote(value: &str) -> String {
    const LONGEST: usize = 80;
    let shown: String = value.chars().take(LONGEST).collect();
    let more = if shown.len() < value.len() { "..." } else { "" };
    format!("\"{}{more}\"", escape(&shown))
}

/// Whether `location` stays below the base URL that it is joined to.
fn is_below(location: &str) -> bool {
    !location.is_empty()
        && !location.contains("://")
        && !location.starts_with('/')
        && location.split('/').all(|part| part != "..")
}
