//! The members of a tar archive: ustar, what was before it (V7), GNU's long names and holes, and extended headers
//! (pax), for all that follows and for one. Names are bytes.
//!
//! Every archive is somebody's claim. What a program of another hand would read otherwise is read as Go's
//! `archive/tar` does, which most programs for images use: a size in an extended header counts, and links,
//! directories and devices have no data.

use std::io::{self, Read};

use super::error::LayerError;
use super::node::Attribute;
use super::numbers::{BLOCK, count, decimal, number};
use super::pax::PaxRecords;
use super::sparse::SparseMap;
use crate::tools::base64;

/// Most bytes of a long name, or of an extended header.
const LONGEST: u64 = 1 << 20;
/// Prefixes of the keys of extended attributes.
const XATTR: &[u8] = b"SCHILY.xattr.";
const XATTR_BASE64: &[u8] = b"LIBARCHIVE.xattr.";

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    File,
    /// Another name of the member that `target` names.
    HardLink,
    Symlink,
    Character,
    Block,
    Directory,
    Fifo,
    /// Something of one vendor's, which nobody else needs.
    Other(u8),
}

/// A member of an archive.
#[derive(Clone, Debug)]
pub(super) struct TarMember {
    /// As it stands there.
    pub(super) path: Vec<u8>,
    /// Of links.
    pub(super) target: Vec<u8>,
    pub(super) kind: MemberKind,
    /// Permissions, with the bits above.
    pub(super) mode: u32,
    /// User id and group id.
    pub(super) owner: (u64, u64),
    /// Seconds since 1970, and nanoseconds.
    pub(super) mtime: (i64, u32),
    /// Major and minor number of a device.
    pub(super) device: (u64, u64),
    /// Extended attributes.
    pub(super) xattrs: Vec<Attribute>,
    /// Where a file has holes.
    pub(super) map: Option<SparseMap>,
}

/// Reads members one after the other. Reading it reads the data of the last one.
pub(super) struct TarReader<R> {
    input: R,
    /// Bytes of the member's data that were not read, and those that fill up its last block.
    left: u64,
    padding: u64,
    /// What holds for all that follows.
    global: PaxRecords,
}

/// What stands before a member.
#[derive(Default)]
struct Before {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: PaxRecords,
}

