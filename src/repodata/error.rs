//! Why metadata cannot be used, and how messages show what it holds.

use std::io;
use std::sync::Arc;

use crate::model::{Checksum, InvalidChecksum, escape, without_userinfo};

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
    /// So much of it would have to be held that it could fill this machine's memory.
    #[error(
        "takes more than {} MiB of memory, the most for the {} of it that were read: it holds far more \
         packages, dependencies or files than repositories have",
        .limit >> 20,
        size(*.fetched)
    )]
    Memory {
        /// Bytes of memory that it may take.
        limit: u64,
        /// Bytes of it that were read, packed as they are.
        fetched: u64,
    },
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
    /// A file that is said to be where its repository may not send.
    #[error("is at a place where {of} may not send: {}", quote(&without_userinfo(.value)))]
    Elsewhere {
        /// Who says so.
        of: String,
        /// The place.
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
    /// No module list: not one document of it makes sense.
    #[error("line {line} {}", escape(.why))]
    Yaml {
        /// The line of the first, from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
}

impl RepodataError {
    /// Whether something is not what its digest says, or nothing could say so: no matter of form.
    #[must_use]
    pub fn is_distrust(&self) -> bool {
        matches!(self, Self::Checksum { .. } | Self::OpenDigest { .. })
    }
}

impl From<io::Error> for RepodataError {
    fn from(error: io::Error) -> Self {
        Self::Read(Arc::new(error))
    }
}

/// A number of bytes, for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// A value as messages show it: escaped, and not endless.
pub(super) fn quote(value: &str) -> String {
    format!("\"{}\"", brief(value))
}

/// A text as messages show it: escaped, and not endless.
pub(super) fn brief(text: &str) -> String {
    const LONGEST: usize = 80;
    let shown: String = text.chars().take(LONGEST).collect();
    let more = if shown.len() < text.len() { "..." } else { "" };
    format!("{}{more}", escape(&shown))
}
