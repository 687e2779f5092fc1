//! One payload's way into the tree: each entry found in the header's list, checked, written.

use std::collections::HashMap;
use std::io::Read;

use cap_std::fs::Dir;

use crate::model::{Checksum, RelPath};
use crate::report::Reporter;
use crate::trust::{FileType, Header, HeaderFile};

use super::archive::{Archive, Entry};
use super::keeping::Keeping;
use super::layout::{Layout, Placement, Thing, refusal};
use super::writer::{Writer, archive_error};
use super::{FileProblem, UnpackError};

/// The state of unpacking one package.
pub(super) struct Unpacking<'a, 's> {
    layout: &'a Layout<'a>,
    header: &'a Header,
    writer: Writer<'a, 's>,
    reporter: &'a dyn Reporter,
    /// Which of the header's files the payload has had an entry for.
    seen: Vec<bool>,
    /// Which regular files the payload has had the data of: with hard links, several at once.
    filled: Vec<bool>,
    /// The numbers of files that are one inode, or would be the same as one: hard links. The payload
    /// may have their data once.
    links: Links<'a>,
}

/// What hard links have in common: their inode, where the header names one, and what is in it.
pub(super) type Content<'a> = (Option<(u32, u32)>, u64, Option<&'a Checksum>, u32);
/// Their numbers, by that.
pub(super) type Links<'a> = HashMap<Content<'a>, Vec<usize>>;

impl<'a, 's> Unpacking<'a, 's> {
    /// A session that has read nothing yet.
    pub(super) fn new(
        layout: &'a Layout<'a>,
        root: &'a Dir,
        keeping: Keeping<'s>,
        reporter: &'a dyn Reporter,
    ) -> Self {
        let header = layout.header;
        let unseen = vec![false; header.files.len()];
        Self {
            layout,
            header,
            writer: Writer::new(header, root, keeping, reporter),
            reporter,
            seen: unseen.clone(),
            filled: unseen,
            links: hard_links(header),
        }
    }

