//! From an archive's data to files of a tree, with every byte digested on the way.

use std::io::{self, Read, Write};

use cap_std::fs::Dir;

use crate::model::{Checksum, Digester, RelPath};
use crate::report::{Phase, Reporter};
use crate::trust::{Header, HeaderFile};

use super::archive::{Archive, ArchiveError};
use super::keeping::Keeping;
use super::layout::refusal;
use super::tree::{Aside, OpenTree};
use super::{FileProblem, UnpackError};

/// Bytes that are decoded, digested and written at a time.
const CHUNK: usize = 128 << 10;

/// Writes files of one package.
pub(super) struct Writer<'a, 's> {
    header: &'a Header,
    tree: OpenTree<'a>,
    prover: Prover<'a, 's>,
}

/// Moves data, in pieces.
struct Prover<'a, 's> {
    header: &'a Header,
    reporter: &'a dyn Reporter,
    buffer: Vec<u8>,
    /// Where what is wanted is kept besides.
    keeping: Keeping<'s>,
}

impl<'a, 's> Writer<'a, 's> {
    /// A writer into the tree below `root`, which keeps what it writes in `keeping` too.
    pub(super) fn new(
        header: &'a Header,
        root: &'a Dir,
        keeping: Keeping<'s>,
        reporter: &'a dyn Reporter,
    ) -> Self {
        let prover = Prover { header, reporter, buffer: vec![0; CHUNK], keeping };
        Self { header, tree: OpenTree::new(root), prover }
    }

    /// What was kept.
    pub(super) fn into_kept(self) -> Keeping<'s> {
        self.prover.keeping
    }

    /// Makes a directory, and those above it.
    pub(super) fn directory(&mut self, path: &RelPath) -> Result<(), UnpackError> {
        self.tree.make_directory(path).map_err(write_error(self.header, path))
    }

    /// Makes a symlink.
    pub(super) fn symlink(
        &mut self,
        path: &RelPath,
        text: &str,
        file: &HeaderFile,
    ) -> Result<(), UnpackError> {
        self.tree.symlink(path, text, file.mtime).map_err(write_error(self.header, path))
    }

    /// Writes the current entry's data as a new file, once it has proven to be `file`'s.
    pub(super) fn file<R: Read>(
        &mut self,
        path: &RelPath,
        mode: u32,
        file: &HeaderFile,
        archive: &mut Archive<R>,
    ) -> Result<(), UnpackError> {
        let failed = write_error(self.header, path);
        let mut new = self.tree.create(path, mode).map_err(failed)?;
        let write = |bytes: &[u8]| new.file.write_all(bytes).map_err(failed);
        self.prover.prove(file, archive, true, write)?;
        new.keep(mode, file.mtime).map_err(failed)
    }

    /// Proves that the current entry's data is `file`'s, and writes nothing of it into the tree: another
    /// package has, or it `is_wanted` by nobody.
    pub(super) fn discard<R: Read>(
        &mut self,
        file: &HeaderFile,
        archive: &mut Archive<R>,
        is_wanted: bool,
    ) -> Result<(), UnpackError> {
        self.prover.prove(file, archive, is_wanted, |_| Ok(()))
    }

    /// Gives the file `number` of `aside`, which was proven, its place.
    pub(super) fn take_in(
        &mut self,
        aside: &Aside<'_>,
        number: usize,
        path: &RelPath,
    ) -> Result<(), UnpackError> {
        self.tree.take_in(aside, number, path).map_err(write_error(self.header, path))
    }

    /// Gives `existing` another name; or the other name a copy, where the file is not to be
    /// shared or the file system cannot.
    pub(super) fn link(
        &mut self,
        existing: &RelPath,
        path: &RelPath,
        mode: u32,
        file: &HeaderFile,
    ) -> Result<(), UnpackError> {
        let failed = write_error(self.header, path);
        if !file.flags.is_config() && self.tree.link(existing, path).map_err(failed)? {
            return Ok(());
        }
        let mut source = self.tree.open(existing).map_err(failed)?;
        let mut new = self.tree.create(path, mode).map_err(failed)?;
        io::copy(&mut source, &mut new.file).map_err(failed)?;
        new.keep(mode, file.mtime).map_err(failed)
    }
}

impl Prover<'_, '_> {
    /// Passes the current entry's data to `sink`, and compares its digest with the header's. What `is_kept`
    /// goes to the store too.
    fn prove<R: Read>(
        &mut self,
        file: &HeaderFile,
        archive: &mut Archive<R>,
        is_kept: bool,
        mut sink: impl FnMut(&[u8]) -> Result<(), UnpackError>,
    ) -> Result<(), UnpackError> {
        let refuse = |problem| Err(refusal(self.header, &file.path, problem));
        // `trust` lets no regular file pass without a digest.
        let Some(expected) = &file.digest else { return refuse(FileProblem::Missing) };
        let mut digester = Digester::new(expected.algorithm());
        self.keeping.begin(expected, is_kept);
        loop {
            if self.reporter.is_cancelled() {
                return Err(UnpackError::Cancelled);
            }
            let count = archive
                .read_data(&mut self.buffer)
                .map_err(|error| archive_error(self.header, error))?;
            let bytes = self.buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            digester.update(bytes);
            sink(bytes)?;
            self.keeping.write(bytes);
            self.reporter.advanced(Phase::Unpack, count as u64);
        }
        let got: Checksum = digester.finish();
        if got == *expected {
            return Ok(());
        }
        refuse(FileProblem::Digest { expected: expected.clone(), got })
    }
}

/// The error for what happened to an archive.
pub(super) fn archive_error(header: &Header, error: ArchiveError) -> UnpackError {
    let package = header.nevra.to_string();
    match error {
        ArchiveError::Read(source) => UnpackError::Decode { package, source },
        ArchiveError::Format(problem) => UnpackError::Archive { package, problem },
    }
}

/// Makes the error for what happened to `path`.
pub(super) fn write_error<'a>(
    header: &'a Header,
    path: &'a RelPath,
) -> impl Fn(io::Error) -> UnpackError + Copy + 'a {
    move |source| UnpackError::Write {
        package: header.nevra.to_string(),
        path: path.clone(),
        source,
    }
}
