//! Writing into a tree, and nowhere else. Every path is walked from the tree's own handle one
//! component at a time, and no component may be a symlink: what a package calls `a/b` is written
//! to that place or not at all, whatever lies there.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cap_std::fs::Dir;
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps, chmodat, fstat, futimens, linkat,
    mkdirat, openat, renameat, renameat_with, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::model::RelPath;
use crate::tools::files;

/// A tree that is being written.
pub(super) struct OpenTree<'a> {
    root: &'a Dir,
    /// The directory that was used last: most files follow their neighbours.
    current: Option<(RelPath, OwnedFd)>,
}

impl<'a> OpenTree<'a> {
    /// The tree below `root`.
    pub(super) fn new(root: &'a Dir) -> Self {
        Self { root, current: None }
    }

    /// Makes a directory, and those above it.
    pub(super) fn make_directory(&mut self, path: &RelPath) -> io::Result<()> {
        self.enter(Some(path.clone())).map(drop)
    }

    /// Makes a regular file that was not there. Unless [`NewFile::keep`] is called it goes away. It has
    /// `mode` at once, as far as the umask lets it: not every file system changes that later.
    pub(super) fn create(&mut self, path: &RelPath, mode: u32) -> io::Result<NewFile<'_>> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let parent = self.enter(path.parent())?;
        let name = path.file_name().to_owned();
        let file = openat(parent, name.as_str(), flags, Mode::from_raw_mode(mode))?;
        Ok(NewFile { file: File::from(file), parent, name, keep: false })
    }

    /// Opens a regular file for reading.
    pub(super) fn open(&mut self, path: &RelPath) -> io::Result<File> {
        let parent = self.enter(path.parent())?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(parent, path.file_name(), flags, Mode::empty())?))
    }

    /// Makes a symlink that was not there.
    pub(super) fn symlink(&mut self, path: &RelPath, text: &str, mtime: u32) -> io::Result<()> {
        let parent = self.enter(path.parent())?;
        symlinkat(text, parent, path.file_name())?;
        // Not every file system keeps it, and nothing depends on it.
        let _ = utimensat(parent, path.file_name(), &times(mtime), AtFlags::SYMLINK_NOFOLLOW);
        Ok(())
    }

    /// Gives the file `number` of `aside` its place, where nothing was.
    pub(super) fn take_in(
        &mut self,
        aside: &Aside<'_>,
        number: usize,
        path: &RelPath,
    ) -> io::Result<()> {
        let parent = self.enter(path.parent())?;
        let (from, name, to) = (&aside.directory, number.to_string(), path.file_name());
        match renameat_with(from, name.as_str(), parent, to, RenameFlags::NOREPLACE) {
            // Not every file system knows how. Nobody but this run is here, and its packages are agreed.
            Err(Errno::INVAL | Errno::NOSYS) => Ok(renameat(from, name.as_str(), parent, to)?),
            result => Ok(result?),
        }
    }

    /// Makes `path` another name of the regular file `existing`. `false` where the file system
    /// does not let it, so that a copy is needed.
    pub(super) fn link(&mut self, existing: &RelPath, path: &RelPath) -> io::Result<bool> {
        let from = self.enter(existing.parent())?.try_clone_to_owned()?;
        let to = self.enter(path.parent())?;
        match linkat(from, existing.file_name(), to, path.file_name(), AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::XDEV | Errno::MLINK) => Ok(false),
            Err(error) if files::is_refusal(&error.into()) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The directory at `path`, or the root; made if it is not there.
    fn enter(&mut self, path: Option<RelPath>) -> io::Result<BorrowedFd<'_>> {
        let Some(path) = path else { return Ok(self.root.as_fd()) };
        let (mut directory, rest) = match self.current.take() {
            Some((at, fd)) => match below(&at, &path) {
                Some(rest) => (Some(fd), rest.to_owned()),
                None => (None, path.as_str().to_owned()),
            },
            None => (None, path.as_str().to_owned()),
        };
        for name in rest.split('/').filter(|name| !name.is_empty()) {
            let above = directory.as_ref().map_or_else(|| self.root.as_fd(), AsFd::as_fd);
            directory = Some(open_or_make(above, OsStr::new(name))?);
        }
        match directory {
            Some(fd) => Ok(self.current.insert((path, fd)).1.as_fd()),
            None => Ok(self.root.as_fd()),
        }
    }
}

