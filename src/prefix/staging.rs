//! A tree that is being made: nothing links to it, and nobody else can look into it.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use super::error::{PrefixError, failed};
use super::{Generation, Locked, Prefix, files};
use crate::model::Arch;
use crate::tools::manners::Manners;
use crate::workshop::Workshop;

/// The workshop of an unfinished tree of a prefix. Deleted when dropped, unless [`Staging::commit`]
/// made it a generation.
#[derive(Debug)]
pub struct Staging<'l> {
    prefix: &'l Locked,
    arch: Arch,
    workshop: Workshop,
    /// The number of the generation whose place it has already, where directories cannot be renamed.
    number: Option<u32>,
}

impl Locked {
    /// An empty directory for a tree of `arch`, mode 0700 until [`Staging::commit`].
    ///
    /// # Errors
    /// [`PrefixError::Unfit`] where no prefix can be; or that the directory cannot be made.
    pub fn stage(&self, arch: Arch) -> Result<Staging<'_>, PrefixError> {
        let manners = self.manners()?;
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
    /// As [`Locked::stage`].
    pub fn scratch(&self, arch: Arch) -> Result<Staging<'_>, PrefixError> {
        let path = files::unique(&self.layout.staging(), arch.as_str());
        self.stage_at(path, arch, self.manners()?)
    }

    fn stage_at(
        &self,
        path: PathBuf,
        arch: Arch,
        manners: Manners,
    ) -> Result<Staging<'_>, PrefixError> {
        self.is_in_place()?;
        let workshop = Workshop::make(path, manners)?;
        Ok(Staging { prefix: self, arch, workshop, number: None })
    }

    /// How the prefix's file system behaves, tried once.
    fn manners(&self) -> Result<Manners, PrefixError> {
        if let Some(manners) = self.manners.get() {
            return Ok(manners.clone());
        }
        let manners = self.try_file_system()?;
        if let Some(problem) = manners.obstacle {
            return Err(PrefixError::Unfit { path: self.layout.root.clone(), problem });
        }
        Ok(self.manners.get_or_init(|| manners).clone())
    }
}

impl Prefix {
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

impl Deref for Staging<'_> {
    type Target = Workshop;

    fn deref(&self) -> &Workshop {
        &self.workshop
    }
}

impl DerefMut for Staging<'_> {
    fn deref_mut(&mut self) -> &mut Workshop {
        &mut self.workshop
    }
}

impl Staging<'_> {
    /// The architecture of the tree.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Makes the tree a generation with a number of its own. It is not live yet.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub fn commit(mut self) -> Result<Generation, PrefixError> {
        self.prefix.is_in_place()?;
        let home = self.prefix.layout.arch(self.arch);
        files::make_directory(&home, 0o755)?;
        let number = self.number.map_or_else(|| self.prefix.next_number(self.arch), Ok)?;
        let generation = self.prefix.generation(self.arch, number);
        files::set_directory_mode(self.path(), 0o755)?;
        if self.number.is_none() {
            files::rename(self.path(), &generation.path)?;
        }
        self.workshop.release();
        files::sync_directory(&self.prefix.layout.hidden())?;
        Ok(generation)
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // What cannot be deleted now is `Locked::clean`'s.
        match self.prefix.is_in_place() {
            Ok(()) => self.workshop.discard(),
            Err(_) => self.workshop.release(),
        }
        let _ = self.prefix.discard_if_bare(self.arch);
    }
}
