//! The layout on disk: lock, staging, generations, swap, receipts, launchers, configuration. The
//! only room that knows a path under a prefix.
//!
//! ```text
//! PREFIX/
//! ├── bin/NAME                     launchers
//! ├── dists/DIST/                  where there are several dists: a prefix for each
//! ├── ARCH -> .elsewhere/ARCH/N    the live generation: a relative symlink, replaced by rename(2)
//! └── .elsewhere/
//!     ├── lock                     held by whoever changes anything below PREFIX
//!     ├── pins.toml                versions that runtimes stay at
//!     ├── repositories.toml        how new the metadata were that were believed
//!     ├── keys.toml                certificates of those who signed, and how old these copies are
//!     ├── ARCH/N/                  generation N: a complete tree with its receipt
//!     ├── ARCH/journal.jsonl       a line for everything that happened to them
//!     ├── ARCH/config-N.json       the configuration as it was when N became live
//!     ├── program/ARCH/elsewhere    this program, for bin/elsewhere; beside it its `digest`
//!     ├── staging/                 trees and files that are being made: nothing here is reachable
//!     └── trash/                   trees that are being deleted
//! ```
//!
//! Every change is a row of small steps, and each step leaves a whole prefix: a tree is made in
//! `staging`, synced, renamed to its number, and only then linked from `ARCH`; a generation is
//! renamed into `trash` before its first file is deleted. [`Locked::clean`] removes what a killed
//! run left between two steps. No file holds the prefix's own path, so a prefix can be moved.
//!
//! Readers need no lock. Whatever changes something is a method of [`Locked`], which is made by
//! [`Prefix::lock`] alone; nothing is written before, the prefix's directory included.

mod activate;
mod adopt;
mod adopted;
mod bin;
mod clean;
mod config;
mod error;
mod event;
mod files;
mod generation;
mod history;
mod in_use;
mod journal;
mod kept;
mod keys;
mod launchers;
mod layout;
mod lock;
mod members;
mod pins;
mod program;
mod prune;
mod repair;
mod replay;
mod settle;
mod sightings;
mod staging;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use error::PrefixError;
pub use generation::Generation;
pub use lock::Locked;
pub(crate) use program::{KeptProgram, keeper};
pub(crate) use prune::Pruned;
pub use settle::LostLink;
pub(crate) use staging::Staging;

use crate::model::{Arch, PUBLISHED_NAME, RECEIPT_NAME, RelPath, VERSION_NAME};
use crate::owned::Owners;
use crate::tools::space;
use error::failed;
use layout::Layout;

/// A directory that holds, or will hold, generations and launchers.
#[derive(Clone, Debug)]
pub struct Prefix {
    layout: Layout,
    /// Who else may own what is written to.
    owners: Owners,
}

impl Prefix {
    /// The prefix at `path`, which must be one already. Writes nothing.
    ///
    /// # Errors
    /// When there is no prefix, it is another program's, or its path cannot be used.
    pub fn open(path: &Path) -> Result<Self, PrefixError> {
        let prefix = Self::create(path)?;
        if !prefix.layout.hidden().is_dir() {
            return Err(PrefixError::NotAPrefix { path: prefix.layout.root });
        }
        Ok(prefix)
    }

