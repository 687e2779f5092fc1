//! The user's configuration of a tree, and how it goes into the next one, as RPM's `%config(noreplace)` does.
//!
//! Configuration is what a package marks `%config`, and everything under `etc/`. What differs from
//! the package's file was edited; what no package has was added. Both are carried into the next
//! tree; the new version of an edited file lands beside it as `.rpmnew` when the package changed it,
//! and an edited file that no package has any more is kept as `.rpmsave`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};

use super::error::{WorkshopError, failed, shown};
use crate::model::{Algorithm, CONFIG_DIRECTORY, Checksum, FileKind, Receipt, RelPath};
use crate::tools::files::{self, copy, create};

/// What became of the user's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigReport {
    /// Edited files that were kept.
    pub kept: Vec<RelPath>,
    /// New versions that lie beside a kept file: their paths, ending in `.rpmnew`.
    pub rpmnew: Vec<RelPath>,
    /// Edited files that nothing uses any more: their paths, ending in `.rpmsave`.
    pub rpmsave: Vec<RelPath>,
    /// Files that the user had added.
    pub added: Vec<RelPath>,
    /// What could not be carried: paths for people.
    pub skipped: Vec<String>,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConfigState {
    /// A regular file with this content.
    File(Checksum),
    /// A symlink with this text.
    Link(String),
}

/// Configuration files of one tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ConfigStates(pub(crate) BTreeMap<RelPath, ConfigState>);

/// A tree whose configuration the user may have edited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edited<'a> {
    /// The tree.
    pub(crate) tree: &'a Path,
    /// What counts as unedited.
    pub(crate) base: &'a ConfigStates,
    /// What its packages brought.
    pub(crate) pristine: &'a ConfigStates,
}

/// One carrying of configuration.
struct Carrier<'a> {
    /// The tree that the user edited.
    from: &'a Path,
    /// What its packages brought.
    pristine: &'a ConfigStates,
    /// The tree that is to become live; nothing outside can be written through it.
    to: Dir,
    to_path: &'a Path,
    /// Where files are made before they are renamed.
    temporary: &'a Path,
    report: ConfigReport,
}

impl Edited<'_> {
    /// Carries what the user edited and added into the tree `to`, which holds its packages' files and which nothing runs
    /// from; every file that is written is synced. `temporary` is a directory on the same file system.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(crate) fn carry(self, to: &Path, temporary: &Path) -> Result<ConfigReport, WorkshopError> {
        let mut report = ConfigReport::default();
        let current = ConfigStates::read(self.tree, self.pristine, &mut report.skipped)?;
        let dir = Dir::open_ambient_dir(to, ambient_authority()).map_err(failed("open", to))?;
        let mut carrier = Carrier {
            from: self.tree,
            pristine: self.pristine,
            to: dir,
            to_path: to,
            temporary,
            report,
        };
        for (path, state) in &current.0 {
            // An older `.rpmnew` gives way to the one that was just written, which sorts before it.
            let is_replaced =
                carrier.report.rpmnew.contains(path) || carrier.report.rpmsave.contains(path);
            if self.base.0.get(path) != Some(state) && !is_replaced {
                carrier.carry(path, state)?;
            }
        }
        Ok(carrier.report)
    }
}

impl ConfigStates {
    /// The configuration that a receipt lists.
    pub(crate) fn of_receipt(receipt: &Receipt) -> Self {
        let files = receipt.all_files();
        let files = files.iter().filter(|file| file.is_config());
        let states = files.filter_map(|file| {
            let state = match &file.kind {
                FileKind::File { checksum, .. } => ConfigState::File(checksum.clone()),
                FileKind::Symlink { target } => ConfigState::Link(target.clone()),
                FileKind::Directory => return None,
            };
            Some((file.path.clone(), state))
        });
        Self(states.collect())
    }

    /// The configuration of the tree at `root`: what is under `etc/`, and what `pristine` lists. What is neither a file
    /// nor a symlink, or has a name that is not UTF-8, is `skipped`: paths for people.
    ///
    /// # Errors
    /// When something cannot be read.
    pub(crate) fn read(
        root: &Path,
        pristine: &Self,
        skipped: &mut Vec<String>,
    ) -> Result<Self, WorkshopError> {
        let mut states = Self::default();
        read_directory(root, Path::new(CONFIG_DIRECTORY), &mut states, skipped)?;
        for path in pristine.0.keys() {
            if let Some(state) = read_state(&root.join(path))? {
                states.0.insert(path.clone(), state);
            }
        }
        Ok(states)
    }
}

fn read_directory(
    root: &Path,
    directory: &Path,
    states: &mut ConfigStates,
    skipped: &mut Vec<String>,
) -> Result<(), WorkshopError> {
    let path = root.join(directory);
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed("read", &path))?,
    };
    for entry in entries {
        let entry = entry.map_err(failed("read", &path))?;
        let inner = directory.join(entry.file_name());
        if entry.file_type().map_err(failed("read", &entry.path()))?.is_dir() {
            read_directory(root, &inner, states, skipped)?;
            continue;
        }
        let name = inner.to_str().and_then(|text| RelPath::new(text).ok());
        match (name, read_state(&entry.path())?) {
            (Some(name), Some(state)) => {
                states.0.insert(name, state);
            }
            // A socket or the like, or a name that is not UTF-8.
            _ => skipped.push(shown(&inner)),
        }
    }
    Ok(())
}

