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
    /// A file that is said to be where its repository may not send.
    #[error("is at a place where {of} may not send: {}", quote(.value))]
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

/// A value as messages show it: escaped, and not endless.
fn quote(value: &str) -> String {
    format!("\"{}\"", brief(value))
}

/// A text as messages show it: escaped, and not endless.
fn brief(text: &str) -> String {
    const LONGEST: usize = 80;
    let shown: String = text.chars().take(LONGEST).collect();
    let more = if shown.len() < text.len() { "..." } else { "" };
    format!("{}{more}", escape(&shown))
}

/// A number as lenient readers take it: the digits in front. `None` where there are none, or where it
/// is 0, or beyond 63 bits: nobody declares that on purpose.
fn number(text: &str) -> Option<u64> {
    const LARGEST: u64 = i64::MAX as u64;
    let text = text.trim_start();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let number = text.get(..digits)?.parse().ok()?;
    (1..=LARGEST).contains(&number).then_some(number)
}

/// Where a file is, by its `href` and the `xml:base` beside it: a path below the repository's base
/// URL, or a URL of its own.
fn location(base: Option<&str>, href: &str) -> String {
    match base.filter(|base| !base.is_empty()) {
        Some(base) if !href.contains("://") => {
            format!("{}/{}", base.trim_end_matches('/'), href.trim_start_matches('/'))
        }
        _ => href.to_owned(),
    }
}

/// The location that an element names, if it does.
fn location_of(element: &xml::Element<'_>) -> Result<Option<String>, RepodataError> {
    let href = element.attribute("href")?.filter(|href| !href.is_empty());
    let base = element.attribute("xml:base")?;
    Ok(href.map(|href| location(base.as_deref(), &href)))
}

/// A checksum, or why it proves nothing.
type Proven = Result<Checksum, InvalidChecksum>;

/// The one of two checksums that proves more; of two that prove the same, the later one.
fn stronger(known: Option<Proven>, new: Proven) -> Proven {
    match (known, new) {
        (Some(Ok(known)), Ok(new)) if known.algorithm() > new.algorithm() => Ok(known),
        (Some(Ok(known)), Err(_)) => Ok(known),
        (_, new) => new,
    }
}
