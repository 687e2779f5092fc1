//! Where an image's tree is made, and what it takes the place of.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};
use rustix::io::Errno;

use super::receipt::IMAGE_RECEIPT;
use crate::error::Error;
use crate::model::escape;
use crate::tools::claim::claim;
use crate::tools::files;

/// A directory beside the destination, in which something is made. It is removed where it does not take its place.
pub(super) struct ImageStage {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it takes the place of.
    destination: PathBuf,
    /// Tells other runs that this one lives.
    handle: File,
}

impl ImageStage {
    /// One for the directory `destination`: not there, empty, or with `replaces` an image's tree.
    ///
    /// # Errors
    /// When something else is there, another run is at it, or it cannot be made.
    pub(super) fn new(destination: &Path, replaces: bool) -> Result<Self, Error> {
        let error = |source| Error::File { path: destination.to_owned(), source };
        let (parent, name) = destination
            .parent()
            .zip(destination.file_name())
            .ok_or_else(|| Error::Usage("an image needs a directory of its own".to_owned()))?;
        fs::create_dir_all(parent).map_err(error)?;
        let destination = fs::canonicalize(parent).map_err(error)?.join(name);
        check(&destination, replaces)?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".image-new");
        let path = destination.with_file_name(hidden);
        let handle = claim(&path).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => Error::Busy { path: destination.clone() },
            _ => Error::File { path: path.clone(), source },
        })?;
        Ok(Self { path, destination, handle })
    }

    /// Takes the place of what was there, which is removed.
    ///
    /// # Errors
    /// When it cannot be renamed so. What was there is there then.
    pub(super) fn put(self) -> Result<(), Error> {
        // One that does not do that makes it durable in its own time.
        let _ = syncfs(&self.handle);
        let error = |source| Error::File { path: self.destination.clone(), source };
        match fs::rename(&self.path, &self.destination) {
            Ok(()) => return Ok(()),
            // There is a tree.
            Err(source) if is_there(&source) => {}
            Err(source) => return Err(error(source)),
        }
        let exchange = RenameFlags::EXCHANGE;
        match renameat_with(CWD, &self.path, CWD, &self.destination, exchange) {
            Ok(()) => {}
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
                return Err(Error::Usage(format!(
                    "{}: two directories cannot be exchanged on this file system: name another one, or remove it first",
                    escape(&self.destination.to_string_lossy())
                )));
            }
            Err(source) => return Err(error(source.into())),
        }
        // What was there.
        files::remove_tree(&self.path).map_err(error)
    }
}

/// Whether renaming failed because a directory is not empty, for which file systems have two words.
fn is_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

impl Drop for ImageStage {
    fn drop(&mut self) {
        let _ = files::remove_tree(&self.path);
    }
}

/// Refuses to take the place of anything but nothing, or, where that is wanted, of an image's tree.
fn check(destination: &Path, replaces: bool) -> Result<(), Error> {
    let shown = || escape(&destination.to_string_lossy()).into_owned();
    let mut entries = match fs::read_dir(destination) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(Error::Usage(format!("{} is no directory", shown())));
        }
        entries => {
            entries.map_err(|source| Error::File { path: destination.to_owned(), source })?
        }
    };
    if entries.next().is_none() {
        return Ok(());
    }
    match (destination.join(IMAGE_RECEIPT).is_file(), replaces) {
        (true, true) => Ok(()),
        (true, false) => Err(Error::Usage(format!(
            "{} is an image's tree already: --replace puts another one in its place",
            shown()
        ))),
        (false, _) => Err(Error::Usage(format!(
            "{} is no image's tree, and not empty: name another directory",
            shown()
        ))),
    }
}
