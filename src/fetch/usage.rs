//! How much a cache holds, and being rid of it.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;

use super::FetchError;
use crate::owned::Owners;
use crate::tools::files;

/// What was fetched by digest.
const FETCHED: &str = "objects";
/// What else can be had or made again. Not `seen`: how new the metadata were that were believed, and which
/// receipts a run of this user's wrote.
const OTHERS: [&str; 3] = ["documents", "derived", "partial"];

/// Some files of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct CacheShare {
    /// How many.
    pub(crate) files: usize,
    /// Their bytes.
    pub(crate) size: u64,
}

/// What a cache holds, or what went of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct CacheUsage {
    /// Packages and lists of packages, as they were fetched.
    pub(crate) fetched: CacheShare,
    /// Answers of servers, plans, and what did not come whole.
    pub(crate) other: CacheShare,
}

/// What the cache at `root` holds. Nothing, where there is none.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn usage(root: &Path) -> Result<CacheUsage, FetchError> {
    let mut usage = CacheUsage::default();
    add(&mut usage.fetched, &root.join(FETCHED))?;
    for name in OTHERS {
        add(&mut usage.other, &root.join(name))?;
    }
    Ok(usage)
}

/// Removes all that. What went.
///
/// # Errors
/// When somebody else could write there, or it cannot be removed.
pub(crate) fn clear(root: &Path, owners: &Owners) -> Result<CacheUsage, FetchError> {
    match owners.check_root(root) {
        _ if !root.exists() => return Ok(CacheUsage::default()),
        checked => checked?,
    }
    let gone = usage(root)?;
    for name in OTHERS.into_iter().chain([FETCHED]) {
        let path = root.join(name);
        files::remove_tree(&path).map_err(|error| FetchError::cache("remove", &path, error))?;
    }
    Ok(gone)
}

/// Adds what is at `path` and below, symlinks not followed. What goes meanwhile is no error.
fn add(share: &mut CacheShare, path: &Path) -> Result<(), FetchError> {
    let mut looked = || -> io::Result<Vec<_>> {
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_dir() {
            return fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
        }
        share.files += 1;
        share.size = share.size.saturating_add(metadata.size());
        Ok(Vec::new())
    };
    match looked() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FetchError::cache("read", path, error)),
        Ok(paths) => paths.iter().try_for_each(|path| add(share, path)),
    }
}