    /// The prefix at `path`, which may be one already, any directory, or nothing yet. Writes
    /// nothing: the directories are made by [`Prefix::lock`].
    ///
    /// # Errors
    /// When something else than a directory is there, the prefix is another program's, or its path
    /// cannot be used.
    pub fn create(path: &Path) -> Result<Self, PrefixError> {
        let layout = Layout::at(path)?;
        if let Some(outer) = layout.around() {
            return Err(PrefixError::Inside { path: layout.root, outer });
        }
        match fs::metadata(&layout.root) {
            Ok(metadata) if !metadata.is_dir() => {
                Err(PrefixError::NotADirectory { path: layout.root })
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("read", &layout.root)(error))
            }
            _ => {
                check_owner(&layout)?;
                Ok(Self { layout, owners: Owners::default() })
            }
        }
    }

    /// The same, which these may own and write to, too.
    #[must_use]
    pub(crate) fn trusting(self, owners: Owners) -> Self {
        Self { owners, ..self }
    }

    /// Its absolute path. Symlinks on the way are as the user typed them.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.layout.root
    }

    /// The directory of the launchers.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.layout.bin()
    }

    /// A pattern, in the language of AppArmor's profiles, that fits the file at `path` in every
    /// generation of every architecture, as the kernel sees its path.
    #[must_use]
    pub fn everywhere(&self, path: &RelPath) -> String {
        let layout = Layout { root: physical(&self.layout.root) };
        let special = |character: char| r#"\*?[]{}^",@"#.contains(character);
        let mut pattern = String::new();
        for character in layout.hidden().to_string_lossy().chars() {
            if special(character) {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        format!("{pattern}/*/*/{path}")
    }

    /// Whether its path, or the one that symlinks lead to, holds `character`: some features of some
    /// runtimes fail there by themselves.
    #[must_use]
    pub fn path_holds(&self, character: char) -> bool {
        let holds = |path: &Path| path.to_string_lossy().contains(character);
        holds(&self.layout.root) || holds(&physical(&self.layout.root))
    }

    /// The architectures that have a live generation.
    ///
    /// # Errors
    /// When the prefix cannot be read.
    pub fn arches(&self) -> Result<Vec<Arch>, PrefixError> {
        Ok(self.live_generations()?.into_iter().map(|generation| generation.arch).collect())
    }

    /// Bytes that this user can still write where the prefix is, or will be. Quotas that the file
    /// system does not tell are not counted.
    ///
    /// # Errors
    /// When the file system does not answer.
    pub fn available_space(&self) -> Result<u64, PrefixError> {
        space::available(&self.layout.root)
            .map_err(failed("ask for free space at", &self.layout.root))
    }

    /// Proves that `needed` bytes can be written.
    ///
    /// # Errors
    /// [`PrefixError::NoSpace`] when they cannot.
    pub fn check_space(&self, needed: u64) -> Result<(), PrefixError> {
        let path = self.layout.root.clone();
        match space::shortage(&path, needed) {
            Ok(None) => Ok(()),
            Ok(available) => Err(PrefixError::NoSpace { path, needed: Some(needed), available }),
            Err(error) => Err(failed("ask for free space at", &path)(error)),
        }
    }
}

impl Layout {
    /// The layout of a prefix at `path`, which the programs inside can live with.
    fn at(path: &Path) -> Result<Self, PrefixError> {
        let absolute = std::path::absolute(path).map_err(failed("find", path))?;
        // Without a slash at the end, which would make `symlink_metadata` follow a symlink.
        let layout = Self { root: absolute.components().collect() };
        check_path(&layout.root)?;
        check_path(&physical(&layout.root))?;
        Ok(layout)
    }
}

/// Where `path` leads once every symlink is followed, as far as it exists.
fn physical(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}

/// Refuses paths that the programs inside cannot live with.
fn check_path(path: &Path) -> Result<(), PrefixError> {
    let refuse = |problem| Err(PrefixError::BadPath { path: path.to_owned(), problem });
    match path.to_str() {
        None => {
            refuse("is not UTF-8: runtimes write their own path into JSON, which cannot hold it")
        }
        Some(text) if text.contains(':') => {
            refuse("has a colon: nothing below it can be bound into a container or stand in PATH")
        }
        Some(text) if text.chars().any(char::is_control) => refuse(
            "has a line break or another control character: runtimes write it into mount tables",
        ),
        Some(_) => Ok(()),
    }
}

/// Refuses what was published, and a prefix whose architectures are directories, or links to somewhere else.
fn check_owner(layout: &Layout) -> Result<(), PrefixError> {
    let published = [PUBLISHED_NAME, VERSION_NAME];
    if published.iter().any(|name| fs::symlink_metadata(layout.root.join(name)).is_ok()) {
        return Err(PrefixError::Published { path: layout.root.clone() });
    }
    let mut directories = Vec::new();
    for arch in Arch::ALL {
        let link = layout.link(arch);
        match fs::symlink_metadata(&link) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", &link)(error)),
            Ok(metadata) if metadata.is_dir() => directories.push(arch),
            Ok(_) if layout.linked_number(arch)?.is_some() => {}
            Ok(_) => return Err(PrefixError::Foreign { path: link }),
        }
    }
    let Some(&first) = directories.first() else { return Ok(()) };
    let path = layout.root.clone();
    if layout.link(first).join(RECEIPT_NAME).exists() {
        return Err(PrefixError::Published { path });
    }
    Err(PrefixError::MadeByScript { path, arches: directories })
}
