//! What is in files: their digests, and paths that nobody else has.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::model::{Algorithm, Checksum, Digester, RECEIPT_NAME};
use crate::publish::base::STAGE;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// Paths shorter than that stand in many files by chance.
const SHORTEST: usize = 8;

/// What must stand in no file: where it was made.
#[derive(Debug)]
pub(super) struct Needles(Vec<Vec<u8>>);

impl Needles {
    /// Those for `directory`.
    pub(super) fn of(directory: &Path) -> Self {
        let mut needles = vec![
            format!("/{STAGE}/").into_bytes(),
            format!("/{}/staging/", RECEIPT_NAME.trim_end_matches(".json")).into_bytes(),
        ];
        let real = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        for path in [directory, &real] {
            let bytes = path.as_os_str().as_bytes();
            let is_deep = path.components().count() > 2 && bytes.len() >= SHORTEST;
            if path.is_absolute() && is_deep && !needles.iter().any(|it| it == bytes) {
                needles.push(bytes.to_vec());
            }
        }
        Self(needles)
    }

    /// The first of them that stands in `bytes`.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<String> {
        let stands = |needle: &&Vec<u8>| {
            bytes.windows(needle.len()).any(|window| window == needle.as_slice())
        };
        let needle = self.0.iter().find(stands)?;
        Some(String::from_utf8_lossy(needle).into_owned())
    }

    /// The digest and the size of a file, and the first of these that stands in it.
    pub(super) fn read(&self, path: &Path) -> io::Result<(Checksum, u64, Option<String>)> {
        let longest = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let (mut digester, mut size, mut found) = (Digester::new(Algorithm::Sha256), 0, None);
        let mut file = File::open(path)?;
        let mut piece = vec![0; PIECE];
        let mut before: Vec<u8> = Vec::new();
        loop {
            let count = match file.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else { break };
            digester.update(read);
            size += read.len() as u64;
            if found.is_none() {
                before.extend_from_slice(read);
                found = self.find_fast(&before);
                let rest = before.len().saturating_sub(longest);
                before.drain(..rest);
            }
        }
        Ok((digester.finish(), size, found))
    }

    /// As `find`, looking at slashes only: all of them are paths.
    fn find_fast(&self, bytes: &[u8]) -> Option<String> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'/') {
            rest = rest.get(at..)?;
            if let Some(needle) = self.0.iter().find(|needle| rest.starts_with(needle)) {
                return Some(String::from_utf8_lossy(needle).into_owned());
            }
            rest = rest.get(1..)?;
        }
        None
    }
}
