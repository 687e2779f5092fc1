//! Writes a bundle from its beginning to its end, into one file or into several; only the head is written last.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use super::head::head;
use super::index::{BundleIndex, BundleMember};
use super::trailer::{TRAILER_SIZE, Trailer};
use super::{HEAD_SIZE, SET_DIGITS, aligned};
use crate::model::{Algorithm, Arch, Checksum};
use crate::tools::excerpt::Excerpt;
use crate::tools::files;

/// Makes the file for the part of this number; the first is 1.
type Maker<'a> = &'a dyn Fn(usize) -> io::Result<File>;

/// Files that follow each other.
pub(super) struct Parts<'a> {
    make: Maker<'a>,
    /// Bytes of each but the last one.
    limit: u64,
    files: Vec<(File, u64)>,
}

impl Parts<'_> {
    /// All that was written.
    pub(super) fn written(&self) -> io::Result<Excerpt> {
        let files = self.files.iter().map(|(file, size)| Ok((file.try_clone()?, *size)));
        Ok(Excerpt::of(files.collect::<io::Result<_>>()?))
    }

    /// Its files, each with its size.
    pub(super) fn files(&self) -> &[(File, u64)] {
        &self.files
    }

    fn room(&self) -> u64 {
        self.files.last().map_or(0, |(_, size)| self.limit.saturating_sub(*size))
    }

    /// Writes over what was written at the beginning, which the first file has.
    fn write_first(&self, bytes: &[u8]) -> io::Result<()> {
        let first = self.files.first().ok_or(io::ErrorKind::NotFound)?;
        first.0.write_all_at(bytes, 0)
    }
}

impl Write for Parts<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room() == 0 {
            self.files.push(((self.make)(self.files.len() + 1)?, 0));
        }
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let part = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
        let (file, size) = self.files.last_mut().ok_or(io::ErrorKind::NotFound)?;
        let count = file.write(part)?;
        *size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A bundle that was written.
pub(super) struct Written<'a> {
    pub(super) parts: Parts<'a>,
    /// The digest of its index.
    pub(super) index: Checksum,
    /// What its parts have it by in their names.
    pub(super) set: String,
}

/// A bundle that is being written.
pub(super) struct Writer<'a> {
    parts: Parts<'a>,
    at: u64,
    programs: Vec<BundleMember>,
    members: Vec<BundleMember>,
}

impl<'a> Writer<'a> {
    /// One whose files, of at most `limit` bytes, `make` makes.
    pub(super) fn begin(limit: Option<u64>, make: Maker<'a>) -> io::Result<Self> {
        let parts = Parts { make, limit: limit.unwrap_or(u64::MAX), files: Vec::new() };
        let mut writer = Self { parts, at: 0, programs: Vec::new(), members: Vec::new() };
        writer.fill(HEAD_SIZE)?;
        Ok(writer)
    }

    /// Where the next part begins.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// How many programs there are.
    pub(super) fn programs(&self) -> usize {
        self.programs.len()
    }

    /// Adds a program. All of them come before any member, by their names.
    pub(super) fn program(&mut self, name: String, arch: Arch, file: File) -> io::Result<()> {
        let member = self.add(name, Some(arch), |to| io::copy(&mut &file, to).map(drop))?;
        self.programs.push(member);
        Ok(())
    }

    /// Adds a member, which `copy` writes. They come by their names. Returns what was written.
    pub(super) fn member(
        &mut self,
        name: String,
        arch: Option<Arch>,
        copy: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Excerpt> {
        let member = self.add(name, arch, copy)?;
        let written = self.parts.written()?.cut(member.offset, member.size);
        self.members.push(member);
        Ok(written)
    }

    fn add(
        &mut self,
        name: String,
        arch: Option<Arch>,
        copy: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<BundleMember> {
        let offset = self.at;
        let mut counting = Counting { parts: &mut self.parts, size: 0 };
        copy(&mut counting)?;
        let size = counting.size;
        self.at = offset + size;
        let written = self.parts.written()?.cut(offset, size);
        let (checksum, _) = Checksum::of_reader(Algorithm::Sha256, written)?;
        self.fill(aligned(self.at))?;
        Ok(BundleMember { name, arch, offset, size, checksum })
    }

    /// Writes zeros up to `end`.
    fn fill(&mut self, end: u64) -> io::Result<()> {
        io::copy(&mut io::repeat(0).take(end - self.at), &mut self.parts)?;
        self.at = end;
        Ok(())
    }

    /// Writes what finds all that, and the head of a bundle that installs `title`.
    pub(super) fn finish(mut self, title: &str) -> io::Result<Written<'a>> {
        let index_at = self.at;
        let mut index = BundleIndex::new(Checksum::of(b""), self.programs, self.members);
        // A digest has the same length whatever it is of.
        let blank = index.text()?;
        let index_size = blank.len() as u64;
        let set = Checksum::of(blank.as_bytes()).first_digits(SET_DIGITS);
        let total = aligned(index_at + index_size) + TRAILER_SIZE as u64;
        let head = head(total, &set, &index.programs, title);
        index.head = Checksum::of(&head);
        let text = index.text()?;
        self.parts.write_all(text.as_bytes())?;
        let zeros = aligned(index_at + index_size) - index_at - index_size;
        io::copy(&mut io::repeat(0).take(zeros), &mut self.parts)?;
        let index = Checksum::of(text.as_bytes());
        let trailer = Trailer { total, index_at, index_size, index: index.clone() };
        self.parts.write_all(&trailer.bytes())?;
        self.parts.write_first(&head)?;
        for (file, _) in &mut self.parts.files {
            files::sync_written(file)?;
            file.rewind()?;
        }
        Ok(Written { parts: self.parts, index, set })
    }
}

/// Counts what is written.
struct Counting<'p, 'a> {
    parts: &'p mut Parts<'a>,
    size: u64,
}

impl Write for Counting<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.parts.write(bytes)?;
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
