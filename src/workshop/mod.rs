//! Where a tree is made: a directory, a way to make it durable, what its file system does, and maybe a
//! finished tree to take unchanged files from. And the finished tree itself, wherever it lies. Knows
//! nothing of prefixes and generations.

mod configuration;
mod error;
mod inabilities;
mod made;
mod share;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

pub use configuration::ConfigReport;
pub(crate) use configuration::{ConfigStates, Edited};
pub(crate) use error::WorkshopError;
pub(crate) use made::{MadeTree, parse_receipt, read_receipt_bytes, read_signature};
pub(crate) use share::Share;

use crate::model::{CONTAINER_DIRECTORY, Checksum, RECEIPT_NAME, Receipt};
use crate::tools::manners::Manners;
use crate::tools::replacement::{Care, Replacement};
use crate::tools::{files, space};
use error::failed;
use inabilities::Inabilities;

/// A directory in which one tree is made; deleted when dropped, unless `Workshop::release` gave it
/// away.
#[derive(Debug)]
pub struct Workshop {
    path: PathBuf,
    /// Whether somebody else has the directory now.
    is_released: bool,
    manners: Manners,
    /// The tree whose unchanged files may be taken over.
    earlier: Option<MadeTree>,
    /// The workshop of the tree within this one, once it is made.
    within: OnceLock<Box<Self>>,
    /// Files that could not be synced while they may run.
    unsynced: AtomicBool,
    inabilities: Inabilities,
}

impl Workshop {
    /// Makes the directory `path`, mode 0700, on a file system that behaves like this.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn make(path: PathBuf, manners: Manners) -> Result<Self, WorkshopError> {
        files::make_directory(&path, 0o700).map_err(failed("make the directory", &path))?;
        Ok(Self::of(path, manners))
    }

    /// A directory of its own below `temporary`, into which nobody else can look.
    ///
    /// # Errors
    /// When it cannot be made, or its file system does not have what a tree is made of.
    pub fn temporary(temporary: &Path) -> Result<Self, WorkshopError> {
        let path = files::unique(temporary, "elsewhere");
        // Fails when it is there: somebody else may have made it.
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(failed("make the directory", &path))?;
        let found = Manners::of(&path);
        let mut workshop = Self::of(path, Manners::default());
        workshop.manners = found.map_err(failed("write to", &workshop.path))?;
        match workshop.manners.obstacle {
            Some(problem) => Err(WorkshopError::Unfit { path: workshop.path.clone(), problem }),
            None => Ok(workshop),
        }
    }

    fn of(path: PathBuf, manners: Manners) -> Self {
        let (unsynced, inabilities) = (AtomicBool::new(false), Inabilities::default());
        let within = OnceLock::new();
        Self { path, is_released: false, manners, earlier: None, within, unsynced, inabilities }
    }

    /// Lets files that stay the same be taken over from `earlier`.
    pub fn take_from(&mut self, earlier: MadeTree) {
        self.earlier = Some(earlier);
    }

    /// The tree whose unchanged files may be taken over.
    #[must_use]
    pub fn earlier(&self) -> Option<&MadeTree> {
        self.earlier.as_ref()
    }

    /// The root of the tree that is made.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The workshop of the tree in [`CONTAINER_DIRECTORY`] of this one: a part of this directory, which
    /// takes files from that part of the earlier tree.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn within(&self) -> Result<&Self, WorkshopError> {
        if let Some(within) = self.within.get() {
            return Ok(within);
        }
        let path = self.path.join(CONTAINER_DIRECTORY);
        files::make_directory(&path, 0o755).map_err(failed("make the directory", &path))?;
        let mut within = Self::of(path, self.manners.clone());
        // It goes with the whole.
        within.release();
        within.earlier = self.earlier.as_ref().and_then(MadeTree::within);
        Ok(self.within.get_or_init(|| Box::new(within)))
    }

    /// Whether permissions stay as they are set here.
    #[must_use]
    pub fn keeps_modes(&self) -> bool {
        self.manners.keeps_modes
    }

    /// Whether names that differ only in case are the same here.
    #[must_use]
    pub fn folds_case(&self) -> bool {
        self.manners.folds_case
    }

    /// Proves that `needed` bytes can be written.
    ///
    /// # Errors
    /// [`WorkshopError::NoSpace`] when they cannot.
    pub fn check_space(&self, needed: u64) -> Result<(), WorkshopError> {
        match space::shortage(&self.path, needed) {
            Ok(None) => Ok(()),
            Ok(available) => {
                let (path, needed) = (self.path.clone(), Some(needed));
                Err(WorkshopError::NoSpace { path, needed, available })
            }
            Err(error) => Err(failed("ask for free space at", &self.path)(error)),
        }
    }

    /// Writes the receipt into the tree's root, durably. Returns the digest of its file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_receipt(&self, receipt: &Receipt) -> Result<Checksum, WorkshopError> {
        let path = self.path.join(RECEIPT_NAME);
        let new = files::unique(&self.path, "receipt");
        let write = || {
            let bytes = serde_json::to_vec_pretty(receipt)?;
            let fill = |file: &mut File| file.write_all(&bytes);
            Replacement::file(new, Care::Durable(0o644), fill)?.put(&path)?;
            files::sync_directory(&self.path)?;
            Ok(Checksum::of(&bytes))
        };
        write().map_err(failed("write", &path))
    }

    /// Makes every file of the tree durable.
    ///
    /// # Errors
    /// When the disk is full or fails: some file systems say so only now.
    pub fn sync(&self) -> Result<(), WorkshopError> {
        // One call writes all at once. It does not report every failure on older kernels, so each
        // file is asked too, which costs next to nothing then.
        if let Ok(directory) = File::open(&self.path) {
            let _ = rustix::fs::syncfs(directory);
        }
        self.sync_each(&self.path, files::sync)
    }

    /// Syncs once more, where files can only be synced by who may write to them: when none of them runs.
    ///
    /// # Errors
    /// As [`Workshop::sync`].
    pub fn sync_again(&self) -> Result<(), WorkshopError> {
        match self.unsynced.load(Ordering::Relaxed) {
            true => self.sync_each(&self.path, files::sync_as_writer),
            false => Ok(()),
        }
    }

    /// Syncs every file of a tree by `sync`, and every directory.
    fn sync_each(
        &self,
        path: &Path,
        sync: fn(&Path) -> io::Result<bool>,
    ) -> Result<(), WorkshopError> {
        for entry in fs::read_dir(path).map_err(failed("read", path))? {
            let entry = entry.map_err(failed("read", path))?;
            let kind = entry.file_type().map_err(failed("read", path))?;
            let path = entry.path();
            if kind.is_dir() {
                self.sync_each(&path, sync)?;
            } else if kind.is_file() && !sync(&path).map_err(failed("sync", &path))? {
                self.unsynced.store(true, Ordering::Relaxed);
            }
        }
        files::sync_directory(path).map(drop).map_err(failed("sync", path))
    }

    /// Gives the directory away: it is not deleted any more.
    pub(crate) fn release(&mut self) {
        self.is_released = true;
    }

    /// Deletes the directory, unless it was given away. What cannot be deleted stays.
    pub(crate) fn discard(&mut self) {
        if !std::mem::replace(&mut self.is_released, true) {
            let _ = files::remove_tree(&self.path);
        }
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.discard();
    }
}
