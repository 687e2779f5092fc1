//! The staged tree while it is changed: every change on disk also changes the list of its files.
//!
//! All paths go through a directory handle that no symlink of a package leads out of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt, PermissionsExt};

use super::RelocateError;
use crate::model::{Algorithm, Checksum, FileKind, ReceiptFile, RelPath, Taken};
use crate::tools::{files, threads};

/// What new directories get: searchable for everyone.
const DIRECTORY_MODE: u32 = 0o755;
const OWNER_CAN_CHANGE: u32 = 0o200;
const OWNER_CAN_ENTER: u32 = 0o300;
/// More threads than this would wait for memory and the disk only.
const DIGEST_THREADS: usize = 4;

/// A staged tree and the list of its files.
pub(super) struct Tree<'a> {
    /// The tree.
    pub(super) dir: Dir,
    files: BTreeMap<RelPath, ReceiptFile>,
    /// Directories that were made writable, and the mode that they get back.
    opened: BTreeMap<RelPath, u32>,
    /// Files that another tree may have too, under the same inode.
    taken: &'a Taken,
    /// Files whose bytes were changed: their digests are taken at the end.
    changed: BTreeSet<RelPath>,
}

impl<'a> Tree<'a> {
    /// Takes charge of the tree at `path`, which has `files`, of which some were `taken` over.
    pub(super) fn open(
        path: &Path,
        files: &[ReceiptFile],
        taken: &'a Taken,
    ) -> Result<Self, RelocateError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|source| RelocateError::Tree { path: path.to_owned(), source })?;
        let files = files.iter().map(|file| (file.path.clone(), file.clone())).collect();
        let (opened, changed) = (BTreeMap::new(), BTreeSet::new());
        Ok(Self { dir, files, opened, taken, changed })
    }

    /// Gives directories their modes back, and the list of files, with the digests of those that
    /// were changed.
    pub(super) fn close(mut self) -> Result<Vec<ReceiptFile>, RelocateError> {
        self.note_digests()?;
        for (path, mode) in self.opened.iter().rev() {
            files::set_mode_in(&self.dir, path, *mode).map_err(at(path))?;
        }
        Ok(self.files.into_values().collect())
    }

    /// Every path, sorted.
    pub(super) fn files(&self) -> impl Iterator<Item = &ReceiptFile> + Clone {
        self.files.values()
    }

    /// The files that were taken over from another tree.
    pub(super) fn taken(&self) -> &'a Taken {
        self.taken
    }

    /// What is at `path`.
    pub(super) fn file(&self, path: &RelPath) -> Option<&ReceiptFile> {
        self.files.get(path)
    }

    /// Makes `path` a directory, and what it lies in. Nothing happens where it is one.
    pub(super) fn make_directory(&mut self, path: &RelPath) -> Result<(), RelocateError> {
        if self.dir.metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            return Ok(());
        }
        self.prepare_parent(path)?;
        self.dir.create_dir(path).map_err(at(path))?;
        files::set_mode_in(&self.dir, path, DIRECTORY_MODE).map_err(at(path))?;
        self.list(path, FileKind::Directory, DIRECTORY_MODE);
        Ok(())
    }

    /// Makes `path` a symlink with `text`, in the place of one that is there.
    pub(super) fn make_link(&mut self, path: &RelPath, text: &str) -> Result<(), RelocateError> {
        self.prepare_parent(path)?;
        let replaced = match self.file(path).map(|file| &file.kind) {
            Some(FileKind::Symlink { .. }) => self.remove(path)?,
            _ => None,
        };
        self.dir.symlink_contents(text, path).map_err(at(path))?;
        self.list(path, FileKind::Symlink { target: text.to_owned() }, 0o777);
        if let (Some(file), Some(old)) = (self.files.get_mut(path), replaced) {
            file.package = old.package;
        }
        Ok(())
    }

    /// Removes the file or symlink at `path`.
    pub(super) fn remove(&mut self, path: &RelPath) -> Result<Option<ReceiptFile>, RelocateError> {
        self.prepare_parent(path)?;
        self.dir.remove_file(path).map_err(at(path))?;
        self.changed.remove(path);
        Ok(self.files.remove(path))
    }

    /// Removes the directory at `path` with everything in it.
    pub(super) fn remove_directory(&mut self, path: &RelPath) -> Result<(), RelocateError> {
        let inside = format!("{path}/");
        let within = |listed: &RelPath| listed == path || listed.as_str().starts_with(&inside);
        let directories: Vec<RelPath> =
            self.files.keys().filter(|listed| within(listed)).cloned().collect();
        for directory in directories {
            if self.files.get(&directory).is_some_and(|file| file.kind == FileKind::Directory) {
                self.make_changeable(&directory)?;
            }
        }
        self.prepare_parent(path)?;
        files::remove_all(&self.dir, path).map_err(at(path))?;
        self.files.retain(|listed, _| !within(listed));
        self.opened.retain(|listed, _| !within(listed));
        self.changed.retain(|listed| !within(listed));
        Ok(())
    }

    /// Moves the file at `from` to `to`, whose directory is made.
    pub(super) fn rename(&mut self, from: &RelPath, to: &RelPath) -> Result<(), RelocateError> {
        self.prepare_parent(from)?;
        self.prepare_parent(to)?;
        self.dir.rename(from, &self.dir, to).map_err(at(from))?;
        if let Some(file) = self.files.remove(from) {
            self.files.insert(to.clone(), ReceiptFile { path: to.clone(), ..file });
        }
        if self.changed.remove(from) {
            self.changed.insert(to.clone());
        }
        Ok(())
    }

    /// Makes `path`, which is free, a file with these bytes.
    pub(super) fn create(
        &mut self,
        path: &RelPath,
        bytes: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<(), RelocateError> {
        let bytes = bytes.as_ref();
        self.prepare_parent(path)?;
        let new = self.open_new(path.as_path(), mode);
        new.and_then(|mut new| new.write_all(bytes)).map_err(at(path))?;
        files::set_mode_in(&self.dir, path, mode).map_err(at(path))?;
        let checksum = Checksum::of(bytes);
        let kind = FileKind::File { size: bytes.len() as u64, checksum, packaged: None };
        self.list(path, kind, mode);
        Ok(())
    }

    /// Hands the file at `path` to `change`, for reading and writing, and notes that its digest is
    /// another one now, also for its hard links.
    pub(super) fn change<T>(
        &mut self,
        path: &RelPath,
        change: impl FnOnce(&File) -> Result<T, RelocateError>,
    ) -> Result<T, RelocateError> {
        if self.taken.contains_key(path) {
            self.unshare(path)?;
        }
        let metadata = self.dir.metadata(path).map_err(at(path))?;
        let mode = metadata.permissions().mode();
        if mode & OWNER_CAN_CHANGE == 0 {
            files::set_mode_in(&self.dir, path, mode | OWNER_CAN_CHANGE).map_err(at(path))?;
        }
        let options = OpenOptions::new().read(true).write(true).clone();
        let file = self.dir.open_with(path, &options).map_err(at(path))?.into_std();
        let result = change(&file)?;
        // The tree's bytes do not depend on when it was made, and its times need not either.
        files::set_time(&file, metadata.modified().map(|time| time.into_std()));
        if mode & OWNER_CAN_CHANGE == 0 {
            files::set_mode_in(&self.dir, path, mode).map_err(at(path))?;
        }
        let names = self.names(path, &metadata);
        self.changed.extend(names);
        Ok(result)
    }

    /// Makes a file of its own of one that another tree may have too, under all its names.
    fn unshare(&mut self, path: &RelPath) -> Result<(), RelocateError> {
        const NEW: &str = ".relocated.new";
        let metadata = self.dir.metadata(path).map_err(at(path))?;
        let names = self.names(path, &metadata);
        for (number, name) in names.iter().enumerate() {
            self.prepare_parent(name)?;
            match number {
                0 => self.copy(name, NEW).map_err(at(name))?,
                _ => self.dir.hard_link(path, &self.dir, NEW).map_err(at(name))?,
            }
            self.dir.rename(NEW, &self.dir, name).map_err(at(name))?;
        }
        Ok(())
    }

    fn copy(&self, from: &RelPath, to: &str) -> io::Result<()> {
        let from = self.dir.open(from)?.into_std();
        files::copy(&from, |mode| self.open_new(to.as_ref(), mode)).map(drop)
    }

    /// A file that was not there, for writing.
    fn open_new(&self, path: &Path, mode: u32) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        self.dir.open_with(path, &options).map(|file| file.into_std())
    }

    /// Every name of the file at `path`, that first.
    fn names(&self, path: &RelPath, metadata: &Metadata) -> Vec<RelPath> {
        if metadata.nlink() == 1 {
            return vec![path.clone()];
        }
        let is_same = |other: &&RelPath| {
            let other = self.dir.symlink_metadata(other);
            other.is_ok_and(|it| (it.dev(), it.ino()) == (metadata.dev(), metadata.ino()))
        };
        let others = self.files.keys().filter(|other| *other != path).filter(is_same);
        std::iter::once(path).chain(others).cloned().collect()
    }

    /// Notes the digests of what was changed; with those before, where they are others. A program can
    /// have a hundred megabytes: several are digested at a time.
    fn note_digests(&mut self) -> Result<(), RelocateError> {
        let changed: Vec<&RelPath> = self.changed.iter().collect();
        let digests = threads::each(DIGEST_THREADS, &changed, |&path| {
            let file = self.dir.open(path).map_err(at(path))?;
            let digest = Checksum::of_reader(Algorithm::Sha256, file).map_err(at(path))?;
            Ok((path.clone(), digest))
        })?;
        for (path, (new, new_size)) in digests {
            let Some(ReceiptFile { kind: FileKind::File { size, checksum, packaged }, .. }) =
                self.files.get_mut(&path)
            else {
                continue;
            };
            if *checksum != new {
                let old = std::mem::replace(checksum, new);
                packaged.get_or_insert(old);
                *size = new_size;
            }
        }
        Ok(())
    }

    fn list(&mut self, path: &RelPath, kind: FileKind, mode: u32) {
        let file = ReceiptFile { path: path.clone(), kind, mode, package: None, config: false };
        self.files.insert(path.clone(), file);
    }

    /// Makes the directory of `path`, and makes it changeable.
    fn prepare_parent(&mut self, path: &RelPath) -> Result<(), RelocateError> {
        match path.parent() {
            Some(parent) => {
                self.make_directory(&parent)?;
                self.make_changeable(&parent)
            }
            None => Ok(()),
        }
    }

    fn make_changeable(&mut self, directory: &RelPath) -> Result<(), RelocateError> {
        let mode = self.dir.metadata(directory).map_err(at(directory))?.permissions().mode();
        if mode & OWNER_CAN_ENTER != OWNER_CAN_ENTER {
            files::set_mode_in(&self.dir, directory, mode | OWNER_CAN_ENTER)
                .map_err(at(directory))?;
            self.opened.insert(directory.clone(), mode);
        }
        Ok(())
    }
}

/// Says where an I/O error happened.
pub(super) fn at(path: &RelPath) -> impl FnOnce(io::Error) -> RelocateError + '_ {
    move |source| RelocateError::File { path: path.clone(), source }
}
