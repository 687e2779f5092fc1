//! Why there is no shadow.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::{RelPath, escape, shell_word};
use crate::owned::OwnedError;
use crate::workshop::WorkshopError;

/// Why a shadow could not be made, looked at or removed. What was there is there still.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// The directory has something else in it.
    #[error("{} is not empty, and no shadow", shown(path))]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// There is no shadow.
    #[error("there is no shadow at {}", shown(path))]
    None {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// It would lie in what it stands for.
    #[error("{} lies in {}, which it would stand for", shown(path), shown(of))]
    Inside {
        /// The shadow.
        path: PathBuf,
        /// The prefix.
        of: PathBuf,
    },
    /// A path cannot be written down.
    #[error("{} is no UTF-8, and no shadow can be made of it", shown(path))]
    Name {
        /// The path.
        path: PathBuf,
    },
    /// The prefix holds nothing.
    #[error("{} has no tree to make a shadow of", shown(path))]
    Empty {
        /// The prefix.
        path: PathBuf,
    },
    /// A program of the prefix is not what was installed.
    #[error("{} is not what its receipt says", shown(path))]
    Damaged {
        /// The program.
        path: PathBuf,
    },
    /// Another run makes or changes it.
    #[error("another run works on the shadow {}", shown(path))]
    Busy {
        /// The shadow.
        path: PathBuf,
    },
    /// What the user wrote there would be lost.
    #[error("{} has files that you edited or added: {}", shown(path), list(files))]
    Edited {
        /// The shadow.
        path: PathBuf,
        /// They.
        files: Vec<RelPath>,
    },
    /// The same, for want of a tree to carry it into.
    #[error(
        "{} has files that you edited or added, and there is no tree for them any more: {}",
        shown(path),
        list(files)
    )]
    Left {
        /// The shadow.
        path: PathBuf,
        /// They.
        files: Vec<RelPath>,
    },
    /// What is written down of it makes no sense.
    #[error("{} is damaged: {problem}", shown(path))]
    Record {
        /// The file.
        path: PathBuf,
        /// What about it.
        problem: String,
    },
    /// Somebody else could change it.
    #[error(transparent)]
    Owned(#[from] OwnedError),
    /// A file of a tree could not be read or written.
    #[error(transparent)]
    Tree(#[from] WorkshopError),
    /// The operating system refused something.
    #[error("cannot {action} {}", shown(path))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ShadowError {
    /// What to do next, where that can be said.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Foreign { .. } => {
                Some("name a directory that is not there yet, or is empty".to_owned())
            }
            Self::None { path } => Some(format!(
                "to make one: elsewhere shadow PREFIX {}",
                shell_word(&path.to_string_lossy())
            )),
            Self::Inside { .. } => Some("name a directory of your own".to_owned()),
            Self::Damaged { .. } => {
                Some("`elsewhere verify` says what is wrong with that prefix".to_owned())
            }
            Self::Edited { .. } => {
                Some("save what you want to keep, and add --force".to_owned())
            }
            Self::Left { .. } => Some(
                "save what you want to keep, and delete these files; or make another shadow beside this one"
                    .to_owned(),
            ),
            Self::Record { .. } => Some(
                "save what you edited below its etc directories, delete the directory, and make the shadow anew"
                    .to_owned(),
            ),
            Self::Owned(error) => error.hint(),
            Self::Tree(error) => error.hint(),
            Self::Name { .. } | Self::Empty { .. } | Self::Busy { .. } | Self::Io { .. } => None,
        }
    }
}

impl ShadowError {
    /// Whether what was typed makes no sense.
    #[must_use]
    pub(crate) fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Foreign { .. }
                | Self::None { .. }
                | Self::Inside { .. }
                | Self::Name { .. }
                | Self::Empty { .. }
                | Self::Edited { .. }
                | Self::Left { .. }
        )
    }
}

/// Makes the error of doing `action` to `path`.
pub(super) fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> ShadowError {
    move |source| ShadowError::Io { action, path: path.to_owned(), source }
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}

fn list(files: &[RelPath]) -> String {
    files.iter().map(|file| escape(file.as_str())).collect::<Vec<_>>().join(", ")
}
