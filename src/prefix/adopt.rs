//! A prefix that Apptainer's `install-unprivileged.sh` made becomes one of ours: each of its trees
//! generation 0, which can be rolled back to.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::error::{PrefixError, failed};
use super::journal::Journal;
use super::layout::Layout;
use super::{Generation, Locked, Prefix, config, files};
use crate::model::{
    Algorithm, Arch, Checksum, FileKind, PlannedRuntime, RECEIPT_FORMAT, Receipt, ReceiptFile,
    RelPath,
};
use crate::report::Reporter;

/// The number of an adopted tree.
pub(super) const ADOPTED: u32 = 0;

/// The runtime that the script installs.
const RUNTIME: &str = "apptainer";

/// What stands for a version that nobody wrote down.
const UNKNOWN: &str = "unknown";

impl Prefix {
    /// Adopts the prefix at `path`, if the script made it. Its trees stay live, and their `etc/` is
    /// carried into what is installed next. Returns the architectures that were adopted.
    ///
    /// # Errors
    /// When it cannot be locked or written, or a directory is not what the script makes.
    pub fn adopt(
        path: &Path,
        wait: bool,
        reporter: &dyn Reporter,
    ) -> Result<Vec<Arch>, PrefixError> {
        let arches = match Self::create(path) {
            Err(PrefixError::MadeByScript { arches, .. }) => arches,
            outcome => return outcome.map(|_| Vec::new()),
        };
        let prefix = Self { layout: Layout::at(path)? };
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

/// What is known of an adopted tree: its programs. Configuration that is not listed counts as the
/// user's own, so that none is lost.
pub(super) fn receipt(generation: &Generation) -> Result<Receipt, PrefixError> {
    let bin = generation.path.join("bin");
    let mut programs = Vec::new();
    for entry in fs::read_dir(&bin).map_err(failed("read", &bin))? {
        let path = entry.map_err(failed("read", &bin))?.path();
        programs.extend(program(&path).map_err(failed("read", &path))?);
    }
    programs.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Receipt {
        format: RECEIPT_FORMAT,
        arch: generation.arch,
        dist: UNKNOWN.to_owned(),
        disabled_repositories: Vec::new(),
        enabled_repositories: Vec::new(),
        runtimes: vec![PlannedRuntime { name: RUNTIME.to_owned(), version: UNKNOWN.to_owned() }],
        installed_at: 0,
        without_modes: false,
        elsewhere: UNKNOWN.to_owned(),
        glibc_needed: None,
        sources: Vec::new(),
        packages: Vec::new(),
        files: programs,
        loading: None,
        reuse: None,
        made_with: None,
        container: None,
    })
}

/// A file or symlink in the tree's `bin`; `None` for anything else.
fn program(path: &Path) -> std::io::Result<Option<ReceiptFile>> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(place) = name.and_then(|name| RelPath::new(&format!("bin/{name}")).ok()) else {
        return Ok(None);
    };
    let metadata = fs::symlink_metadata(path)?;
    let kind = if metadata.is_symlink() {
        FileKind::Symlink { target: fs::read_link(path)?.to_string_lossy().into_owned() }
    } else if metadata.is_file() {
        let (checksum, size) = Checksum::of_reader(Algorithm::Sha256, fs::File::open(path)?)?;
        FileKind::File { size, checksum, packaged: None }
    } else {
        return Ok(None);
    };
    Ok(Some(ReceiptFile { path: place, kind, mode: 0o755, package: None, config: false }))
}
