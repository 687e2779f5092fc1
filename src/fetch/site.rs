//! The site's cache: a directory laid out as a user's own is, which somebody fills for all users and nobody
//! of them writes to. Whoever that is need not be trusted: what is taken from there is what was asked for by
//! its digest or, of keys, by its fingerprint, and else it is not taken. What is not there, or is something
//! else than it should be, is fetched as if there were no such cache.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::cache::{object_path, seen_path};
use super::local;
use crate::model::Checksum;

/// Most bytes of a note.
const NOTE: u64 = 1 << 20;

/// The site's cache.
pub(super) struct SiteCache(PathBuf);

impl SiteCache {
    /// The one at `root`, which need not be there.
    pub(super) fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// Where the file with this digest would be.
    pub(super) fn object(&self, checksum: &Checksum) -> PathBuf {
        object_path(&self.0, checksum)
    }

    /// The same, open, if it has this size. Its bytes were not looked at.
    pub(super) fn open_unproven(&self, checksum: &Checksum, size: u64) -> Option<File> {
        let (file, found) = local::open(&self.object(checksum)).ok()?;
        (found == size).then_some(file)
    }

    /// The note under `key`, which nothing vouches for.
    pub(super) fn note(&self, key: &str) -> Option<String> {
        let (file, _) = local::open(&seen_path(&self.0, key)).ok()?;
        let mut text = String::new();
        file.take(NOTE).read_to_string(&mut text).ok()?;
        Some(text)
    }
}
