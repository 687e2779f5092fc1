//! A prefix that Apptainer's `install-unprivileged.sh` made becomes one of ours: each of its trees
//! generation 0, which can be rolled back to.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::adopted::{ADOPTED, RUNTIME};
use super::error::{PrefixError, failed};
use super::journal::Journal;
use super::layout::Layout;
use super::{Locked, Prefix, config, files};
use crate::model::Arch;
use crate::owned::Owners;
use crate::report::Reporter;

impl Prefix {
    /// Adopts the prefix at `path`, if the script made it. Its trees stay live, and their `etc/` is
    /// carried into what is installed next. Returns the architectures that were adopted.
    ///
    /// # Errors
    /// When it cannot be locked or written, or a directory is not what the script makes.
    pub fn adopt(
        path: &Path,
        owners: &Owners,
        wait: bool,
        reporter: &dyn Reporter,
    ) -> Result<Vec<Arch>, PrefixError> {
        let arches = match Self::create(path) {
            Err(PrefixError::MadeByScript { arches, .. }) => arches,
            outcome => return outcome.map(|_| Vec::new()),
        };
        let prefix = Self { layout: Layout::at(path)?, owners: owners.clone() };
        for &arch in &arches {
            let link = prefix.layout.link(arch);
            if !link.join("bin").join(RUNTIME).exists() {
                return Err(PrefixError::Foreign { path: link });
            }
        }
        let locked = prefix.lock(wait, reporter)?;
        for &arch in &arches {
            locked.adopt_arch(arch)?;
        }
        Ok(arches)
    }
}

impl Locked {
    /// Puts the tree into its generation's place and the link into the tree's: in one step, where
    /// the file system can exchange two names.
    fn adopt_arch(&self, arch: Arch) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let (tree, generation) = (self.layout.link(arch), self.generation(arch, ADOPTED));
        let place = &generation.path;
        files::make_directory(&self.layout.arch(arch), 0o755)?;
        if fs::symlink_metadata(place).is_ok_and(|metadata| metadata.is_dir()) {
            return Err(PrefixError::Foreign { path: tree });
        }
        // A link that leads to its own place, until the tree is there.
        files::link(place, &Layout::link_text(arch, ADOPTED), &self.layout.staging())?;
        match renameat_with(CWD, &tree, CWD, place, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                // Between the two steps launchers find nothing; `clean` makes the second one.
                files::remove_file(place)?;
                files::rename(&tree, place)?;
                self.point_to(&generation)?;
            }
            Err(error) => {
                // The prefix stays the script's.
                let _ = files::remove_file(place);
                let _ = self.discard_if_bare(arch);
                return Err(failed("rename something to", place)(error.into()));
            }
        }
        for directory in [&self.layout.root, &self.layout.arch(arch)] {
            files::sync_directory(directory)?;
        }
        let config = config::remember(&self.layout, &self.receipt(&generation)?, &generation)?;
        files::rename(&config, &self.layout.baseline(arch, ADOPTED))?;
        self.catch_up(arch)
    }

    /// Links an adopted tree that a killed run moved to its place and did not link.
    pub(super) fn finish_adoption(&self, arch: Arch) -> Result<(), PrefixError> {
        let generation = self.generation(arch, ADOPTED);
        let is_moved = fs::symlink_metadata(&generation.path).is_ok_and(|it| it.is_dir());
        let is_unlinked = fs::symlink_metadata(self.layout.link(arch)).is_err();
        if !(is_moved && is_unlinked) {
            return Ok(());
        }
        match Journal::load(&self.layout, arch)?.lines.is_empty() {
            true => self.point_to(&generation),
            false => Ok(()),
        }
    }
}
