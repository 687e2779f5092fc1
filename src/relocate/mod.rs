//! Stage 9a: makes a staged tree movable. Programs name the libraries that they need by their places,
//! relative to themselves; they and libraries find what else they need by a `DT_RPATH` that is relative
//! too. Symlinks stay inside the tree, and what the runtimes' definitions declare is made.
//!
//! Programs and libraries that need only the host's libraries keep their bytes.

mod block;
mod check;
mod direct;
mod edits;
mod entries;
mod error;
mod in_place;
mod inner;
mod launch;
mod layout;
mod links;
mod older;
mod programs;
mod relocated;
mod run_path;
mod symbols;
mod tree;
mod unchangeable;

pub use error::RelocateError;
pub(crate) use inner::link_into;
pub(crate) use older::loading;
pub use relocated::Relocated;

use std::path::Path;

use crate::elf::Abi;
use crate::model::{Arch, ReceiptFile, RelPath, Runtime, Taken};
use crate::report::{Event, Phase, Reporter};

/// The version of the rules by which a tree is made movable. Raised whenever the same packages would
/// become other files: only files that were made by the same rules are taken over from another tree.
pub(crate) const RULES: u32 = 4;

/// Makes the tree at `tree`, for `arch`, movable. `files` are its files as unpacked; afterwards
/// they are its files as they are now: digests (with `packaged` the digest before), the texts of
/// links, and what was added. `runtimes` say what else must be made; a soname that matches
/// `host_libraries` (`*` for any characters) is always the host's.
///
/// # Errors
/// When the tree cannot be changed, an edit does not fit its file, or the user stops the run. The
/// tree is then of no use, and `files` are as they were.
pub fn relocate(
    tree: &Path,
    arch: Arch,
    files: &mut Vec<ReceiptFile>,
    runtimes: &[&Runtime],
    host_libraries: &[String],
    reporter: &dyn Reporter,
) -> Result<Relocated, RelocateError> {
    let job = Relocation {
        tree,
        arch,
        runtimes,
        makes_declared: true,
        program: None,
        host_libraries,
        reporter,
    };
    job.run(&Taken::new(), files)
}

/// A tree to be made movable, as [`relocate`] describes it.
#[derive(Clone, Copy)]
pub struct Relocation<'a> {
    /// Where it is.
    pub tree: &'a Path,
    /// What it is for.
    pub arch: Arch,
    /// What else must be made.
    pub runtimes: &'a [&'a Runtime],
    /// Whether the directories, files and links that they declare are made here: not in a tree within another.
    pub makes_declared: bool,
    /// The program that shows directories of the tree at places of the host, where it is at hand.
    pub program: Option<&'a [u8]>,
    /// Patterns of sonames that are always the host's.
    pub host_libraries: &'a [String],
    /// Whom to tell.
    pub reporter: &'a dyn Reporter,
}

impl Relocation<'_> {
    /// As [`relocate`], of a tree some of whose files were `taken` over from another, where they had
    /// been relocated already. The result is the same as if they had come from their packages.
    ///
    /// # Errors
    /// As [`relocate`]; and [`RelocateError::Stale`] when the result cannot be the same.
    pub fn run(
        &self,
        taken: &Taken,
        files: &mut Vec<ReceiptFile>,
    ) -> Result<Relocated, RelocateError> {
        let (reporter, phase) = (self.reporter, Phase::Relocate);
        let mut relocated = Relocated::default();
        let mut staged = tree::Tree::open(self.tree, files, taken)?;
        let is_file =
            |file: &&ReceiptFile| matches!(file.kind, crate::model::FileKind::File { .. });
        let total = files.iter().filter(is_file).count() as u64;
        reporter.event(Event::Started { phase, total: Some(total) });
        drop_build_ids(&mut staged)?;
        if self.makes_declared {
            edits::make_directories(&mut staged, self.runtimes)?;
            edits::make_places(&mut staged, self.runtimes, self.program)?;
        }
        edits::make_edits(&mut staged, self.runtimes)?;
        if self.makes_declared {
            edits::make_files(&mut staged, self.runtimes)?;
            edits::make_links(&mut staged, self.runtimes)?;
        }
        links::settle(&mut staged, &mut relocated.warnings)?;
        let (abi, host) = (Abi::of(self.arch), self.host_libraries);
        programs::relocate(&mut staged, abi, self.runtimes, host, reporter, &mut relocated)?;
        *files = staged.close()?;
        reporter.event(Event::Finished { phase });
        Ok(relocated)
    }
}

/// Removes the links by build identifier, which only debuggers follow and all packages share.
fn drop_build_ids(tree: &mut tree::Tree) -> Result<(), RelocateError> {
    const BUILD_IDS: &str = "lib/.build-id";
    let Ok(path) = RelPath::new(BUILD_IDS) else { return Ok(()) };
    let inside = format!("{BUILD_IDS}/");
    let is_there =
        tree.files().any(|file| file.path == path || file.path.as_str().starts_with(&inside));
    match is_there {
        true => tree.remove_directory(&path),
        false => Ok(()),
    }
}
