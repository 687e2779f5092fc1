//! The binary structures of an RPM file: the lead, and the header structure that the signature
//! header and the header share. Every count and offset is checked before it is used; a number
//! in the file never decides how much is allocated.
//!
//! Format: <https://rpm.org/docs/latest/manual/format_lead.html> and `format_header.html` beside it.

use std::io::{self, Read};

/// Bytes of the lead.
pub(super) const LEAD_SIZE: usize = 96;
/// First bytes of an RPM file.
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// First bytes of a header structure: magic and version.
const HEADER_MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];
/// Bytes before the index: magic, four reserved bytes, number of entries, bytes of the store.
const INTRO_SIZE: usize = 16;
/// Bytes of one index entry: tag, type, offset, count.
const ENTRY_SIZE: usize = 16;
/// RPM knows about 400 tags, and a header holds each of them once.
const MAX_ENTRIES: usize = 4096;
/// A package of 100,000 files needs about 15 MiB, and as much again where files are signed
/// one by one (IMA).
const MAX_STORE: usize = 64 << 20;
/// More texts than any entry has. Empty ones are a byte each, and would take sixteen times that here.
const MAX_TEXTS: usize = 1 << 20;

/// Types of entries, by RPM's numbers.
mod kind {
    pub(super) const INT16: u32 = 3;
    pub(super) const INT32: u32 = 4;
    pub(super) const INT64: u32 = 5;
    pub(super) const STRING: u32 = 6;
    pub(super) const BIN: u32 = 7;
    pub(super) const STRING_ARRAY: u32 = 8;
    pub(super) const I18N_STRING: u32 = 9;
}

/// Why bytes are not the start of an RPM file.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// The bytes could not be read.
    #[error("cannot be read")]
    Read(#[from] io::Error),
    /// The file ends within the named part.
    #[error("ends within its {0}")]
    Truncated(&'static str),
    /// The named part does not begin as it must.
    #[error("is no RPM package (bad {0})")]
    Magic(&'static str),
    /// It is a source package.
    #[error("is a source package")]
    Source,
    /// More entries or bytes than any package has.
    #[error(
        "has a header that declares {entries} entries and {bytes} bytes, more than is accepted"
    )]
    Absurd {
        /// Index entries declared.
        entries: u32,
        /// Bytes of data declared.
        bytes: u32,
    },
    /// An entry does not have the type, or lies outside the store.
    #[error("has a damaged header (tag {0})")]
    Entry(u32),
    /// An entry that every package has is missing.
    #[error("has a header without tag {0}")]
    Missing(u32),
    /// A text that is not UTF-8; shown escaped.
    #[error("has text in tag {tag} that is not UTF-8: {text}")]
    NotUtf8 {
        /// The entry.
        tag: u32,
        /// The text, escaped.
        text: String,
    },
    /// The arrays that describe files do not have one element per file.
    #[error("describes its files inconsistently (tag {0})")]
    Files(u32),
    /// The package uses something that is not supported.
    #[error("uses {0}, which is not supported")]
    Unsupported(String),
}

/// Reads the lead, which is returned, and checks that it opens a binary package.
pub(super) fn read_lead(reader: &mut impl Read) -> Result<[u8; LEAD_SIZE], Malformed> {
    let mut lead = [0; LEAD_SIZE];
    fill(reader, &mut lead, "lead")?;
    if !lead.starts_with(&LEAD_MAGIC) {
        return Err(Malformed::Magic("magic number"));
    }
    match lead.get(6..8) {
        Some([0, 0]) => Ok(lead),
        Some([0, 1]) => Err(Malformed::Source),
        _ => Err(Malformed::Magic("package type")),
    }
}

/// A header structure, exactly as it lies in the file.
pub(super) struct Blob {
    /// Intro, index and store: what a header signature covers.
    bytes: Vec<u8>,
    /// Number of index entries. The index is whole: reading has checked it.
    entries: usize,
}

/// One entry of the index.
#[derive(Clone, Copy)]
struct Entry {
    kind: u32,
    offset: usize,
    count: usize,
}

impl Blob {
    /// Reads a header structure; `part` names it in errors.
    pub(super) fn read(reader: &mut impl Read, part: &'static str) -> Result<Self, Malformed> {
        let mut intro = [0; INTRO_SIZE];
        fill(reader, &mut intro, part)?;
        if !intro.starts_with(&HEADER_MAGIC) {
            return Err(Malformed::Magic(part));
        }
        let (entries, store) = (be32(&intro, 8), be32(&intro, 12));
        let absurd = Malformed::Absurd { entries, bytes: store };
        let (Ok(count), Ok(size)) = (usize::try_from(entries), usize::try_from(store)) else {
            return Err(absurd);
        };
        if count == 0 || count > MAX_ENTRIES || size > MAX_STORE {
            return Err(absurd);
        }
        let rest = count * ENTRY_SIZE + size;
        let mut bytes = intro.to_vec();
        // `take` and `read_to_end` allocate as bytes arrive.
        if reader.take(rest as u64).read_to_end(&mut bytes)? != rest {
            return Err(Malformed::Truncated(part));
        }
        Ok(Self { bytes, entries: count })
    }