impl<R: Read> TarReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0, global: PaxRecords::default() }
    }

    /// The next member; `None` at the end.
    ///
    /// # Errors
    /// When it cannot be read, or there is none.
    pub(super) fn next(&mut self) -> Result<Option<TarMember>, LayerError> {
        let mut before = Before::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let kind = header.get(156).copied().unwrap_or_default();
            let size = field(&header, 124, 12, "size", count)?;
            match kind {
                b'L' => before.name = Some(self.text(size)?),
                b'K' => before.link = Some(self.text(size)?),
                b'x' | b'X' => before.records = PaxRecords::read(&self.data(size)?)?,
                b'g' => {
                    let records = PaxRecords::read(&self.data(size)?)?;
                    self.global.take_in(records);
                }
                _ => return self.member(&header, kind, size, before).map(Some),
            }
        }
    }

    /// All that comes after the last member, to the end of the input.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn drain(&mut self) -> Result<(), LayerError> {
        io::copy(&mut self.input, &mut io::sink()).map(drop).map_err(LayerError::Read)
    }

    fn member(
        &mut self,
        header: &[u8; BLOCK],
        kind: u8,
        size: u64,
        before: Before,
    ) -> Result<TarMember, LayerError> {
        let records = before.records.above(&self.global);
        let get = |key| records.get(key);
        let size = wanted(get("size"), "size", decimal)?.unwrap_or(size);
        let user = wanted(get("uid"), "owner", decimal)?;
        let group = wanted(get("gid"), "owner", decimal)?;
        let seconds = field(header, 136, 12, "time", number)?;
        let mtime = wanted(get("mtime"), "time", time)?.unwrap_or((seconds, 0));
        let named = get("GNU.sparse.name").or_else(|| get("path")).map(<[u8]>::to_vec);
        let path = before.name.or(named).unwrap_or_else(|| name(header));
        let linked = get("linkpath").map(<[u8]>::to_vec);
        let target = before.link.or(linked).unwrap_or_else(|| text(header, 157, 100));
        // Those that have data, or may have some.
        let has_data = !matches!(kind, b'1'..=b'6');
        let kind = match kind {
            b'0' | 0 if path.ends_with(b"/") => MemberKind::Directory,
            b'0' | b'7' | b'S' | 0 => MemberKind::File,
            b'1' => MemberKind::HardLink,
            b'2' => MemberKind::Symlink,
            b'3' => MemberKind::Character,
            b'4' => MemberKind::Block,
            b'5' => MemberKind::Directory,
            b'6' => MemberKind::Fifo,
            other => MemberKind::Other(other),
        };
        self.begin(if has_data { size } else { 0 })?;
        let map = match (kind, header.get(156)) {
            (MemberKind::File, Some(b'S')) => {
                let more = || self.block()?.ok_or_else(cut);
                Some(SparseMap::old(header, size, more)?)
            }
            (MemberKind::File, _) => SparseMap::new_forms(&records, size, &mut *self)?,
            _ => None,
        };
        let mode = field(header, 100, 8, "mode", count)? & 0o7777;
        Ok(TarMember {
            path,
            target,
            kind,
            mode: u32::try_from(mode).unwrap_or_default(),
            owner: (
                user.map_or_else(|| field(header, 108, 8, "owner", count), Ok)?,
                group.map_or_else(|| field(header, 116, 8, "owner", count), Ok)?,
            ),
            mtime,
            device: (
                field(header, 329, 8, "device", count).unwrap_or_default(),
                field(header, 337, 8, "device", count).unwrap_or_default(),
            ),
            xattrs: xattrs(&records)?,
            map,
        })
    }

    /// The next block; `None` at the end of the input.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, LayerError> {
        let mut block = [0; BLOCK];
        let mut at = 0;
        while let Some(rest) = block.get_mut(at..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if at == 0 => return Ok(None),
                Ok(0) => return Err(cut()),
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(LayerError::Read(error)),
            }
        }
        Ok(Some(block))
    }

    /// The next header; `None` at the end.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, LayerError> {
        let Some(block) = self.block()? else { return Ok(None) };
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let of_others =
            |(at, byte): (usize, &u8)| if (148..156).contains(&at) { b' ' } else { *byte };
        let bytes = || block.iter().enumerate().map(of_others);
        // Old programs took bytes for numbers below zero.
        let sums = [
            bytes().map(i64::from).sum::<i64>(),
            bytes().map(|byte| i64::from(byte.cast_signed())).sum::<i64>(),
        ];
        let there = block.get(148..156).and_then(number);
        match there.is_some_and(|there| sums.contains(&there)) {
            true => Ok(Some(block)),
            false => Err(LayerError::archive("a header's checksum is wrong")),
        }
    }

    /// Says that data of so many bytes follow.
    fn begin(&mut self, size: u64) -> Result<(), LayerError> {
        let whole = size.checked_next_multiple_of(BLOCK as u64);
        let whole = whole.ok_or_else(|| LayerError::archive("a size makes no sense"))?;
        (self.left, self.padding) = (size, whole - size);
        Ok(())
    }

    /// Passes over what was not read.
    fn skip(&mut self) -> Result<(), LayerError> {
        let rest = self.left + self.padding;
        let passed = io::copy(&mut self.input.by_ref().take(rest), &mut io::sink());
        (self.left, self.padding) = (0, 0);
        match passed.map_err(LayerError::Read)? {
            count if count == rest => Ok(()),
            _ => Err(cut()),
        }
    }

    /// Something short that stands before a member.
    fn data(&mut self, size: u64) -> Result<Vec<u8>, LayerError> {
        if size > LONGEST {
            return Err(LayerError::archive("an extended header is far too long"));
        }
        self.begin(size)?;
        let mut data = Vec::new();
        self.read_to_end(&mut data).map_err(LayerError::Read)?;
        Ok(data)
    }

    /// The same, as a text that a zero ends.
    fn text(&mut self, size: u64) -> Result<Vec<u8>, LayerError> {
        let mut text = self.data(size)?;
        text.truncate(text.iter().position(|byte| *byte == 0).unwrap_or(text.len()));
        Ok(text)
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let count = self.input.by_ref().take(self.left).read(buffer)?;
        if count == 0 {
            let what = "the archive ends within a file";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn cut() -> LayerError {
    LayerError::archive("it is cut off")
}

/// The text of a field, which a zero ends, or the field.
fn text(header: &[u8; BLOCK], at: usize, length: usize) -> Vec<u8> {
    let field = header.get(at..at + length).unwrap_or_default();
    field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// A member's name. Where it is ustar's, its beginning may stand in another field, which GNU uses otherwise.
fn name(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(header, 0, 100);
    let prefix = text(header, 345, 155);
    let is_ustar = header.get(257..263) == Some(b"ustar\0");
    match is_ustar && !prefix.is_empty() {
        true => [prefix, name].join(&b'/'),
        false => name,
    }
}

/// The number of a field.
fn field<T>(
    header: &[u8; BLOCK],
    at: usize,
    length: usize,
    what: &str,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<T, LayerError> {
    let found = header.get(at..at + length).and_then(read);
    found.ok_or_else(|| LayerError::archive(format!("the {what} of an entry is no number")))
}

/// The value of a record, where there is one.
fn wanted<T>(
    value: Option<&[u8]>,
    what: &str,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, LayerError> {
    let Some(value) = value else { return Ok(None) };
    let found = read(value);
    found
        .map(Some)
        .ok_or_else(|| LayerError::archive(format!("the {what} of an entry makes no sense")))
}

/// Seconds, and nanoseconds, of `[-]SECONDS[.FRACTION]`.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (is_before, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut halves = text.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(decimal(halves.next()?)?).ok()?;
    let digits = halves.next().unwrap_or_default();
    let digits: Vec<u8> = digits.iter().copied().chain([b'0'; 9]).take(9).collect();
    let nanos = u32::try_from(decimal(&digits)?).ok()?;
    Some(match (is_before, nanos) {
        (false, nanos) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, nanos) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

/// The extended attributes of a member.
fn xattrs(records: &PaxRecords) -> Result<Vec<Attribute>, LayerError> {
    let mut found = Vec::new();
    for (key, value) in records.iter() {
        if let Some(name) = key.strip_prefix(XATTR) {
            found.push((name.to_vec(), value.to_vec()));
        } else if let Some(name) = key.strip_prefix(XATTR_BASE64) {
            let value = base64::decode(value);
            let value = value.ok_or_else(|| LayerError::archive("an attribute is no base64"))?;
            found.push((name.to_vec(), value));
        }
    }
    // Both forms of one stand beside each other.
    found.sort();
    found.dedup_by(|one, other| one.0 == other.0);
    Ok(found)
}
