//! Who knows how something is published where a base is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::about::Record;
use super::base::STAGE;
use super::changes::Changes;
use super::put::{Stays, converge};
use crate::error::Error;
use crate::owned::Owners;
use crate::tools::claim::claim;
use crate::tools::files;

/// What is to be done in one base, and where what is added lies.
#[derive(Debug)]
pub(crate) struct Work {
    /// The base.
    pub(crate) root: PathBuf,
    /// What is to be done.
    pub(crate) changes: Changes,
    /// Where its new versions lie, each by its name.
    pub(crate) stage: Stage,
    /// What is to be recorded of its versions.
    pub(crate) record: Record,
}

impl Work {
    /// Does it in `root`: the base, or what stands for it while it is changed.
    ///
    /// # Errors
    /// When something cannot be written.
    pub(crate) fn carry_out(&self, root: &Path, stays: Stays) -> Result<(), Error> {
        converge(root, (&self.stage.path, stays), &self.changes, &self.record)
            .map_err(|source| Error::File { path: root.to_owned(), source })
    }
}

/// A directory in which new versions of a base are made. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Tells other runs that this one lives.
    _claim: File,
}

impl Stage {
    /// The directory `path`, for versions of the base at `root`.
    ///
    /// # Errors
    /// When another run has it, or it cannot be made.
    pub(crate) fn at(path: PathBuf, root: &Path) -> Result<Self, Error> {
        match claim(&path) {
            Ok(claim) => Ok(Self { path, _claim: claim }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(Error::Busy { path: root.to_owned() })
            }
            Err(source) => Err(Error::File { path, source }),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = files::remove_tree(&self.path);
    }
}

/// Where bases are, and how something is published there.
pub(crate) trait Publisher {
    /// A directory in which new versions of the base at `root` are made.
    ///
    /// # Errors
    /// When another run is at it, or it cannot be made.
    fn stage(&self, root: &Path) -> Result<Stage, Error>;

    /// Carries out all of `works`: all is there then, or what was there is.
    ///
    /// # Errors
    /// When it cannot be published.
    fn publish(&self, works: &[Work]) -> Result<(), Error>;
}

/// A directory of a file system as any other: versions are made in the base, and renamed there.
#[derive(Clone, Debug)]
pub(crate) struct PlainDirectory {
    /// Who else may own a base, and write there.
    pub(crate) owners: Owners,
}

impl PlainDirectory {
    /// Proves that nobody else can change what is published in the base at `root`, or put links there.
    fn check(&self, root: &Path) -> Result<(), Error> {
        self.owners.check_root(root)?;
        let error = |source| Error::File { path: root.to_owned(), source };
        self.owners.check_directory(&root.join(STAGE))?;
        for entry in fs::read_dir(root).map_err(error)? {
            let entry = entry.map_err(error)?;
            if entry.file_type().map_err(error)?.is_dir() {
                self.owners.check_directory(&entry.path())?;
            }
        }
        Ok(())
    }
}

impl Publisher for PlainDirectory {
    fn stage(&self, root: &Path) -> Result<Stage, Error> {
        let error = |source| Error::File { path: root.to_owned(), source };
        if fs::symlink_metadata(root).is_err() {
            let parent = root.parent().unwrap_or(root);
            fs::create_dir_all(parent).map_err(error)?;
            files::make_directory(root, 0o755).map_err(error)?;
        }
        self.check(root)?;
        Stage::at(root.join(STAGE), root)
    }

    fn publish(&self, works: &[Work]) -> Result<(), Error> {
        works.iter().try_for_each(|work| work.carry_out(&work.root, Stays::Nowhere))
    }
}
