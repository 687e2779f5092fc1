//! A tree that is being made: nothing links to it, and nobody else can look into it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{PrefixError, failed};
use super::layout::RECEIPT_NAME;
use super::share::Inabilities;
use super::{Generation, Lock, Prefix, files};
use crate::model::{Arch, Receipt};
use crate::tools::files as steps;
use crate::tools::manners::Manners;

/// An unfinished tree. Deleted when dropped, unless [`Staging::commit`] made it a generation. Drop
/// it before the [`Lock`].
#[derive(Debug)]
pub struct Staging {
    prefix: Prefix,
    arch: Arch,
    /// Empty once committed.
    path: Option<PathBuf>,
    /// The number of the generation whose place it has already, where directories cannot be renamed.
    number: Option<u32>,
    manners: Manners,
    /// Files that could not be synced while they may run.
    unsynced: AtomicBool,
    pub(super) inabilities: Inabilities,
}

impl Prefix {
    /// An empty directory for a tree of `arch`, mode 0700 until [`Staging::commit`].
    ///
    /// # Errors
    /// [`PrefixError::Unfit`] where no prefix can be; or that the directory cannot be made.
    pub fn stage(&self, lock: &Lock, arch: Arch) -> Result<Staging, PrefixError> {
        let manners = self.manners(lock)?;
        if manners.moves_directories {
            return self.stage_at(
                files::unique(&self.layout.staging(), arch.as_str()),
                arch,
                manners,
            );
        }
        // In its place at once. Nothing leads there, and without a history it is nobody's.
        files::make_directory(&self.layout.arch(arch), 0o755)?;
        let number = self.next_number(arch)?;
        let mut staging = self.stage_at(self.layout.generation(arch, number), arch, manners)?;
        staging.number = Some(number);
        Ok(staging)
    }

    /// An empty directory for what is thrown away.
    ///
    /// # Errors
    /// As [`Prefix::stage`].
    pub fn scratch(&self, lock: &Lock, arch: Arch) -> Result<Staging, PrefixError> {
        let path = files::unique(&self.layout.staging(), arch.as_str());
        self.stage_at(path, arch, self.manners(lock)?)
    }

    fn stage_at(
        &self,
        path: PathBuf,
        arch: Arch,
        manners: Manners,
    ) -> Result<Staging, PrefixError> {
        files::make_directory(&path, 0o700)?;
        let (prefix, inabilities) = (self.clone(), Inabilities::default());
        let (path, number, unsynced) = (Some(path), None, AtomicBool::new(false));
        Ok(Staging { prefix, arch, path, number, manners, unsynced, inabilities })
    }

    /// How the prefix's file system behaves, tried once.
    fn manners(&self, lock: &Lock) -> Result<Manners, PrefixError> {
        if let Some(manners) = lock.manners.get() {
            return Ok(manners.clone());
        }
        let manners = self.try_file_system()?;
        if let Some(problem) = manners.obstacle {
            return Err(PrefixError::Unfit { path: self.layout.root.clone(), problem });
        }
        Ok(lock.manners.get_or_init(|| manners).clone())
    }

    /// Tries how the prefix's file system behaves. Nothing is left of it.
    fn try_file_system(&self) -> Result<Manners, PrefixError> {
        let place = files::unique(&self.layout.staging(), "probe");
        files::make_directory(&place, 0o700)?;
        let manners = Manners::of(&place);
        let _ = files::remove_tree(&place);
        manners.map_err(failed("write to", &self.layout.staging()))
    }

    /// Whether permissions stay as they are set in this prefix: it may have been copied to where they do
    /// not. `None` where this user cannot try.
    #[must_use]
    pub fn keeps_modes(&self) -> Option<bool> {
        self.try_file_system().ok().map(|manners| manners.keeps_modes)
    }
}

impl Staging {
    /// The tree's root.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
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
        self.sync_each(self.path(), steps::sync)
    }

    /// Syncs once more, where files can only be synced by who may write to them: when none of them runs.
    ///
    /// # Errors
    /// As [`Staging::sync`].
    pub fn sync_again(&self) -> Result<(), PrefixError> {
        match self.unsynced.load(Ordering::Relaxed) {
            true => self.sync_each(self.path(), steps::sync_as_writer),
            false => Ok(()),
        }
    }

    /// Syncs every file of a tree by `sync`, and every directory.
    fn sync_each(
        &self,
        path: &Path,
        sync: fn(&Path) -> std::io::Result<bool>,
    ) -> Result<(), PrefixError> {
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
        files::sync_directory(path)
    }

    /// Makes the tree a generation with a number of its own. It is not live yet.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub fn commit(mut self, _: &Lock) -> Result<Generation, PrefixError> {
        let home = self.prefix.layout.arch(self.arch);
        files::make_directory(&home, 0o755)?;
        let number = self.number.map_or_else(|| self.prefix.next_number(self.arch), Ok)?;
        let generation = self.prefix.generation(self.arch, number);
        files::set_directory_mode(self.path(), 0o755)?;
        if self.number.is_none() {
            files::rename(self.path(), &generation.path)?;
        }
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
