//! What a tree can lack.

use std::fmt;

use crate::model::{GlibcVersion, RelPath, escape};

/// Something that a tree needs and does not get. Shown as one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// A library that is nowhere to be found.
    Missing {
        /// The file that needs it.
        path: RelPath,
        /// Its soname.
        library: String,
        /// The symbol versions that are asked of it.
        versions: Vec<String>,
    },
    /// A library that the tree has, where the file that needs it does not look.
    Unfound {
        /// The file that needs it.
        path: RelPath,
        /// Its soname.
        library: String,
        /// Where in the tree it lies.
        provider: RelPath,
    },
    /// A library that is there, and too old or too new.
    NoVersion {
        /// The file that asks.
        path: RelPath,
        /// The library's soname.
        library: String,
        /// The symbol version.
        version: String,
        /// The file that should define it.
        provider: RelPath,
    },
    /// A newer glibc than the target has.
    Glibc {
        /// The file that asks.
        path: RelPath,
        /// The part of glibc that is asked.
        library: String,
        /// The symbol version.
        version: String,
        /// What the target has.
        target: GlibcVersion,
    },
    /// A part of glibc itself, which works with no other build of it.
    Private {
        /// The file.
        path: RelPath,
        /// The part of glibc that is asked.
        library: String,
    },
    /// A library that must be the host's, found in the tree first.
    Shadowed {
        /// The file that needs it.
        path: RelPath,
        /// The soname.
        library: String,
        /// Where in the tree it lies.
        provider: RelPath,
    },
    /// A program or library that is malformed.
    Unreadable {
        /// The file.
        path: RelPath,
        /// What is wrong with it.
        reason: String,
    },
}

impl Gap {
    /// The same in a tree where files lie at other paths.
    #[must_use]
    pub fn placed(mut self, place: impl Fn(&RelPath) -> RelPath) -> Self {
        match &mut self {
            Self::NoVersion { path, provider, .. }
            | Self::Unfound { path, provider, .. }
            | Self::Shadowed { path, provider, .. } => {
                *path = place(path);
                *provider = place(provider);
            }
            Self::Missing { path, .. }
            | Self::Glibc { path, .. }
            | Self::Private { path, .. }
            | Self::Unreadable { path, .. } => *path = place(path),
        }
        self
    }

    /// The file that lacks something.
    #[must_use]
    pub fn path(&self) -> &RelPath {
        match self {
            Self::Missing { path, .. }
            | Self::Unfound { path, .. }
            | Self::NoVersion { path, .. }
            | Self::Glibc { path, .. }
            | Self::Private { path, .. }
            | Self::Shadowed { path, .. }
            | Self::Unreadable { path, .. } => path,
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path, library, versions } => {
                write!(f, "{path} needs {}", escape(library))?;
                if !versions.is_empty() {
                    write!(f, " ({})", escape(&versions.join(", ")))?;
                }
                f.write_str(": in neither tree nor host")
            }
            Self::Unfound { path, library, provider } => {
                let library = escape(library);
                write!(f, "{path} needs {library}: the tree has {provider}, which it does not find")
            }
            Self::NoVersion { path, library, version, provider } => {
                let (library, version) = (escape(library), escape(version));
                write!(f, "{path} needs {version} of {library}: {provider} does not define it")
            }
            Self::Glibc { path, library, version, target } => {
                let (library, version) = (escape(library), escape(version));
                write!(f, "{path} needs {version} of {library}: the target has glibc {target}")
            }
            Self::Private { path, library } => {
                let library = escape(library);
                write!(f, "{path} needs GLIBC_PRIVATE of {library}: it is a part of one glibc only")
            }
            Self::Shadowed { path, library, provider } => {
                let library = escape(library);
                write!(f, "{path} would find {provider}, but {library} must be the host's")
            }
            Self::Unreadable { path, reason } => write!(f, "{path} is malformed: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_says_who_needs_what() {
        let path = RelPath::new("bin/squashfuse").unwrap();
        let gap = Gap::Missing {
            path,
            library: "libfuse.so.2".to_owned(),
            versions: vec!["FUSE_2.8".to_owned()],
        };
        let expected = "bin/squashfuse needs libfuse.so.2 (FUSE_2.8): in neither tree nor host";
        assert_eq!(gap.to_string(), expected);
    }
}