/// What is at `path`; `None` for nothing, and for what is neither a file nor a symlink.
fn read_state(path: &Path) -> Result<Option<ConfigState>, WorkshopError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => return Ok(None),
        metadata => metadata.map_err(failed("read", path))?,
    };
    if metadata.is_symlink() {
        let text = fs::read_link(path).map_err(failed("read", path))?;
        return Ok(Some(ConfigState::Link(text.to_string_lossy().into_owned())));
    }
    if !metadata.is_file() {
        return Ok(None);
    }
    let (checksum, _) = File::open(path)
        .and_then(|file| Checksum::of_reader(Algorithm::Sha256, file))
        .map_err(failed("read", path))?;
    Ok(Some(ConfigState::File(checksum)))
}

/// Whether a path cannot be there: nothing has its name, or a file stands where its directory would.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Carrier<'_> {
    /// Brings the user's `path` into the new tree.
    fn carry(&mut self, path: &RelPath, state: &ConfigState) -> Result<(), WorkshopError> {
        let is_packaged = self.pristine.0.contains_key(path);
        let there = read_state(&self.to_path.join(path))?;
        if there.as_ref() == Some(state) {
            return Ok(());
        }
        let is_blocked = there.is_none() && self.to.symlink_metadata(path).is_ok();
        if is_blocked || there.is_none() && is_packaged {
            let saved = beside(path, ".rpmsave")?;
            match self.put(path, &saved)? {
                true => self.report.rpmsave.push(saved),
                false => self.report.skipped.push(path.to_string()),
            }
            return Ok(());
        }
        if there.is_some() && there.as_ref() != self.pristine.0.get(path) {
            let new = beside(path, ".rpmnew")?;
            self.copy(&self.to_path.join(path), &new)?;
            self.report.rpmnew.push(new);
        }
        match self.put(path, path)? {
            false => self.report.skipped.push(path.to_string()),
            true if is_packaged || there.is_some() => self.report.kept.push(path.clone()),
            true => self.report.added.push(path.clone()),
        }
        Ok(())
    }

    /// Copies the user's `path` to `destination` in the new tree. False when a file stands where one
    /// of its directories would have to be.
    fn put(&self, path: &RelPath, destination: &RelPath) -> Result<bool, WorkshopError> {
        let mut parents: Vec<RelPath> = Vec::new();
        let mut next = path.parent();
        while let Some(parent) = next {
            next = parent.parent();
            parents.push(parent);
        }
        for parent in parents.iter().rev() {
            match self.to.metadata(parent) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Ok(false),
                Err(_) => self.make_directory(parent)?,
            }
        }
        self.copy(&self.from.join(path), destination)?;
        Ok(true)
    }

    /// Makes a directory with the mode that the user's has.
    fn make_directory(&self, path: &RelPath) -> Result<(), WorkshopError> {
        let shown = self.to_path.join(path);
        let mode =
            fs::metadata(self.from.join(path)).map_or(0o755, |user| user.permissions().mode());
        self.to.create_dir(path).map_err(failed("make the directory", &shown))?;
        files::set_directory_mode(&shown, mode & 0o777 | 0o700)
            .map_err(failed("set the mode of", &shown))
    }

    /// Copies a file or symlink to `destination` in the new tree: made beside, then renamed.
    fn copy(&self, source: &Path, destination: &RelPath) -> Result<(), WorkshopError> {
        let new = files::unique(self.temporary, "config");
        let shown = self.to_path.join(destination);
        copy_durably(source, &new).map_err(failed("write", &shown))?;
        let staging = Dir::open_ambient_dir(self.temporary, ambient_authority())
            .map_err(failed("open", self.temporary))?;
        let name = Path::new(new.file_name().unwrap_or_default());
        staging.rename(name, &self.to, destination).map_err(failed("write", &shown))?;
        match shown.parent() {
            Some(parent) => match files::sync_directory(parent) {
                Ok(_) => Ok(()),
                Err(error) => Err(failed("sync", parent)(error)),
            },
            None => Ok(()),
        }
    }
}

/// Copies a file with its permissions and time, or a symlink.
fn copy_durably(source: &Path, destination: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(source)?;
    if metadata.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(source)?, destination);
    }
    let new = copy(&File::open(source)?, |mode| create(destination, mode))?;
    files::sync_written(&new)
}

/// `path` with something added to its name.
fn beside(path: &RelPath, suffix: &str) -> Result<RelPath, WorkshopError> {
    let text = format!("{}{suffix}", path.as_str());
    RelPath::new(&text).map_err(|error| WorkshopError::Damaged {
        path: path.as_path().to_owned(),
        problem: error.to_string(),
    })
}
