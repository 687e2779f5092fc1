//! The user's configuration survives updates, as RPM's `%config(noreplace)` does.
//!
//! Configuration is what a package marks `%config`, and everything under `etc/`. What differs from
//! the package's file was edited; what no package has was added. Both are carried into the next
//! tree; the new version of an edited file lands beside it as `.rpmnew` when the package changed it,
//! and an edited file that no package has any more is kept as `.rpmsave`.
//!
//! Going back to an older generation, its configuration counts, and only what the user changed since
//! the live one became live is carried: `config-N.json` remembers what there was then.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};

use super::error::{PrefixError, failed, shown};
use super::layout::Layout;
use super::{Generation, Locked, files};
use crate::model::{Algorithm, CONFIG_DIRECTORY, Checksum, FileKind, Receipt, RelPath};
use crate::tools::files as steps;

/// Far more than any tree's configuration has: a bound for damaged files, in bytes.
const BASELINE_LIMIT: u64 = 64 << 20;

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
enum State {
    /// A regular file with this content.
    File(Checksum),
    /// A symlink with this text.
    Link(String),
}

/// Configuration files of one tree.
type States = BTreeMap<RelPath, State>;

/// One carrying of configuration.
struct Carrier<'a> {
    /// The tree that the user edited.
    from: &'a Path,
    /// What its packages brought.
    pristine: &'a States,
    /// The tree that is to become live; nothing outside can be written through it.
    to: Dir,
    to_path: &'a Path,
    /// Where files are made before they are renamed.
    temporary: PathBuf,
    report: ConfigReport,
}

impl Locked {
    /// Carries the user's edits and additions from the live generation `from` into the tree `to`,
    /// which is not live yet and holds its packages' files. Call it immediately before
    /// [`Locked::activate`], so that the latest edits count; every file that it writes is synced.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn carry_config(&self, from: &Generation, to: &Path) -> Result<ConfigReport, PrefixError> {
        let pristine = self.pristine(from)?;
        self.carry(from, &pristine, &pristine, to)
    }

    /// Carries what the user changed since `from` became live into the older generation `to`.
    pub(super) fn carry_config_back(
        &self,
        from: &Generation,
        to: &Generation,
    ) -> Result<ConfigReport, PrefixError> {
        let pristine = self.pristine(from)?;
        let path = self.layout.baseline(from.arch, from.number);
        let remembered = files::read(&path, BASELINE_LIMIT)?;
        // Without a good memory everything that differs from the packages counts as a later edit.
        let base = remembered.and_then(|bytes| serde_json::from_slice::<States>(&bytes).ok());
        self.carry(from, base.as_ref().unwrap_or(&pristine), &pristine, &to.path)
    }

    fn carry(
        &self,
        from: &Generation,
        base: &States,
        pristine: &States,
        to: &Path,
    ) -> Result<ConfigReport, PrefixError> {
        let mut report = ConfigReport::default();
        let current = read_states(&from.path, pristine, &mut report.skipped)?;
        let dir = Dir::open_ambient_dir(to, ambient_authority()).map_err(failed("open", to))?;
        let temporary = self.layout.staging();
        let mut carrier =
            Carrier { from: &from.path, pristine, to: dir, to_path: to, temporary, report };
        for (path, state) in &current {
            // An older `.rpmnew` gives way to the one that was just written, which sorts before it.
            let is_replaced =
                carrier.report.rpmnew.contains(path) || carrier.report.rpmsave.contains(path);
            if base.get(path) != Some(state) && !is_replaced {
                carrier.carry(path, state)?;
            }
        }
        Ok(carrier.report)
    }

    /// What the packages of `generation` brought. Nothing when its receipt is damaged: then every
    /// file counts as the user's own.
    fn pristine(&self, generation: &Generation) -> Result<States, PrefixError> {
        match self.receipt(generation) {
            Ok(receipt) => Ok(pristine(&receipt)),
            Err(PrefixError::Damaged { .. }) => Ok(States::new()),
            Err(error) => Err(error),
        }
    }
}

/// Writes down the configuration of `generation`, which is about to become live: in the staging directory.
/// Once it is live, the file is to be renamed to its place.
pub(super) fn remember(
    layout: &Layout,
    receipt: &Receipt,
    generation: &Generation,
) -> Result<PathBuf, PrefixError> {
    let states = read_states(&generation.path, &pristine(receipt), &mut Vec::new())?;
    let path = files::unique(&layout.staging(), "config");
    write_states(layout, &path, &states).map(|()| path)
}

