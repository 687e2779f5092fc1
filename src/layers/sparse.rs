//! Files with holes: which parts an archive has. GNU's old form says so in headers, its newer ones in extended
//! headers (0.0, 0.1) or before the data (1.0): "Storing Sparse Files" of GNU tar's manual.

use std::io::Read;

use super::error::LayerError;
use super::numbers::{BLOCK, count, decimal};
use super::pax::PaxRecords;

/// Most parts of a file. The longest map of one that is no attack is far below.
const MOST_PARTS: usize = 1 << 20;
/// The largest file with holes, in bytes: whoever reads it reads the holes too, and so is its digest made.
const LARGEST: u64 = 64 << 30;

/// Which parts of a file there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SparseMap {
    /// Bytes of the file, holes included.
    pub(super) size: u64,
    /// Offset and length in bytes of each part, in order. The archive has them one after the other.
    pub(super) parts: Vec<(u64, u64)>,
}

impl SparseMap {
    /// A map of parts that follow each other, of which the archive has `stored` bytes.
    fn new(size: u64, parts: Vec<(u64, u64)>, stored: u64) -> Result<Self, LayerError> {
        let (mut end, mut total) = (0_u64, 0_u64);
        for (offset, length) in &parts {
            let after = offset.checked_add(*length).filter(|after| *after <= size);
            let (Some(after), true) = (after, *offset >= end) else { return Err(wrong()) };
            end = after;
            total += length;
        }
        if total != stored || size > LARGEST {
            return Err(wrong());
        }
        Ok(Self { size, parts })
    }

    /// The map of GNU's old form: 4 parts in the header, and 21 in each of the blocks after it.
    ///
    /// # Errors
    /// When it makes no sense, or cannot be read.
    pub(super) fn old(
        header: &[u8; BLOCK],
        stored: u64,
        mut more: impl FnMut() -> Result<[u8; BLOCK], LayerError>,
    ) -> Result<Self, LayerError> {
        let (fields, rest) = (header.get(386..482), header.get(482..495));
        let (fields, rest) = fields.zip(rest).ok_or_else(wrong)?;
        let (goes_on, size) = rest.split_first().ok_or_else(wrong)?;
        let size = count(size).ok_or_else(wrong)?;
        let mut parts = Vec::new();
        add_old(fields, &mut parts)?;
        let mut goes_on = *goes_on != 0;
        while goes_on {
            let block = more()?;
            let (fields, flag) = block.get(..504).zip(block.get(504)).ok_or_else(wrong)?;
            add_old(fields, &mut parts)?;
            goes_on = *flag != 0;
        }
        Self::new(size, parts, stored)
    }

    /// The map of GNU's newer forms, where `records` are of one. `data` is what the archive has of the file, which
    /// begins with the map itself in the newest form: that is read.
    ///
    /// # Errors
    /// When it makes no sense, or cannot be read.
    pub(super) fn new_forms(
        records: &PaxRecords,
        stored: u64,
        data: impl Read,
    ) -> Result<Option<Self>, LayerError> {
        let is_newest = records.get("GNU.sparse.major") == Some(b"1");
        let size = if is_newest { "GNU.sparse.realsize" } else { "GNU.sparse.size" };
        let Some(size) = records.get(size) else { return Ok(None) };
        let size = decimal(size).ok_or_else(wrong)?;
        if is_newest {
            let (parts, taken) = before_data(data)?;
            let stored = stored.checked_sub(taken).ok_or_else(wrong)?;
            return Self::new(size, parts, stored).map(Some);
        }
        let numbers: Option<Vec<u64>> = match records.get("GNU.sparse.map") {
            Some([]) => Some(Vec::new()),
            Some(map) => map.split(|byte| *byte == b',').map(decimal).collect(),
            None => {
                let is_one = |key: &[u8]| {
                    key == b"GNU.sparse.offset".as_slice()
                        || key == b"GNU.sparse.numbytes".as_slice()
                };
                records.iter().filter(|(key, _)| is_one(key)).map(|(_, it)| decimal(it)).collect()
            }
        };
        let parts = pairs(&numbers.ok_or_else(wrong)?)?;
        Self::new(size, parts, stored).map(Some)
    }
}

fn wrong() -> LayerError {
    LayerError::archive("the map of a file with holes makes no sense")
}

fn add_old(fields: &[u8], parts: &mut Vec<(u64, u64)>) -> Result<(), LayerError> {
    for field in fields.chunks_exact(24) {
        let (offset, length) = field.split_at(12);
        // Unused ones are empty.
        if offset.first() == Some(&0) && length.first() == Some(&0) {
            continue;
        }
        parts.push(count(offset).zip(count(length)).ok_or_else(wrong)?);
    }
    if parts.len() > MOST_PARTS { Err(wrong()) } else { Ok(()) }
}

fn pairs(numbers: &[u64]) -> Result<Vec<(u64, u64)>, LayerError> {
    let is_whole = numbers.len().is_multiple_of(2) && numbers.len() / 2 <= MOST_PARTS;
    let pairs = numbers.chunks_exact(2).filter_map(|pair| match pair {
        [offset, length] => Some((*offset, *length)),
        _ => None,
    });
    if is_whole { Ok(pairs.collect()) } else { Err(wrong()) }
}

/// The map before a file's data: how many parts, then offset and length of each, a line each, filled up to whole
/// blocks. And how many bytes that was.
fn before_data(mut data: impl Read) -> Result<(Vec<(u64, u64)>, u64), LayerError> {
    let (mut numbers, mut line, mut taken) = (Vec::new(), Vec::new(), 0);
    let mut wanted = None;
    while wanted.is_none_or(|wanted| numbers.len() < wanted) {
        let mut block = [0; BLOCK];
        data.read_exact(&mut block).map_err(LayerError::Read)?;
        taken += BLOCK as u64;
        for byte in block {
            if wanted.is_some_and(|wanted| numbers.len() >= wanted) {
                break;
            }
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            let number = decimal(&line).ok_or_else(wrong)?;
            line.clear();
            match wanted {
                None => {
                    let parts = usize::try_from(number).ok().filter(|it| *it <= MOST_PARTS);
                    wanted = Some(2 * parts.ok_or_else(wrong)?);
                }
                Some(_) => numbers.push(number),
            }
        }
        if line.len() > 20 {
            return Err(wrong());
        }
    }
    Ok((pairs(&numbers)?, taken))
}
