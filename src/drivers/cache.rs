//! The loader's cache of libraries, `/etc/ld.so.cache`, as ldconfig(8) of glibc writes it since 2.2: a table of names and
//! paths. `ldconfig -p` prints it; a machine or image may have no ldconfig that is anybody's to run.
//!
//! The format: glibc's `sysdeps/generic/dl-cache.h`. Where there is an older table in front, of glibc before 2.32, that is passed over.
//! Numbers are of the machine's own byte order.

use std::io::{self, Read};
use std::path::Path;

use crate::owned::open_to_read;

/// More than any real one has, in bytes: a bound.
const LARGEST: u64 = 64 << 20;

/// How the table begins, and the older one, of which each entry has these many bytes.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLDER: &[u8] = b"ld.so-1.7.0";
const OLDER_HEADER: usize = 16;
const OLDER_ENTRY: usize = 12;

/// Bytes of the header and of an entry.
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// What a cache lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoaderCache {
    /// Names and paths, in the cache's order; of several paths of a name the first that fits a program counts.
    pub(crate) libraries: Vec<(String, String)>,
}

impl LoaderCache {
    /// Reads the cache at `path`, which is no symlink.
    ///
    /// # Errors
    /// When there is none, or it is none (`InvalidData`).
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        open_to_read(path)?.take(LARGEST).read_to_end(&mut bytes)?;
        Self::parse(&bytes).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "it is no cache of glibc's loader")
        })
    }

    /// The directories that it lists libraries of, in its order.
    pub(crate) fn directories(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for (_, path) in &self.libraries {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            if !found.contains(&directory) {
                found.push(directory);
            }
        }
        found
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let table = match bytes.starts_with(OLDER) {
            false => bytes,
            true => {
                let count = number(bytes, OLDER_HEADER - 4)?;
                let end = count.checked_mul(OLDER_ENTRY)?.checked_add(OLDER_HEADER)?;
                bytes.get(end.checked_next_multiple_of(8)?..)?
            }
        };
        if !table.starts_with(MAGIC) {
            return None;
        }
        let count = number(table, MAGIC.len())?;
        let entries = table.get(HEADER..HEADER.checked_add(count.checked_mul(ENTRY)?)?)?;
        let mut libraries = Vec::new();
        let mut special = Vec::new();
        for entry in entries.chunks_exact(ENTRY) {
            let (name, path) = (text(table, number(entry, 4)?)?, text(table, number(entry, 8)?)?);
            // Variants for some processors only.
            let is_special = entry.get(16..)?.iter().any(|byte| *byte != 0);
            // Names that are no text are nobody's that a list names.
            let (Ok(name), Ok(path)) = (str::from_utf8(name), str::from_utf8(path)) else {
                continue;
            };
            let into = if is_special { &mut special } else { &mut libraries };
            into.push((name.to_owned(), path.to_owned()));
        }
        libraries.extend(special);
        Some(Self { libraries })
    }
}

/// The number at a position, as a position or count.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_ne_bytes(bytes)).ok()
}

/// The text at a position, up to its zero.
fn text(bytes: &[u8], at: usize) -> Option<&[u8]> {
    /// Longer than any path.
    const LONGEST: usize = 4096;
    let rest = bytes.get(at..)?;
    let end = rest.iter().take(LONGEST).position(|byte| *byte == 0)?;
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache of these names and paths, each with the bits that say for which processors it is.
    fn cache(entries: &[(&str, &str, u64)], with_older: bool) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut table = MAGIC.to_vec();
        let start = HEADER + entries.len() * ENTRY;
        table.extend(u32::try_from(entries.len()).unwrap().to_ne_bytes());
        table.resize(HEADER, 0);
        for (name, path, bits) in entries {
            table.extend(0x0303_u32.to_ne_bytes());
            for text in [name, path] {
                table.extend(u32::try_from(start + strings.len()).unwrap().to_ne_bytes());
                strings.extend(text.bytes().chain([0]));
            }
            table.extend(0_u32.to_ne_bytes());
            table.extend(bits.to_ne_bytes());
        }
        table.extend(strings);
        if !with_older {
            return table;
        }
        let mut whole = OLDER.to_vec();
        whole.resize(OLDER_HEADER - 4, 0);
        whole.extend(1_u32.to_ne_bytes());
        whole.resize(OLDER_HEADER + OLDER_ENTRY, 0);
        whole.resize(whole.len().next_multiple_of(8), 0);
        whole.extend(table);
        whole
    }

    #[test]
    fn both_formats_are_read_and_variants_come_last() {
        let entries = [("liba.so.1", "/v3/liba.so.1", 1 << 62), ("liba.so.1", "/lib/liba.so.1", 0)];
        for with_older in [false, true] {
            let read = LoaderCache::parse(&cache(&entries, with_older)).unwrap();
            let paths: Vec<&str> = read.libraries.iter().map(|(_, path)| path.as_str()).collect();
            assert_eq!(paths, ["/lib/liba.so.1", "/v3/liba.so.1"]);
            assert_eq!(read.directories(), ["/lib", "/v3"]);
        }
    }

    #[test]
    fn what_is_cut_off_or_lies_about_itself_is_no_cache() {
        let whole = cache(&[("liba.so.1", "/lib/liba.so.1", 0)], true);
        for length in 0..whole.len() {
            assert_eq!(LoaderCache::parse(&whole[..length]), None, "{length}");
        }
        let mut many = cache(&[("liba.so.1", "/lib/liba.so.1", 0)], false);
        many[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(LoaderCache::parse(&many), None);
        let mut far = cache(&[("liba.so.1", "/lib/liba.so.1", 0)], false);
        far[HEADER + 4..HEADER + 8].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(LoaderCache::parse(&far), None);
    }
}