/// Writes what stands for the configuration of a live generation that nobody wrote down: what its packages
/// brought, so that everything else counts as edited since.
pub(super) fn stand_in(prefix: &Locked, generation: &Generation) -> Result<(), PrefixError> {
    let path = prefix.layout.baseline(generation.arch, generation.number);
    write_states(&prefix.layout, &path, &prefix.pristine(generation)?)
}

fn write_states(layout: &Layout, path: &Path, states: &States) -> Result<(), PrefixError> {
    let bytes = serde_json::to_vec(states).map_err(|error| PrefixError::Damaged {
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    files::write(path, &bytes, 0o644, &layout.staging())
}

/// The configuration that a receipt lists.
fn pristine(receipt: &Receipt) -> States {
    let files = receipt.all_files();
    let files = files.iter().filter(|file| file.is_config());
    files
        .filter_map(|file| {
            let state = match &file.kind {
                FileKind::File { checksum, .. } => State::File(checksum.clone()),
                FileKind::Symlink { target } => State::Link(target.clone()),
                FileKind::Directory => return None,
            };
            Some((file.path.clone(), state))
        })
        .collect()
}

/// The configuration of the tree at `root`: what is under `etc/`, and what `pristine` lists.
fn read_states(
    root: &Path,
    pristine: &States,
    skipped: &mut Vec<String>,
) -> Result<States, PrefixError> {
    let mut states = States::new();
    read_directory(root, Path::new(CONFIG_DIRECTORY), &mut states, skipped)?;
    for path in pristine.keys() {
        if let Some(state) = read_state(&root.join(path))? {
            states.insert(path.clone(), state);
        }
    }
    Ok(states)
}

fn read_directory(
    root: &Path,
    directory: &Path,
    states: &mut States,
    skipped: &mut Vec<String>,
) -> Result<(), PrefixError> {
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
                states.insert(name, state);
            }
            // A socket or the like, or a name that is not UTF-8.
            _ => skipped.push(shown(&inner)),
        }
    }
    Ok(())
}

/// What is at `path`; `None` for nothing, and for what is neither a file nor a symlink.
fn read_state(path: &Path) -> Result<Option<State>, PrefixError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => return Ok(None),
        metadata => metadata.map_err(failed("read", path))?,
    };
    if metadata.is_symlink() {
        let text = fs::read_link(path).map_err(failed("read", path))?;
        return Ok(Some(State::Link(text.to_string_lossy().into_owned())));
    }
    if !metadata.is_file() {
        return Ok(None);
    }
    let (checksum, _) = File::open(path)
        .and_then(|file| Checksum::of_reader(Algorithm::Sha256, file))
        .map_err(failed("read", path))?;
    Ok(Some(State::File(checksum)))
}

/// Whether a path cannot be there: nothing has its name, or a file stands where its directory would.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Carrier<'_> {
    /// Brings the user's `path` into the new tree.
    fn carry(&mut self, path: &RelPath, state: &State) -> Result<(), PrefixError> {
        let is_packaged = self.pristine.contains_key(path);
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
        if there.is_some() && there.as_ref() != self.pristine.get(path) {
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
    fn put(&self, path: &RelPath, destination: &RelPath) -> Result<bool, PrefixError> {
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
    fn make_directory(&self, path: &RelPath) -> Result<(), PrefixError> {
        let shown = self.to_path.join(path);
        let mode =
            fs::metadata(self.from.join(path)).map_or(0o755, |user| user.permissions().mode());
        self.to.create_dir(path).map_err(failed("make the directory", &shown))?;
        files::set_directory_mode(&shown, mode & 0o777 | 0o700)
    }

    /// Copies a file or symlink to `destination` in the new tree: made beside, then renamed.
    fn copy(&self, source: &Path, destination: &RelPath) -> Result<(), PrefixError> {
        let new = files::unique(&self.temporary, "config");
        let shown = self.to_path.join(destination);
        copy_durably(source, &new).map_err(failed("write", &shown))?;
        let staging = Dir::open_ambient_dir(&self.temporary, ambient_authority())
            .map_err(failed("open", &self.temporary))?;
        let name = Path::new(new.file_name().unwrap_or_default());
        staging.rename(name, &self.to, destination).map_err(failed("write", &shown))?;
        match shown.parent() {
            Some(parent) => files::sync_directory(parent),
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
    let new = steps::copy(&File::open(source)?, |mode| steps::create(destination, mode))?;
    steps::sync_written(&new)
}

/// `path` with something added to its name.
fn beside(path: &RelPath, suffix: &str) -> Result<RelPath, PrefixError> {
    let text = format!("{}{suffix}", path.as_str());
    RelPath::new(&text).map_err(|error| PrefixError::Damaged {
        path: path.as_path().to_owned(),
        problem: error.to_string(),
    })
}
