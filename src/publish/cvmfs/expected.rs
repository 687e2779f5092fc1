//! What must be there once something was published: a gateway drops what lies outside of a lease, and says nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::CvmfsError;
use crate::model::RelPath;

/// How many differences are named.
const SHOWN: usize = 5;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum There {
    Nothing,
    Directory,
    File(u64),
    Link(PathBuf),
    Other,
}

/// What is below some paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected(BTreeMap<PathBuf, There>);

impl Expected {
    /// What is at `paths` below `root`, directories with all that is in them; also that nothing is there.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(root: &Path, paths: &[RelPath]) -> Result<Self, CvmfsError> {
        let mut expected = Self::default();
        for path in paths {
            expected.look(root, path.as_path())?;
        }
        Ok(expected)
    }

    /// What a directory holds that is to be put at `base`.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(super) fn at(base: &RelPath, tree: &Path) -> Result<Self, CvmfsError> {
        let mut found = Self::default();
        found.look(tree, Path::new(""))?;
        let moved = found.0.into_iter();
        // What a path ends with must not be a slash: the root's own is empty.
        let moved = moved.filter(|(path, _)| *path != Path::new(""));
        Ok(Self(moved.map(|(path, there)| (base.as_path().join(path), there)).collect()))
    }

    fn look(&mut self, root: &Path, path: &Path) -> Result<(), CvmfsError> {
        let whole = root.join(path);
        let failed = |source| CvmfsError::Io { path: whole.clone(), source };
        let there = look(&whole).map_err(failed)?;
        if there == There::Directory {
            for entry in fs::read_dir(&whole).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name();
                self.look(root, &path.join(name))?;
            }
        }
        self.0.insert(path.to_owned(), there);
        Ok(())
    }

    /// What of it is otherwise below `root`: the first of them, for people.
    pub(super) fn missing(&self, root: &Path) -> Vec<String> {
        let is_other = |(path, there): &(&PathBuf, &There)| {
            look(&root.join(path)).is_ok_and(|now| now != **there)
        };
        let others = self.0.iter().filter(is_other);
        others.map(|(path, _)| path.display().to_string()).take(SHOWN).collect()
    }
}

fn look(path: &Path) -> io::Result<There> {
    let about = match fs::symlink_metadata(path) {
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) =>
        {
            return Ok(There::Nothing);
        }
        about => about?,
    };
    Ok(match about.file_type() {
        kind if kind.is_dir() => There::Directory,
        kind if kind.is_file() => There::File(about.len()),
        kind if kind.is_symlink() => There::Link(fs::read_link(path)?),
        _ => There::Other,
    })
}
