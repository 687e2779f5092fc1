//! Paths inside a tree.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::escape;

/// The directory of a tree that holds what is bound into containers, where that comes from another
/// dist than the rest: a tree of its own, so that neither finds the other's libraries.
pub(crate) const CONTAINER_DIRECTORY: &str = "container";

/// A path below a tree's root: relative, UTF-8, without `.`, `..`, empty components or NUL.
///
/// RPM names files by absolute paths (`/usr/bin/x`); [`RelPath::in_tree`] also applies the merge
/// of `/usr` into the root that makes a tree one FHS hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RelPath(String);

impl RelPath {
    /// Checks `path`, which must be relative and normal already.
    ///
    /// # Errors
    /// When the path is empty, absolute, or has a component that is empty, `.` or `..`, or a NUL.
    pub fn new(path: &str) -> Result<Self, InvalidRelPath> {
        let normal = |part: &str| !part.is_empty() && part != "." && part != "..";
        if path.contains('\0') || !path.split('/').all(normal) {
            return Err(InvalidRelPath(path.to_owned()));
        }
        Ok(Self(path.to_owned()))
    }

    /// The place in a tree of the file that a package calls `path` (`/usr/bin/x`, `./usr/bin/x`
    /// as payloads write it, or `usr/bin/x`): `bin/x`. `None` stands for the root itself
    /// (`/`, `/usr`). `/lib` becomes `lib`, as `/usr/lib` does.
    ///
    /// # Errors
    /// When what is left is no normal relative path.
    pub fn in_tree(path: &str) -> Result<Option<Self>, InvalidRelPath> {
        let inner = path.strip_prefix("./").or_else(|| path.strip_prefix('/')).unwrap_or(path);
        let merged = match inner {
            "" | "." | "usr" => return Ok(None),
            inner => inner.strip_prefix("usr/").unwrap_or(inner),
        };
        Self::new(merged).map(Some).map_err(|_| InvalidRelPath(path.to_owned()))
    }

    /// `CONTAINER_DIRECTORY` as a place in a tree.
    #[must_use]
    pub fn container_directory() -> Self {
        Self(CONTAINER_DIRECTORY.to_owned())
    }

    /// This path below the directory `self`.
    #[must_use]
    pub fn join(&self, path: &Self) -> Self {
        Self(format!("{}/{}", self.0, path.0))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as a [`Path`].
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The containing directory; `None` when that is the tree's root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The number of components.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.split('/').count()
    }

    /// Where a symlink at this path with text `target` leads, inside the tree: `None` when it
    /// climbs out of the root, or is the root. An absolute target is taken to be rooted at the tree, with
    /// `/usr` merged away.
    #[must_use]
    pub fn resolve_link(&self, target: &str) -> Option<Self> {
        let mut parts: Vec<&str> = match target.starts_with('/') {
            true => Vec::new(),
            false => self.0.split('/').collect(),
        };
        if !target.starts_with('/') {
            parts.pop();
        }
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop()?;
                }
                part => parts.push(part),
            }
        }
        if target.starts_with('/') && parts.first() == Some(&"usr") {
            parts.remove(0);
        }
        Self::new(&parts.join("/")).ok()
    }

    /// The shortest relative symlink text that leads from a link at this path to `target`.
    #[must_use]
    pub fn link_text_to(&self, target: &Self) -> String {
        let here: Vec<&str> = self.0.split('/').collect();
        let there: Vec<&str> = target.0.split('/').collect();
        let directories = here.len() - 1;
        let common = here[..directories].iter().zip(&there).take_while(|(a, b)| a == b).count();
        // The target may be a directory above the link: keep its own name out of the common part.
        let common = common.min(there.len() - 1);
        let mut text = "../".repeat(directories - common);
        text.push_str(&there[common..].join("/"));
        text
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

impl AsRef<Path> for RelPath {
    fn as_ref(&self) -> &Path {
        self.as_path()
    }
}

impl TryFrom<String> for RelPath {
    type Error = InvalidRelPath;

    fn try_from(path: String) -> Result<Self, InvalidRelPath> {
        Self::new(&path)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

/// A path that is absolute, climbs, or is otherwise no place inside a tree.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("path {} is not a plain relative path", escape(.0))]
pub struct InvalidRelPath(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn only_plain_relative_paths_are_accepted() {
        assert!(RelPath::new("usr/bin/x").is_ok());
        for bad in ["", "/x", "a//b", "a/./b", "../x", "a/..", "a/", "a\0b"] {
            assert!(RelPath::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn usr_is_merged_into_the_root() {
        let in_tree = |text| RelPath::in_tree(text).map(|path| path.map(String::from));
        assert_eq!(in_tree("/usr/bin/x"), Ok(Some("bin/x".into())));
        assert_eq!(in_tree("./usr/lib64/x"), Ok(Some("lib64/x".into())));
        assert_eq!(in_tree("/etc/x"), Ok(Some("etc/x".into())));
        assert_eq!(in_tree("/usr"), Ok(None));
        assert_eq!(in_tree("/"), Ok(None));
        assert!(in_tree("/usr/../etc/x").is_err());
        assert!(in_tree("//etc/x").is_err());
    }

    #[test]
    fn links_resolve_inside_the_tree_only() {
        assert_eq!(path("bin/a").resolve_link("b"), Some(path("bin/b")));
        assert_eq!(path("bin/a").resolve_link("../lib64/c"), Some(path("lib64/c")));
        assert_eq!(path("bin/a").resolve_link("/usr/lib64/c"), Some(path("lib64/c")));
        assert_eq!(path("bin/a").resolve_link("../../etc/passwd"), None);
    }

    #[test]
    fn link_text_is_relative_and_short() {
        assert_eq!(path("bin/a").link_text_to(&path("bin/b")), "b");
        assert_eq!(path("bin/a").link_text_to(&path("lib64/c")), "../lib64/c");
        assert_eq!(path("a").link_text_to(&path("lib64/c")), "lib64/c");
        assert_eq!(path("lib64/x/a").link_text_to(&path("lib64/x")), "../x");
    }
}
