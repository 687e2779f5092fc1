//! Which libraries a tree's programs find, where the run paths in its files do not say it all: found out
//! once, by relocation, and asked by everything that comes after.

use serde::{Deserialize, Serialize};

use super::RelPath;

/// Programs that a launcher starts lie here, under the paths that their launchers took.
pub(crate) const LAUNCHED_DIRECTORY: &str = "libexec/elsewhere";

/// How the programs of a tree find its libraries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loading {
    /// The directories of the tree in which its programs look for libraries, sorted.
    #[serde(default)]
    pub directories: Vec<RelPath>,
    /// The programs and libraries that do not find by themselves what they need, sorted by path.
    #[serde(default)]
    pub aided: Vec<Aided>,
}

/// A program or library without a run path of its own that leads to what it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aided {
    /// Where it is.
    pub path: RelPath,
    /// Where a program would be, and what starts it is: a launcher that sets the library path. A library
    /// has none: the programs that load it look there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launcher: Option<RelPath>,
    /// The directories of the tree that have what it needs, in the order in which they are searched.
    pub library_path: Vec<RelPath>,
    /// Why it has no run path; nothing where it has none because it starts itself again from memory, where
    /// a run path leads nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl Aided {
    /// Whether it is started again from memory, so that its place means nothing.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.because.is_none()
    }

    /// The same in a tree that has it, and what it needs, below `directory`.
    #[must_use]
    fn placed(self, directory: &RelPath) -> Self {
        Self {
            path: directory.join(&self.path),
            launcher: self.launcher.map(|launcher| directory.join(&launcher)),
            library_path: self.library_path.iter().map(|path| directory.join(path)).collect(),
            because: self.because,
        }
    }
}

impl Loading {
    /// What is known of the file at `path`, where it does not find by itself what it needs.
    #[must_use]
    pub fn aided(&self, path: &RelPath) -> Option<&Aided> {
        self.aided.iter().find(|aided| aided.path == *path)
    }

    /// The program that runs when `path` is started.
    #[must_use]
    pub fn started<'a>(&'a self, path: &'a RelPath) -> &'a RelPath {
        self.aided
            .iter()
            .find(|aided| aided.launcher.as_ref() == Some(path))
            .map_or(path, |it| &it.path)
    }

    /// The programs that are started by a launcher with a library path.
    pub fn launched(&self) -> impl Iterator<Item = &Aided> {
        self.aided.iter().filter(|aided| aided.launcher.is_some())
    }

    /// Adds that of a tree which lies in the directory `directory` of this one.
    pub fn add(&mut self, directory: &RelPath, inner: Self) {
        self.directories.extend(inner.directories.iter().map(|path| directory.join(path)));
        self.aided.extend(inner.aided.into_iter().map(|aided| aided.placed(directory)));
        self.directories.sort();
        self.aided.sort_by(|one, other| one.path.cmp(&other.path));
    }

    /// The part about the tree that lies in the directory `directory` of this one, as [`Loading::add`]
    /// took it.
    #[must_use]
    pub fn within(&self, directory: &RelPath) -> Self {
        let inner = |path: &RelPath| {
            RelPath::new(path.as_str().strip_prefix(directory.as_str())?.strip_prefix('/')?).ok()
        };
        let part = |aided: &Aided| {
            Some(Aided {
                path: inner(&aided.path)?,
                launcher: aided.launcher.as_ref().and_then(inner),
                library_path: aided.library_path.iter().filter_map(inner).collect(),
                because: aided.because.clone(),
            })
        };
        Self {
            directories: self.directories.iter().filter_map(inner).collect(),
            aided: self.aided.iter().filter_map(part).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn a_tree_within_a_tree_comes_out_as_it_went_in() {
        let inner = Loading {
            directories: vec![path("lib64")],
            aided: vec![Aided {
                path: path("libexec/elsewhere/bin/x"),
                launcher: Some(path("bin/x")),
                library_path: vec![path("lib64")],
                because: Some("it has no room".to_owned()),
            }],
        };
        let mut outer = Loading { directories: vec![path("lib64/a")], aided: Vec::new() };
        outer.add(&path("container"), inner.clone());
        assert_eq!(outer.directories, [path("container/lib64"), path("lib64/a")]);
        assert_eq!(outer.within(&path("container")), inner);
        let launcher = path("container/bin/x");
        assert_eq!(outer.started(&launcher).as_str(), "container/libexec/elsewhere/bin/x");
    }
}