/// What is left of `path` below `directory`; empty when they are the same.
fn below<'a>(directory: &RelPath, path: &'a RelPath) -> Option<&'a str> {
    let rest = path.as_str().strip_prefix(directory.as_str())?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// The directory `name` in `above`: one that is there, or a new one with mode 0755 whatever the
/// umask. Anything else there, a symlink to a directory too, is an error.
fn open_or_make(above: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(above, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => {}
        result => return Ok(result?),
    }
    let mode = Mode::from_raw_mode(0o755);
    match mkdirat(above, name, mode) {
        Ok(()) => {
            let made = openat(above, name, flags, Mode::empty())?;
            let result = chmodat(above, name, mode, AtFlags::empty()).map_err(io::Error::from);
            files::settle(result, mode.as_raw_mode(), || Ok(fstat(&made)?.st_mode))?;
            return Ok(made);
        }
        // Another package's thread was faster.
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(openat(above, name, flags, Mode::empty())?)
}

/// Files of a tree that have no place in it yet, by numbers. What is left of them goes away when dropped.
pub(super) struct Aside<'a> {
    root: &'a Dir,
    name: String,
    directory: OwnedFd,
}

impl<'a> Aside<'a> {
    /// A directory for them below `root`.
    pub(super) fn make(root: &'a Dir) -> io::Result<Self> {
        let name = format!(".aside.{:016x}", files::random());
        mkdirat(root, name.as_str(), Mode::RWXU)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(root, name.as_str(), flags, Mode::empty()) {
            Ok(directory) => Ok(Self { root, name, directory }),
            Err(error) => {
                let _ = unlinkat(root, name.as_str(), AtFlags::REMOVEDIR);
                Err(error.into())
            }
        }
    }

    /// Makes the file `number`, with what `fill` writes, which may read it again.
    pub(super) fn create<T>(
        &self,
        number: usize,
        (mode, mtime): (u32, u32),
        fill: impl FnOnce(&File) -> io::Result<T>,
    ) -> io::Result<T> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = number.to_string();
        let made = openat(&self.directory, name, flags, Mode::from_raw_mode(mode))?;
        let file = File::from(made);
        let filled = fill(&file)?;
        finish(&file, mode, mtime)?;
        Ok(filled)
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        // It goes with the tree at the latest, where that is not whole.
        let _ = files::remove_below(self.root.as_fd(), self.name.as_ref());
    }
}

/// A file that is being written.
pub(super) struct NewFile<'a> {
    /// Where its bytes go.
    pub(super) file: File,
    parent: BorrowedFd<'a>,
    name: String,
    keep: bool,
}

impl NewFile<'_> {
    /// Gives the file its permissions and time, and keeps it.
    pub(super) fn keep(mut self, mode: u32, mtime: u32) -> io::Result<()> {
        finish(&self.file, mode, mtime)?;
        self.keep = true;
        Ok(())
    }
}

/// Gives a file its permissions and time.
fn finish(file: &File, mode: u32, mtime: u32) -> io::Result<()> {
    files::set_mode(file, mode)?;
    // As of symlinks.
    let _ = futimens(file, &times(mtime));
    Ok(())
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.keep {
            // The error that brought us here is the one to tell.
            let _ = unlinkat(self.parent, self.name.as_str(), AtFlags::empty());
        }
    }
}

fn times(mtime: u32) -> Timestamps {
    let time = Timespec { tv_sec: mtime.into(), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}
