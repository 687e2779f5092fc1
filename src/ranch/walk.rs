//! Where a path leads within a root directory that is not this process's own: every symlink is followed as
//! programs with that root follow it, and none leads out.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::error::RanchError;
use super::keeping::Kept;

/// As many symlinks as Linux follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// What lies in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// A file, or anything else that is no directory.
    File,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The last part of the way that is there, below the root and without symlinks.
    pub(super) path: PathBuf,
    /// What lies there: a directory, where something is missing.
    pub(super) kind: Kind,
    /// What of the way is not there.
    pub(super) missing: Vec<OsString>,
}

/// A root directory, with what was added to it.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    added: BTreeMap<PathBuf, Kind>,
    /// Directories that were made anew of which things are kept.
    pub(super) kept: BTreeMap<PathBuf, Kept>,
}

impl Tree {
    /// The directory at `root`, which has no symlinks in its path.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, added: BTreeMap::new(), kept: BTreeMap::new() }
    }

    /// Where this machine has `path` of the tree.
    pub(super) fn on_host(&self, path: &Path) -> PathBuf {
        self.own(path).unwrap_or_else(|| self.root.join(path))
    }

    /// Where `path` lies if that is not the original's, but kept of an earlier run.
    pub(super) fn own(&self, path: &Path) -> Option<PathBuf> {
        let (above, kept) =
            path.ancestors().skip(1).find_map(|it| Some((it, self.kept.get(it)?)))?;
        kept.own(path.strip_prefix(above).ok()?)
    }

    /// Says that something was put at `path`, which has no symlinks.
    pub(super) fn add(&mut self, path: PathBuf, kind: Kind) {
        self.added.insert(path, kind);
    }

    /// Follows `place`.
    ///
    /// # Errors
    /// When the way leads through something that is no directory, or cannot be looked at, or has too many symlinks.
    pub(super) fn find(&self, place: &Path) -> Result<Found, RanchError> {
        let mut ahead: VecDeque<OsString> = names(place).collect();
        let mut found = Found { path: PathBuf::new(), kind: Kind::Directory, missing: Vec::new() };
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                found.path.pop();
                continue;
            }
            let path = found.path.join(&name);
            if let Some(&kind) = self.added.get(&path) {
                (found.path, found.kind) = (path, kind);
            } else {
                let on_host = self.on_host(&path);
                match fs::symlink_metadata(&on_host) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        found.missing = [name].into_iter().chain(ahead).collect();
                        return Ok(found);
                    }
                    Err(error) => return Err(unreadable(place, &path, &error)),
                    Ok(metadata) if metadata.is_symlink() => {
                        links += 1;
                        let target = fs::read_link(&on_host)
                            .map_err(|error| unreadable(place, &path, &error))?;
                        if links > MOST_LINKS {
                            return Err(RanchError::place(place, "symlinks lead in a circle"));
                        }
                        if target.is_absolute() {
                            found.path = PathBuf::new();
                        }
                        names(&target).rev().for_each(|name| ahead.push_front(name));
                        continue;
                    }
                    Ok(metadata) => {
                        found.kind = if metadata.is_dir() { Kind::Directory } else { Kind::File };
                        found.path = path;
                    }
                }
            }
            if found.kind == Kind::File && !ahead.is_empty() {
                let why = format!("{} is no directory", shown(&found.path));
                return Err(RanchError::place(place, why));
            }
        }
        Ok(found)
    }
}

/// The names of a path, `..` among them, from the root on.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

fn unreadable(place: &Path, path: &Path, error: &io::Error) -> RanchError {
    RanchError::place(place, format!("{}: {error}", shown(path)))
}

/// A path of the tree, for messages.
pub(super) fn shown(path: &Path) -> String {
    crate::model::escape(&Path::new("/").join(path).to_string_lossy()).into_owned()
}
