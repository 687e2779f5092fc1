//! Removes what killed runs left, and trees that are no longer wanted.

use std::fs;

use super::adopt::ADOPTED;
use super::error::{PrefixError, failed, shown};
use super::history::{History, now};
use super::layout::HISTORY_NAME;
use super::{Generation, Locked, files};
use crate::model::{Arch, RECEIPT_NAME};
use crate::report::Reporter;

impl Locked {
    /// Removes what killed runs left: unfinished trees and files, half-deleted trees, generations
    /// that never became live. Call it first after [`Prefix::lock`]. What cannot be deleted (files
    /// that a program still has open on NFS) is left for the next time.
    ///
    /// # Errors
    /// When the prefix cannot be read or written.
    pub fn clean(&self, reporter: &dyn Reporter) -> Result<(), PrefixError> {
        for arch in Arch::ALL {
            self.finish_adoption(arch)?;
            self.restore_link(arch, reporter)?;
            let history = self.settle_history(arch, reporter)?;
            self.discard_never_live(arch, &history)?;
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

    /// Links what launchers ran before its link was lost.
    fn restore_link(&self, arch: Arch, reporter: &dyn Reporter) -> Result<(), PrefixError> {
        let Some(generation) = self.lost(arch)? else { return Ok(()) };
        self.point_to(&generation)?;
        let number = generation.number;
        reporter.warning(format!("{arch}: the link to generation {number} was lost; it is back"));
        Ok(())
    }

    /// Makes the history end with what is live: a run may have been killed after it wrote the
    /// history and before it swapped the link, or somebody may have swapped or removed the link. A
    /// generation that may ever have been live stays in the history, and so on the disk.
    fn settle_history(&self, arch: Arch, reporter: &dyn Reporter) -> Result<History, PrefixError> {
        let live = self.layout.linked_number(arch)?;
        let loaded = match History::load(&self.layout, arch) {
            Err(error @ PrefixError::Damaged { .. }) => {
                reporter.warning(format!("{error}; it is begun anew"));
                None
            }
            loaded => Some(loaded?),
        };
        let before = loaded.clone();
        let mut history = match loaded {
            // One that was emptied still knows the highest number.
            Some(history) if history.highest > 0 => history,
            // Nobody knows what was live: all of them, so that none is deleted too early.
            lost => self.assumed_history(arch, lost.is_none())?,
        };
        if history.pending.is_some_and(|pending| live != Some(pending)) {
            history.take_back();
        }
        history.pending = None;
        history.leaving = history.leaving.filter(|leaving| live != Some(*leaving));
        match live {
            Some(live) => history.add(live),
            None if history.activations.is_empty() || history.removed_at.is_some() => {}
            // Not by `elsewhere remove`: it counts from now.
            None => history.removed_at = Some(now()),
        }
        if before.as_ref() != Some(&history) && self.layout.arch(arch).exists() {
            history.save(&self.layout, arch)?;
        }
        Ok(history)
    }

    /// A history in which every generation that is there was live until now; unless `all`, only those
    /// whose configuration was noted, which comes first when one becomes live.
    fn assumed_history(&self, arch: Arch, all: bool) -> Result<History, PrefixError> {
        let mut history = History::new();
        for Generation { number, .. } in self.generations(arch)? {
            if all || self.layout.baseline(arch, number).exists() {
                history.add(number);
            }
        }
        if let Some(live) = self.layout.linked_number(arch)? {
            history.add(live);
        }
        Ok(history)
    }

    /// Deletes the generations that no launcher ever ran, and what is left of one that was being deleted.
    fn discard_never_live(&self, arch: Arch, history: &History) -> Result<(), PrefixError> {
        for generation in self.generations(arch)? {
            // An adopted tree is the user's, whatever the history says.
            let is_ours = generation.number != ADOPTED;
            let never_lived = is_ours && !history.knows(generation.number);
            let is_half = history.leaving == Some(generation.number);
            if is_half || (never_lived && self.user_of(&generation).is_none()) {
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
            self.note_leaving(generation)?;
            files::remove_file(&generation.path.join(RECEIPT_NAME))
        })?;
        self.discard_if_bare(arch)
    }

    /// Notes that a generation is being deleted where it lies, so that [`Locked::clean`] goes on with it. Of
    /// one that no history knows, that is so without a note.
    fn note_leaving(&self, generation: &Generation) -> Result<(), PrefixError> {
        match History::load(&self.layout, generation.arch) {
            Ok(mut history) if history.knows(generation.number) => {
                history.leaving = Some(generation.number);
                history.save(&self.layout, generation.arch)
            }
            _ => Ok(()),
        }
    }

    /// Removes the directory of an architecture that has no generation, with its history.
    pub(super) fn discard_if_bare(&self, arch: Arch) -> Result<(), PrefixError> {
        let directory = self.layout.arch(arch);
        let is_bare = directory.exists()
            && self.layout.linked_number(arch)?.is_none()
            && self.generations(arch)?.is_empty();
        if !is_bare {
            return Ok(());
        }
        let trash = files::unique(&self.layout.trash(), arch.as_str());
        files::discard(&directory, &trash, || files::remove_file(&directory.join(HISTORY_NAME)))
    }
}