    /// Unpacks the whole archive. What was kept of it.
    pub(super) fn run(mut self, payload: impl Read) -> Result<Keeping<'s>, UnpackError> {
        for path in &self.layout.implied {
            self.writer.directory(path)?;
        }
        let mut archive = Archive::new(payload);
        loop {
            if self.reporter.is_cancelled() {
                return Err(UnpackError::Cancelled);
            }
            let entry = archive.next_entry().map_err(|error| archive_error(self.header, error))?;
            let (number, size) = match entry {
                Entry::Trailer => break,
                Entry::Named { name, mode, size } => (self.named(&name, mode)?, size),
                Entry::Numbered(number) => {
                    let size = self.numbered(number)?;
                    archive.expect(size);
                    (number, size)
                }
            };
            self.entry(number, size, &mut archive)?;
        }
        self.link_late()?;
        self.check_complete()?;
        Ok(self.writer.into_kept())
    }

    /// The header's number of the file that an entry names.
    fn named(&self, name: &[u8], mode: u32) -> Result<usize, UnpackError> {
        let Some(number) = self.layout.number(name) else {
            let shown = String::from_utf8_lossy(name);
            return Err(refusal(self.header, &shown, FileProblem::Unlisted));
        };
        if FileType::of(mode) != self.header.files[number].file_type() {
            return Err(self.refuse(number, FileProblem::Type));
        }
        Ok(number)
    }

    /// The bytes of data that the stripped entry with this number has. Of hard links, the last
    /// has the data.
    fn numbered(&self, number: usize) -> Result<u64, UnpackError> {
        let Some(file) = self.header.files.get(number) else {
            return Err(refusal(self.header, &format!("number {number}"), FileProblem::Unlisted));
        };
        let is_last = match self.links.get(&content(file)) {
            Some(group) if file.identity.is_some() => group.last() == Some(&number),
            _ => true,
        };
        Ok(match file.file_type() {
            FileType::Regular if is_last => file.size,
            FileType::Symlink => file.size,
            _ => 0,
        })
    }

    fn entry<R: Read>(
        &mut self,
        number: usize,
        size: u64,
        archive: &mut Archive<R>,
    ) -> Result<(), UnpackError> {
        let file = &self.header.files[number];
        if file.flags.is_ghost() {
            // Some builders pack them all the same. As for rpm, they are not the package's to make.
            return Ok(());
        }
        if std::mem::replace(&mut self.seen[number], true) {
            return Err(self.refuse(number, FileProblem::Duplicate));
        }
        // It may be a hard link, whose data comes with another: in the end all must have had theirs.
        let has_no_data = size == 0 && file.size > 0;
        match file.file_type() {
            FileType::Regular if has_no_data => Ok(()),
            FileType::Regular if size == file.size => self.regular(number, archive),
            FileType::Regular => {
                Err(self.refuse(number, FileProblem::Size { expected: file.size, got: size }))
            }
            FileType::Symlink => self.symlink(number, size, archive),
            FileType::Directory | FileType::Special if size == 0 => self.directory(number),
            FileType::Directory | FileType::Special => {
                Err(self.refuse(number, FileProblem::Size { expected: 0, got: size }))
            }
        }
    }

    /// A directory; or a special file, of which only unwanted ones come so far.
    fn directory(&mut self, number: usize) -> Result<(), UnpackError> {
        match &self.layout.places[number] {
            Some(place) => self.writer.directory(&place.path),
            None => Ok(()),
        }
    }

    fn symlink<R: Read>(
        &mut self,
        number: usize,
        size: u64,
        archive: &mut Archive<R>,
    ) -> Result<(), UnpackError> {
        let file = &self.header.files[number];
        let expected = file.link_target.as_bytes();
        if size != expected.len() as u64 || read_all(self.header, archive, size)? != expected {
            return Err(self.refuse(number, FileProblem::LinkTarget));
        }
        match &self.layout.places[number] {
            Some(Placement { path, thing: Thing::Symlink(text), is_ours: true }) => {
                self.writer.symlink(path, text, file)
            }
            _ => Ok(()),
        }
    }

    /// A regular file with its data, which is that of its hard links too.
    fn regular<R: Read>(
        &mut self,
        number: usize,
        archive: &mut Archive<R>,
    ) -> Result<(), UnpackError> {
        let (header, layout) = (self.header, self.layout);
        let file = &header.files[number];
        // Once filled, all of them are: looking for them again, for each of 100,000, takes hours.
        let mut same = if self.filled[number] { Vec::new() } else { self.same_file(number) };
        same.retain(|&other| !self.filled[other]);
        let place = |&other: &usize| Some((other, target(layout.places[other].as_ref())?));
        let mut targets = same.iter().filter_map(place);
        match targets.next() {
            None => {
                let is_wanted = same.iter().any(|&other| layout.places[other].is_some());
                self.writer.discard(file, archive, is_wanted)?;
            }
            Some((_, (first, mode))) => {
                self.writer.file(first, mode, file, archive)?;
                for (other, (path, mode)) in targets {
                    self.writer.link(first, path, mode, &header.files[other])?;
                }
            }
        }
        for other in same {
            self.filled[other] = true;
        }
        Ok(())
    }

    /// The numbers of all hard links of a file, itself among them. Where the header does not say, each
    /// has data of its own, or [`Self::link_late`] finds it.
    fn same_file(&self, number: usize) -> Vec<usize> {
        same_file(&self.links, &self.header.files[number], number)
    }

    /// Gives files that came without data that of a file that must be the same, byte for byte: hard
    /// links of which the header names no inodes.
    fn link_late(&mut self) -> Result<(), UnpackError> {
        let place = |number: usize| target(self.layout.places[number].as_ref());
        for group in self.links.values() {
            let Some(&whole) = group.iter().find(|&&number| self.filled[number]) else { continue };
            for &number in group.iter().filter(|&&number| self.seen[number]) {
                if std::mem::replace(&mut self.filled[number], true) {
                    continue;
                }
                let Some((path, mode)) = place(number) else { continue };
                let Some((first, _)) = place(whole) else {
                    return Err(self.refuse(number, FileProblem::Missing));
                };
                self.writer.link(first, path, mode, &self.header.files[number])?;
            }
        }
        Ok(())
    }

    /// Every file that the header lists must have come, and have had its data.
    fn check_complete(&self) -> Result<(), UnpackError> {
        for (number, file) in self.header.files.iter().enumerate() {
            let has_data = self.filled[number] || file.file_type() != FileType::Regular;
            let is_whole = self.seen[number] && has_data;
            if !file.flags.is_ghost() && !is_whole {
                return Err(self.refuse(number, FileProblem::Missing));
            }
        }
        Ok(())
    }

    fn refuse(&self, number: usize, problem: FileProblem) -> UnpackError {
        refusal(self.header, &self.header.files[number].path, problem)
    }
}

/// Where a regular file is to be written, and its mode, if it is this package that writes it.
pub(super) fn target(place: Option<&Placement>) -> Option<(&RelPath, u32)> {
    match place {
        Some(Placement { path, thing: Thing::File { mode, .. }, is_ours: true }) => {
            Some((path, *mode))
        }
        _ => None,
    }
}

/// The numbers of all hard links of the file `number`, itself among them, as far as the header says.
pub(super) fn same_file(links: &Links<'_>, file: &HeaderFile, number: usize) -> Vec<usize> {
    match links.get(&content(file)) {
        Some(group) if file.identity.is_some() => group.clone(),
        _ => vec![number],
    }
}

fn content(file: &HeaderFile) -> Content<'_> {
    (file.identity, file.size, file.digest.as_ref(), file.mode)
}

/// The regular files that are the same file, or could be, where there are several.
pub(super) fn hard_links(header: &Header) -> Links<'_> {
    let mut links = Links::new();
    for (number, file) in header.files.iter().enumerate() {
        if file.file_type() == FileType::Regular && !file.flags.is_ghost() {
            links.entry(content(file)).or_default().push(number);
        }
    }
    links.retain(|_, group| group.len() > 1);
    links
}

/// The current entry's data, of which there are `size` bytes: few.
fn read_all<R: Read>(
    header: &Header,
    archive: &mut Archive<R>,
    size: u64,
) -> Result<Vec<u8>, UnpackError> {
    let (mut data, mut buffer) = (Vec::new(), [0; 1024]);
    while (data.len() as u64) < size {
        let count = archive.read_data(&mut buffer).map_err(|error| archive_error(header, error))?;
        data.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    Ok(data)
}
