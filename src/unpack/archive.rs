//! The archive in a payload: cpio as RPM writes it, read entry by entry without seeking.
//!
//! Two forms exist. "New ASCII" (`070701`) entries carry name, mode and size. Stripped entries
//! (`07070X`: packages with a file of 4 GiB and more, and RPM 6) carry only a number in the
//! header's list of files; the header says the rest.

use std::io::{self, Read};

/// Bytes of a new ASCII header: magic and 13 fields of eight hexadecimal digits.
const NEWC_SIZE: usize = 110;
/// Bytes of a stripped header: magic and one field.
const STRIPPED_SIZE: usize = 14;
/// Bytes of either's magic.
const MAGIC_SIZE: usize = 6;
/// Linux has no longer paths.
const MAX_NAME: usize = 4096 + 2;
/// The name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// Why an archive cannot be read on.
#[derive(Debug)]
pub(super) enum ArchiveError {
    /// The bytes could not be had.
    Read(io::Error),
    /// They are no archive.
    Format(&'static str),
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// What comes next in an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file by name. Its data can be read.
    Named {
        /// Its path as the archive has it.
        name: Vec<u8>,
        /// Its type and permissions, as `st_mode`.
        mode: u32,
        /// Bytes of its data.
        size: u64,
    },
    /// A file by its number in the header. [`Archive::expect`] must say how long its data is.
    Numbered(usize),
    /// The end.
    Trailer,
}

/// Reads an archive.
pub(super) struct Archive<R> {
    inner: R,
    /// Bytes read so far. Headers and data begin at multiples of four.
    position: u64,
    /// Bytes of the current entry's data that were not read yet.
    remaining: u64,
}

impl<R: Read> Archive<R> {
    /// An archive that begins where `inner` stands.
    pub(super) fn new(inner: R) -> Self {
        Self { inner, position: 0, remaining: 0 }
    }

    /// Reads the next entry's header. What was not read of the entry before is passed over.
    pub(super) fn next_entry(&mut self) -> Result<Entry, ArchiveError> {
        let mut skipped = [0; 4096];
        while self.read_data(&mut skipped)? > 0 {}
        self.align()?;
        let mut header = [0; NEWC_SIZE];
        self.fill(header.get_mut(..MAGIC_SIZE).unwrap_or_default())?;
        let stripped = match header.get(..MAGIC_SIZE) {
            Some(b"070701" | b"070702") => false,
            Some(b"07070X") => true,
            _ => return Err(ArchiveError::Format("an entry does not begin as it must")),
        };
        let size = if stripped { STRIPPED_SIZE } else { NEWC_SIZE };
        self.fill(header.get_mut(MAGIC_SIZE..size).unwrap_or_default())?;
        if stripped { self.numbered(&header) } else { self.named(&header) }
    }

    /// Says how many bytes of data a [`Entry::Numbered`] has.
    pub(super) fn expect(&mut self, size: u64) {
        self.remaining = size;
    }

    /// Reads from the current entry's data; 0 at its end.
    pub(super) fn read_data(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let room = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(buffer.len());
        let wanted = buffer.get_mut(..room).unwrap_or_default();
        if wanted.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(wanted)?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        self.position += count as u64;
        self.remaining -= count as u64;
        Ok(count)
    }

    fn numbered(&mut self, header: &[u8]) -> Result<Entry, ArchiveError> {
        let number = field(header, 0)?;
        self.align()?;
        Ok(Entry::Numbered(number as usize))
    }

    fn named(&mut self, header: &[u8]) -> Result<Entry, ArchiveError> {
        let (mode, size, name_size) = (field(header, 1)?, field(header, 6)?, field(header, 11)?);
        let name_size = name_size as usize;
        if name_size == 0 || name_size > MAX_NAME {
            return Err(ArchiveError::Format("an entry's name has an impossible length"));
        }
        let mut name = vec![0; name_size];
        self.fill(&mut name)?;
        if name.pop() != Some(0) || name.contains(&0) {
            return Err(ArchiveError::Format("an entry's name does not end where it must"));
        }
        self.align()?;
        if name == TRAILER {
            return Ok(Entry::Trailer);
        }
        self.remaining = size.into();
        Ok(Entry::Named { name, mode, size: size.into() })
    }

