//! What was unpacked once, kept below the cache: so that a second prefix, or a repair, decodes nothing.
//!
//! ```text
//! CACHE/unpacked/
//! ├── packages/<digest of the package file>/     with `-<which>` where only some of its files were taken
//! │   ├── head                   a line: bytes of its files; then the package file up to its payload
//! │   └── <digest>               a file as it was packaged, by its digest
//! └── new/<name>.<random>/       on its way, or on its way out; what a dead run left is removed later
//! ```
//!
//! Many runs may share it, without locks: a package appears by one rename(2), whole, never changes, and goes
//! by another one. Nothing here is believed, run or linked to. Whoever uses a package proves its header's
//! signature once more, and of each file the copy that was made of it.

mod bound;
mod entry;
mod shelves;

use std::io;
use std::path::Path;

pub(crate) use bound::Holdings;
pub(crate) use entry::{NewStoredPackage, StoredPackage};

use shelves::Shelves;

use crate::model::{Checksum, RelPath};
use crate::owned::{OwnedError, Owners};
use crate::tools::copying::Copier;
use crate::tools::space;

/// The directory below the cache.
const PLACE: &str = "unpacked";
/// Bytes that its files may have together where nobody says otherwise.
pub(crate) const USUAL_LIMIT: u64 = 1 << 30;
/// A package takes its place twice while it is unpacked, here and in the tree; and something must stay free.
const ROOM: u64 = 3;

/// The store below a cache.
#[derive(Debug)]
pub(crate) struct Store {
    shelves: Shelves,
    /// Bytes that its files may have together.
    limit: u64,
    copier: Copier,
}

/// Which package, or which files of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StoreKey(String);

impl StoreKey {
    /// That of the package file with this digest; of those files alone that `only` names, if it names some.
    pub(crate) fn of(package: &Checksum, only: &[RelPath]) -> Self {
        if only.is_empty() {
            return Self(package.hex());
        }
        let mut names: Vec<&str> = only.iter().map(RelPath::as_str).collect();
        names.sort_unstable();
        let which = Checksum::of(names.join("\n").as_bytes());
        Self(format!("{}-{}", package.hex(), which.first_digits(16)))
    }
}

impl Store {
    /// Opens the store of the cache at `cache`, and makes the directories that are missing, for this user
    /// alone. Its files together are to have `limit` bytes at the most.
    ///
    /// # Errors
    /// When somebody else could write there, or it cannot be made.
    pub(crate) fn open(cache: &Path, owners: Owners, limit: u64) -> Result<Self, OwnedError> {
        let shelves = Shelves::open(cache.join(PLACE), owners)?;
        shelves.sweep(false);
        Ok(Self { shelves, limit, copier: Copier::default() })
    }

    /// The same, where there is one; nothing is made.
    ///
    /// # Errors
    /// When somebody else could write there, or it cannot be opened.
    pub(crate) fn open_existing(
        cache: &Path,
        owners: Owners,
        limit: u64,
    ) -> Result<Option<Self>, OwnedError> {
        match std::fs::symlink_metadata(cache.join(PLACE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Self::open(cache, owners, limit).map(Some),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.shelves.path
    }

    /// What copies files out of it.
    pub(crate) fn copier(&self) -> &Copier {
        &self.copier
    }

    /// Whether something is there in the place of this package, whatever it is.
    pub(crate) fn has(&self, key: &StoreKey) -> bool {
        self.shelves.has(&key.0)
    }

    /// A package that is there.
    ///
    /// # Errors
    /// When it is not as it is made here, or not of those whom this run trusts.
    pub(crate) fn find(&self, key: &StoreKey) -> io::Result<StoredPackage> {
        StoredPackage::of(self.shelves.package(&key.0)?, &self.shelves.owners)
    }

    /// Begins a package whose file begins with `head`, and whose files have `size` bytes together. `None`
    /// where it is there already, or is too large.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub(crate) fn begin(
        &self,
        key: &StoreKey,
        head: &[u8],
        size: u64,
    ) -> io::Result<Option<NewStoredPackage<'_>>> {
        match size > self.limit || self.has(key) {
            true => Ok(None),
            false => NewStoredPackage::begin(&self.shelves, &key.0, head, size).map(Some),
        }
    }

    /// Takes a package out.
    pub(crate) fn discard(&self, key: &StoreKey) {
        self.shelves.remove(&key.0);
    }

    /// Whether there is room for packages whose files have `needed` bytes, beside the trees that they are for.
    pub(crate) fn has_room(&self, needed: u64) -> bool {
        matches!(space::shortage(self.path(), needed.saturating_mul(ROOM)), Ok(None))
    }

    /// Takes out what was used least recently, where this run has put something in and it is too much now.
    /// What went.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn settle(&self) -> io::Result<Holdings> {
        match self.shelves.has_grown() {
            true => bound::bound(&self.shelves, self.limit),
            false => Ok(Holdings::default()),
        }
    }

    /// What is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn holdings(&self) -> io::Result<Holdings> {
        bound::holdings(&self.shelves)
    }

    /// Takes out what was used least recently until the rest has `limit` bytes at the most, and what is left
    /// of dead runs. With a limit of 0 all goes, also what living runs are about to put in. What went.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn prune(&self, limit: u64) -> io::Result<Holdings> {
        self.shelves.sweep(limit == 0);
        bound::bound(&self.shelves, limit)
    }
}