    /// Reads the zero bytes that align what follows a signature header to eight.
    pub(super) fn skip_padding(&self, reader: &mut impl Read) -> Result<(), Malformed> {
        let mut padding = [0; 8];
        let length = self.padding();
        fill(reader, padding.get_mut(..length).unwrap_or_default(), "signature header")
    }

    /// How many bytes those are.
    pub(super) fn padding(&self) -> usize {
        (8 - self.bytes.len() % 8) % 8
    }

    /// The bytes, as a header signature covers them.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is an entry of this tag.
    pub(super) fn has(&self, tag: u32) -> bool {
        self.find(tag).is_some()
    }

    /// The 16-bit integers of `tag`; empty where it is not there.
    pub(super) fn u16s(&self, tag: u32) -> Result<Vec<u16>, Malformed> {
        let bytes = self.integers(tag, kind::INT16, 2)?;
        Ok(bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
    }

    /// The 32-bit integers of `tag`; empty where it is not there.
    pub(super) fn u32s(&self, tag: u32) -> Result<Vec<u32>, Malformed> {
        let bytes = self.integers(tag, kind::INT32, 4)?;
        Ok(bytes.chunks_exact(4).map(|four| be32(four, 0)).collect())
    }

    /// The 64-bit integers of `tag`; empty where it is not there.
    pub(super) fn u64s(&self, tag: u32) -> Result<Vec<u64>, Malformed> {
        let bytes = self.integers(tag, kind::INT64, 8)?;
        let halves = |eight| (u64::from(be32(eight, 0)) << 32) | u64::from(be32(eight, 4));
        Ok(bytes.chunks_exact(8).map(halves).collect())
    }

    /// The bytes of `tag`; empty where it is not there.
    pub(super) fn binary(&self, tag: u32) -> Result<&[u8], Malformed> {
        self.integers(tag, kind::BIN, 1)
    }

    /// The text of `tag`, or the first of its texts; `None` where it is not there.
    pub(super) fn text(&self, tag: u32) -> Result<Option<&str>, Malformed> {
        Ok(self.texts(tag)?.first().copied())
    }

    /// The text of `tag`, which every package has.
    pub(super) fn required_text(&self, tag: u32) -> Result<&str, Malformed> {
        self.text(tag)?.ok_or(Malformed::Missing(tag))
    }

    /// The texts of `tag`; empty where it is not there.
    pub(super) fn texts(&self, tag: u32) -> Result<Vec<&str>, Malformed> {
        let Some(entry) = self.find(tag) else {
            return Ok(Vec::new());
        };
        let is_text = matches!(entry.kind, kind::STRING | kind::STRING_ARRAY | kind::I18N_STRING);
        if !is_text || entry.count > MAX_TEXTS {
            return Err(Malformed::Entry(tag));
        }
        let mut rest = self.store().get(entry.offset..).ok_or(Malformed::Entry(tag))?;
        let mut texts = Vec::new();
        for _ in 0..entry.count {
            let end = rest.iter().position(|&byte| byte == 0).ok_or(Malformed::Entry(tag))?;
            let (text, after) = rest.split_at(end);
            texts.push(str::from_utf8(text).map_err(|_| not_utf8(tag, text))?);
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(texts)
    }

    fn integers(&self, tag: u32, kind: u32, width: usize) -> Result<&[u8], Malformed> {
        let Some(entry) = self.find(tag) else {
            return Ok(&[]);
        };
        let end = entry.count.checked_mul(width).and_then(|size| entry.offset.checked_add(size));
        match end.and_then(|end| self.store().get(entry.offset..end)) {
            Some(bytes) if entry.kind == kind => Ok(bytes),
            _ => Err(Malformed::Entry(tag)),
        }
    }

    /// The first entry of this tag.
    fn find(&self, tag: u32) -> Option<Entry> {
        let index = self.bytes.get(INTRO_SIZE..)?.chunks_exact(ENTRY_SIZE).take(self.entries);
        let entry = index.into_iter().find(|entry| be32(entry, 0) == tag)?;
        Some(Entry {
            kind: be32(entry, 4),
            offset: usize::try_from(be32(entry, 8)).ok()?,
            count: usize::try_from(be32(entry, 12)).ok()?,
        })
    }

    fn store(&self) -> &[u8] {
        self.bytes.get(INTRO_SIZE + self.entries * ENTRY_SIZE..).unwrap_or_default()
    }
}

/// The big-endian number at `at`; 0 where there are no four bytes, which callers rule out.
fn be32(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_be_bytes)
}

fn fill(reader: &mut impl Read, buffer: &mut [u8], part: &'static str) -> Result<(), Malformed> {
    reader.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Malformed::Truncated(part),
        _ => Malformed::Read(error),
    })
}

fn not_utf8(tag: u32, text: &[u8]) -> Malformed {
    Malformed::NotUtf8 { tag, text: text.escape_ascii().to_string() }
}