    /// Reads up to the next multiple of four.
    fn align(&mut self) -> Result<(), ArchiveError> {
        let mut padding = [0; 4];
        let length = self.position.next_multiple_of(4) - self.position;
        self.fill(padding.get_mut(..length as usize).unwrap_or_default())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        self.inner.read_exact(buffer)?;
        self.position += buffer.len() as u64;
        Ok(())
    }
}

/// The field with this number: eight hexadecimal digits.
fn field(header: &[u8], number: usize) -> Result<u32, ArchiveError> {
    let start = MAGIC_SIZE + 8 * number;
    let digits = header.get(start..start + 8).unwrap_or_default();
    // `from_str_radix` would take a sign too.
    let valid = digits.iter().all(u8::is_ascii_hexdigit);
    let text = str::from_utf8(digits).ok().filter(|_| valid);
    text.and_then(|text| u32::from_str_radix(text, 16).ok())
        .ok_or(ArchiveError::Format("an entry's header holds no hexadecimal numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, mode: u32, data: &[u8]) -> Vec<u8> {
        let (zero, name_size) = (0, name.len() + 1);
        let mut bytes = b"070701".to_vec();
        for number in [1, mode, zero, zero, 1, zero, data.len() as u32] {
            bytes.extend(format!("{number:08x}").bytes());
        }
        for number in [zero, zero, zero, zero, name_size as u32, zero] {
            bytes.extend(format!("{number:08x}").bytes());
        }
        bytes.extend(name.bytes().chain([0]));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn data(archive: &mut Archive<&[u8]>) -> Vec<u8> {
        let (mut data, mut buffer) = (Vec::new(), [0; 3]);
        loop {
            match archive.read_data(&mut buffer).unwrap() {
                0 => return data,
                count => data.extend(&buffer[..count]),
            }
        }
    }

    #[test]
    fn entries_come_in_order_whether_their_data_is_read_or_not() {
        let parts = [entry("./a", 0o100_644, b"12345"), entry("./bc", 0o100_755, b"6")];
        let bytes = [parts.concat(), entry("TRAILER!!!", 0, b"")].concat();
        let mut archive = Archive::new(bytes.as_slice());
        let named = |name: &[u8], mode, size| Entry::Named { name: name.to_vec(), mode, size };
        assert_eq!(archive.next_entry().unwrap(), named(b"./a", 0o100_644, 5));
        assert_eq!(archive.next_entry().unwrap(), named(b"./bc", 0o100_755, 1));
        assert_eq!(data(&mut archive), b"6");
        assert_eq!(archive.next_entry().unwrap(), Entry::Trailer);
    }

    #[test]
    fn stripped_entries_are_numbered() {
        let mut bytes = b"07070X00000002\0\0abc\0".to_vec();
        bytes.extend(entry("TRAILER!!!", 0, b""));
        let mut archive = Archive::new(bytes.as_slice());
        assert_eq!(archive.next_entry().unwrap(), Entry::Numbered(2));
        archive.expect(3);
        assert_eq!(data(&mut archive), b"abc");
        assert_eq!(archive.next_entry().unwrap(), Entry::Trailer);
    }

    #[test]
    fn an_archive_that_ends_early_or_lies_about_names_is_refused() {
        let whole = entry("./a", 0o100_644, b"12345");
        for length in 0..whole.len() {
            let mut archive = Archive::new(&whole[..length]);
            let result = archive.next_entry().and_then(|_| archive.next_entry());
            assert!(matches!(result, Err(ArchiveError::Read(_))), "{length}");
        }
        let mut endless = whole.clone();
        endless[94..102].copy_from_slice(b"ffffffff");
        let result = Archive::new(endless.as_slice()).next_entry();
        assert!(matches!(result, Err(ArchiveError::Format(_))));
        let mut signed = whole;
        signed[54..62].copy_from_slice(b"+0000005");
        let result = Archive::new(signed.as_slice()).next_entry();
        assert!(matches!(result, Err(ArchiveError::Format(_))));
    }
}
