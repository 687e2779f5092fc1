//! What came of it, and what a store of files that keeps equal ones once has to keep more.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::Serialize;

use super::base::{BIN, Base};
use super::changes::Switch;
use crate::error::Error;
use crate::model::{Algorithm, Checksum, FileKind};

/// What came of publishing in one base, or will.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct BaseReport {
    /// The base.
    pub(crate) base: String,
    /// Versions that are new.
    pub(crate) added: Vec<AddedVersion>,
    /// Where `current` leads, if elsewhere than before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) switched: Option<Switch>,
    /// Versions that are gone.
    pub(crate) dropped: Vec<String>,
    /// The versions that are wanted, by name.
    pub(crate) wanted: Vec<String>,
    /// The version that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
}

impl BaseReport {
    /// Whether nothing is to be done, or was.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.switched.is_none() && self.dropped.is_empty()
    }
}

/// A new version.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AddedVersion {
    /// Its name.
    pub(crate) name: String,
    /// Its trees: where each is, and of which dist.
    pub(crate) trees: Vec<AddedTree>,
    /// Bytes of the packages that it is made of.
    pub(crate) download_size: u64,
    /// Bytes that these have when installed, as they say themselves.
    pub(crate) installed_size: u64,
    /// What was counted when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<Account>,
}

/// A tree of a new version.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AddedTree {
    /// Where it is in the version.
    pub(crate) path: String,
    /// Its dist.
    pub(crate) dist: String,
    /// How many packages it has.
    pub(crate) packages: usize,
}

/// What a version consists of, and how much of it is new by its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Account {
    /// Files, directories and symlinks: each is an entry of a catalog.
    pub(crate) entries: u64,
    /// Regular files among them.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Contents that no version of the base had.
    pub(crate) new_files: u64,
    /// Their bytes.
    pub(crate) new_bytes: u64,
}

/// The contents that are there already.
pub(super) struct Known(HashSet<Checksum>);

impl Known {
    /// Those of the versions of `base`, as their receipts say.
    ///
    /// # Errors
    /// When a receipt is damaged, or a launcher cannot be read.
    pub(super) fn of(base: &Base) -> Result<Self, Error> {
        let mut known = Self(HashSet::new());
        for version in &base.versions {
            for (_, tree) in version.trees()? {
                known.0.extend(tree.receipt.all_files().into_iter().filter_map(
                    |it| match it.kind {
                        FileKind::File { checksum, .. } => Some(checksum),
                        FileKind::Directory | FileKind::Symlink { .. } => None,
                    },
                ));
            }
            let bin = version.path.join(BIN);
            known.add(&bin).map_err(|source| Error::File { path: bin, source })?;
        }
        Ok(known)
    }

    /// Counts what is in `version`, and knows it from then on.
    ///
    /// # Errors
    /// When something cannot be read.
    pub(super) fn add(&mut self, directory: &Path) -> io::Result<Account> {
        let mut account = Account { entries: 1, ..Account::default() };
        let mut waiting = vec![directory.to_owned()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                account.entries += 1;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    waiting.push(entry.path());
                } else if kind.is_file() {
                    let file = File::open(entry.path())?;
                    let (checksum, size) = Checksum::of_reader(Algorithm::Sha256, file)?;
                    account.files += 1;
                    account.bytes += size;
                    if self.0.insert(checksum) {
                        account.new_files += 1;
                        account.new_bytes += size;
                    }
                }
            }
        }
        Ok(account)
    }
}
