//! Where a mirror is, and where the next one is made, or a bundle: beside it, so that it takes its place by one rename.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};
use rustix::io::Errno;

use super::manifest::MANIFEST;
use crate::error::Error;
use crate::model::escape;
use crate::tools::claim::claim;
use crate::tools::files;

/// What the last mirror is called for a moment.
const LAST: &str = "mirror-last";

/// Where a mirror is, or is to be.
pub(super) struct Place {
    /// The mirror.
    pub(super) directory: PathBuf,
    /// Where the next one is made.
    new: PathBuf,
    /// Where the last one goes for a moment, on file systems that cannot exchange two directories.
    last: PathBuf,
}

/// A directory in which something is being made. It is removed where it does not take its place.
pub(super) struct Stage {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Tells other runs that this one lives.
    handle: File,
}

impl Place {
    /// The place of the mirror at `directory`, symlinks followed. What a run left that was killed between two
    /// renames is put back.
    ///
    /// # Errors
    /// When something else than a mirror is there.
    pub(super) fn of(directory: &Path) -> Result<Self, Error> {
        let error = |source| Error::File { path: directory.to_owned(), source };
        let directory = match fs::canonicalize(directory) {
            Ok(directory) => directory,
            Err(_) => {
                let (parent, name) =
                    directory.parent().zip(directory.file_name()).ok_or_else(|| {
                        Error::Usage("a mirror needs a directory of its own".to_owned())
                    })?;
                fs::create_dir_all(parent).map_err(error)?;
                fs::canonicalize(parent).map_err(error)?.join(name)
            }
        };
        let places = (beside(&directory, "mirror-new"), beside(&directory, LAST));
        let (Some(new), Some(last)) = places else {
            return Err(Error::Usage("a mirror needs a directory of its own".to_owned()));
        };
        let place = Self { directory, new, last };
        let is_there = fs::symlink_metadata(&place.directory).is_ok();
        if !is_there && place.last.join(MANIFEST).is_file() {
            fs::rename(&place.last, &place.directory).map_err(error)?;
        }
        place.check()?;
        Ok(place)
    }

    /// Refuses to replace what is no mirror.
    fn check(&self) -> Result<(), Error> {
        let mut entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|source| self.error(source))?,
        };
        if entries.next().is_none() || self.directory.join(MANIFEST).is_file() {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "{} is no mirror, and not empty: name another directory",
            escape(&self.directory.to_string_lossy())
        )))
    }

    /// An empty directory for the next mirror.
    ///
    /// # Errors
    /// When another run is at it, or it cannot be made.
    pub(super) fn stage(&self) -> Result<Stage, Error> {
        Stage::at(&self.new, &self.directory)
    }

    /// Puts the new mirror into the old one's place, and removes that.
    ///
    /// # Errors
    /// When the directory cannot be replaced. What was there is there then.
    pub(super) fn put(&self, stage: Stage) -> Result<(), Error> {
        // One that does not do that makes it durable in its own time.
        let _ = syncfs(&stage.handle);
        match self.swap() {
            Ok(()) => {}
            Err(source) if files::cannot_move(&source) || is_busy(&source) => {
                return Err(Error::Usage(format!(
                    "{} cannot be replaced as a whole: {source}: name a directory below it",
                    escape(&self.directory.to_string_lossy())
                )));
            }
            Err(source) => return Err(self.error(source)),
        }
        // The old one, where there was one.
        for old in [&self.new, &self.last] {
            files::remove_tree(old).map_err(|source| self.error(source))?;
        }
        Ok(())
    }

    fn swap(&self) -> io::Result<()> {
        match renameat_with(CWD, &self.new, CWD, &self.directory, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            Err(Errno::NOENT) => fs::rename(&self.new, &self.directory),
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
                files::remove_tree(&self.last)?;
                fs::rename(&self.directory, &self.last)?;
                fs::rename(&self.new, &self.directory)
                    .inspect_err(|_| drop(fs::rename(&self.last, &self.directory)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn error(&self, source: io::Error) -> Error {
        Error::File { path: self.directory.clone(), source }
    }
}

/// The mirror at `path`. Where a run moves it away for a moment, or was killed there, the one that it moved.
pub(super) fn found(path: &Path) -> PathBuf {
    let is_gone = fs::symlink_metadata(path).is_err();
    let last = beside(path, LAST).filter(|last| is_gone && last.join(MANIFEST).is_file());
    last.unwrap_or_else(|| path.to_owned())
}

/// The hidden name beside `path` for what `what` says.
fn beside(path: &Path, what: &str) -> Option<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name()?);
    name.push(format!(".{what}"));
    Some(path.with_file_name(name))
}

fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

impl Stage {
    /// An empty directory beside `target`, in a directory that is made, for what will take its place. `what` says
    /// what that is.
    ///
    /// # Errors
    /// When another run is at it, or it cannot be made.
    pub(super) fn beside(target: &Path, what: &str) -> Result<Self, Error> {
        let error = |source| Error::File { path: target.to_owned(), source };
        let new = beside(target, &format!("{what}-new"))
            .ok_or_else(|| Error::Usage(format!("a name is needed for what is {what}")))?;
        fs::create_dir_all(target.parent().unwrap_or(target)).map_err(error)?;
        Self::at(&new, target)
    }

    fn at(new: &Path, target: &Path) -> Result<Self, Error> {
        let lock = claim(new).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => Error::Busy { path: target.to_owned() },
            _ => Error::File { path: new.to_owned(), source },
        })?;
        Ok(Self { path: new.to_owned(), handle: lock })
    }

    /// A new file `path`, for reading and writing, with these permissions, in directories that are made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn create(&self, path: &str, mode: u32) -> io::Result<File> {
        let file = File::create_new(self.name(path)?)?;
        files::set_mode(&file, mode)?;
        Ok(file)
    }

    /// Takes the place of the directory `target`, which is empty if it is there.
    ///
    /// # Errors
    /// When it cannot be renamed so.
    pub(super) fn become_directory(self, target: &Path) -> io::Result<()> {
        // One that does not do that makes it durable in its own time.
        let _ = syncfs(&self.handle);
        fs::rename(&self.path, target)
    }

    /// Where the file `path` goes, in directories that are made.
    ///
    /// # Errors
    /// When they cannot be made.
    pub(super) fn name(&self, path: &str) -> io::Result<PathBuf> {
        let mut directory = self.path.clone();
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_some() {
                directory.push(name);
                files::make_directory(&directory, 0o755)?;
            } else {
                return Ok(directory.join(name));
            }
        }
        Ok(directory)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = files::remove_tree(&self.path);
    }
}
