//! Removes what killed runs left, and trees that are no longer wanted.

use std::fs;

use super::adopted::ADOPTED;
use super::error::{PrefixError, failed, shown};
use super::event::Event;
use super::layout::JOURNAL_NAMES;
use super::replay::Settled;
use super::{Generation, Locked, files};
use crate::model::{Arch, RECEIPT_NAME};
use crate::report::Reporter;

impl Locked {
    /// Removes what killed runs left: unfinished trees and files, half-deleted trees, generations
    /// that never became live. Call it first after [`Prefix::lock`](super::Prefix::lock). What cannot be deleted (files
    /// that a program still has open on NFS) is left for the next time.
    ///
    /// # Errors
    /// When the prefix cannot be read or written.
    pub fn clean(&self, reporter: &dyn Reporter) -> Result<(), PrefixError> {
        for arch in Arch::ALL {
            self.finish_adoption(arch)?;
            let settled = self.settle(arch, reporter)?;
            self.discard_never_live(arch, &settled)?;
            self.discard_if_bare(arch)?;
        }
        for room in [self.layout.staging(), self.layout.trash()] {
            for entry in fs::read_dir(&room).map_err(failed("read", &room))? {
                let path = entry.map_err(failed("read", &room))?.path();
                match files::remove_tree(&path) {
                    Ok(()) => {
                        reporter.detail(format!("removed {}, left by an earlier run", shown(&path)))
                    }
                    Err(error) => {
                        reporter.detail(format!("cannot remove {} yet: {error}", shown(&path)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Deletes the generations that no launcher ever ran, and what is left of one that was being deleted.
    fn discard_never_live(&self, arch: Arch, settled: &Settled) -> Result<(), PrefixError> {
        for &number in &settled.deletable {
            let generation = self.generation(arch, number);
            let is_half = settled.leaving.contains(&number);
            // An adopted tree is the user's, whatever the journal says.
            if is_half || (number != ADOPTED && self.user_of(&generation).is_none()) {
                self.discard(&generation)?;
            }
        }
        Ok(())
    }

    /// Deletes a generation that is not live, such as one that was committed and must not become
    /// so. It is renamed away first, so that it is never there in part.
    ///
    /// # Errors
    /// When it is live, or the prefix cannot be written.
    pub fn discard(&self, generation: &Generation) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let Generation { arch, number, .. } = *generation;
        if self.layout.linked_number(arch)? == Some(number) {
            return Err(PrefixError::InUse { arch, number, by: "it is live".to_owned() });
        }
        // First, so that it is never left behind.
        let _ = fs::remove_file(self.layout.baseline(generation.arch, generation.number));
        // Renaming a directory rewrites its `..`, which needs write permission on it.
        files::set_directory_mode(&generation.path, 0o755)?;
        let stem = format!("{}-{}", generation.arch, generation.number);
        let trash = files::unique(&self.layout.trash(), &stem);
        files::discard(&generation.path, &trash, || {
            self.note(arch, Event::Leaving { generation: number })?;
            files::remove_file(&generation.path.join(RECEIPT_NAME))
        })?;
        self.discard_if_bare(arch)
    }

    /// Removes the directory of an architecture that has no generation, with its history.
    pub(super) fn discard_if_bare(&self, arch: Arch) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let directory = self.layout.arch(arch);
        let is_bare = directory.exists()
            && self.layout.linked_number(arch)?.is_none()
            && self.generations(arch)?.is_empty();
        if !is_bare {
            return Ok(());
        }
        let trash = files::unique(&self.layout.trash(), arch.as_str());
        files::discard(&directory, &trash, || {
            JOURNAL_NAMES.iter().try_for_each(|name| files::remove_file(&directory.join(name)))
        })
    }
}
