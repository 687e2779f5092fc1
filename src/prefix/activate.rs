//! Which generation is live: made so, and taken back.

use std::fs;
use std::io;

use super::error::{PrefixError, failed};
use super::event::Event;
use super::layout::Layout;
use super::{Generation, Locked, config, files};
use crate::model::Arch;

impl Locked {
    /// Makes `generation` live: in one step, durably. Returns what was live before.
    ///
    /// # Errors
    /// When the prefix cannot be written. What was live is live still.
    pub fn activate(&self, generation: &Generation) -> Result<Option<Generation>, PrefixError> {
        let previous = self.live(generation.arch)?;
        if previous.as_ref() == Some(generation) {
            return Ok(previous);
        }
        let receipt = self.receipt(generation)?;
        self.note(generation.arch, Event::Begun { generation: generation.number })?;
        let config = config::remember(&self.layout, &receipt, generation)?;
        self.point_to(generation)?;
        // It is live, whether or not that can be noted: `clean` sees it by the link.
        let _ = files::rename(&config, &self.layout.baseline(generation.arch, generation.number))
            .and_then(|()| self.catch_up(generation.arch));
        Ok(previous)
    }

    /// Takes `failed` back after its test failed: makes `previous` live again, or nothing, and
    /// deletes `failed` unless something runs from it already.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub fn deactivate(
        &self,
        failed: &Generation,
        previous: Option<&Generation>,
    ) -> Result<(), PrefixError> {
        let to = previous.map(|previous| previous.number);
        self.note(failed.arch, Event::Withdrawn { generation: failed.number, to })?;
        // It witnesses that a generation was live, which this one is not to have been.
        files::remove_file(&self.layout.baseline(failed.arch, failed.number))?;
        match previous {
            Some(previous) => self.point_to(previous)?,
            None => self.unlink(failed.arch)?,
        }
        if self.user_of(failed).is_none() {
            self.discard(failed)?;
        }
        self.discard_if_bare(failed.arch)
    }

    /// Points the symlink to `generation`.
    pub(super) fn point_to(&self, generation: &Generation) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let text = Layout::link_text(generation.arch, generation.number);
        files::link(&self.layout.link(generation.arch), &text, &self.layout.staging())
    }

    /// Removes the symlink of `arch`.
    pub(super) fn unlink(&self, arch: Arch) -> Result<(), PrefixError> {
        let link = self.layout.link(arch);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &link)(error))
            }
            _ => files::sync_directory(&self.layout.root),
        }
    }
}
