//! A tree that is being made: nothing links to it, and nobody else can look into it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{PrefixError, failed};
use super::layout::RECEIPT_NAME;
use super::share::Inabilities;
use super::{Generation, Lock, Prefix, files};
use crate::model::{Arch, Receipt};

/// An unfinished tree. Deleted when dropped, unless [`Staging::commit`] made it a generation. Drop
/// it before the [`Lock`].
#[derive(Debug)]
pub struct Staging {
    prefix: Prefix,
    arch: Arch,
    /// Empty once committed.
    path: Option<PathBuf>,
    pub(super) inabilities: Inabilities,
}

impl Prefix {
    /// An empty directory for a tree of `arch`, mode 0700 until [`Staging::commit`].
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn stage(&self, _: &Lock, arch: Arch) -> Result<Staging, PrefixError> {
        let path = files::unique(&self.layout.staging(), arch.as_str());
        files::make_directory(&path, 0o700)?;
        let (prefix, inabilities) = (self.clone(), Inabilities::default());
        Ok(Staging { prefix, arch, path: Some(path), inabilities })
    }
}

impl Staging {
    /// The tree's root.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Writes the receipt into the tree's root.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_receipt(&self, receipt: &Receipt) -> Result<(), PrefixError> {
        let path = self.path().join(RECEIPT_NAME);
        let bytes = serde_json::to_vec_pretty(receipt).map_err(|error| PrefixError::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        files::write(&path, &bytes, 0o644, self.path())
    }

    /// Makes every file of the tree durable.
    ///
    /// # Errors
    /// When the disk is full or fails: some file systems say so only now.
    pub fn sync(&self) -> Result<(), PrefixError> {
        // One call writes all at once. It does not report every failure on older kernels, so each
        // file is asked too, which costs next to nothing then.
        if let Ok(directory) = File::open(self.path()) {
            let _ = rustix::fs::syncfs(directory);
        }
        sync_tree(self.path())
    }

    /// Makes the tree a generation with a number of its own. It is not live yet.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub fn commit(mut self, _: &Lock) -> Result<Generation, PrefixError> {
        let home = self.prefix.layout.arch(self.arch);
        files::make_directory(&home, 0o755)?;
        let number = self.prefix.next_number(self.arch)?;
        let generation = self.prefix.generation(self.arch, number);
        files::set_directory_mode(self.path(), 0o755)?;
        files::rename(self.path(), &generation.path)?;
        self.path = None;
        files::sync_directory(&self.prefix.layout.hidden())?;
        Ok(generation)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What cannot be deleted now is `Prefix::clean`'s.
            let _ = files::remove_tree(path);
        }
        let _ = self.prefix.discard_if_bare(self.arch);
    }
}

/// Syncs every file and directory of a tree.
fn sync_tree(path: &Path) -> Result<(), PrefixError> {
    for entry in fs::read_dir(path).map_err(failed("read", path))? {
        let entry = entry.map_err(failed("read", path))?;
        let kind = entry.file_type().map_err(failed("read", path))?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            let path = entry.path();
            sync_file(&path).map_err(failed("sync", &path))?;
        }
    }
    files::sync_directory(path)
}

fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
