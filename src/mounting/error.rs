//! Why something could not be mounted.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::escape;
use crate::owned::OwnedError;

/// Why the repositories that were named are not there. Nothing stays mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountingError {
    /// The command line names none.
    #[error("{0}")]
    Words(String),
    /// The tree is not one of a runtime that mounts.
    #[error("{} says nothing about what its launchers mount", shown(tree))]
    Unsaid {
        /// The tree.
        tree: PathBuf,
    },
    /// A configuration file cannot be read.
    #[error("cannot read the configuration {}", shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of it cannot be used.
    #[error("{}, line {line}: {why}", shown(path))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// A setting is missing.
    #[error("{} is not set for {}: {}", _0.name, _0.repository, _0.because)]
    Missing(Box<MissingSetting>),
    /// There is no directory for the cache.
    #[error("cannot keep a cache in {}", shown(path))]
    Cache {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: OwnedError,
    },
    /// The files of this start cannot be written.
    #[error("cannot write {}", shown(path))]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program could not be asked what it understood.
    #[error("{} does not say what it understood of its configuration: {said}", shown(program))]
    Silent {
        /// The program.
        program: PathBuf,
        /// What it said instead.
        said: String,
    },
    /// The program did not mount it.
    #[error("cannot mount {repository}: {said}")]
    Mount {
        /// What was to be mounted.
        repository: String,
        /// What the program said.
        said: String,
        /// Where a user may say more.
        file: PathBuf,
    },
    /// The host lets nobody mount it.
    #[error("this host does not let you mount anything: {why}")]
    Forbidden {
        /// What was tried.
        why: String,
        /// A command that may do it.
        instead: Option<String>,
    },
    /// A process could not be started or waited for.
    #[error("cannot start the process that {does}")]
    Process {
        /// What for.
        does: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A setting that is missing, and where it may be written.
#[derive(Debug)]
pub struct MissingSetting {
    /// Its name.
    pub name: String,
    /// What to write.
    pub example: String,
    /// What it is for.
    pub because: String,
    /// For what.
    pub repository: String,
    /// The file of the site, in the tree.
    pub site: PathBuf,
    /// That of the user.
    pub user: PathBuf,
}

impl MountingError {
    /// What to do next, where that can be said.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Missing(it) => Some(format!(
                "write `{}='{}'` into {}, or for everybody into {}",
                it.name,
                it.example,
                shown(&it.user),
                shown(&it.site)
            )),
            Self::Mount { file, .. } => Some(format!(
                "what you write into {} counts more than the configuration that it has; `elsewhere doctor` says whether you may mount by FUSE",
                shown(file)
            )),
            Self::Cache { .. } => Some(
                "the cache must be a directory of yours, on a disk of this machine: name another in the configuration"
                    .to_owned(),
            ),
            Self::Forbidden { instead: Some(line), .. } => {
                Some(format!("where a container runtime is installed that may: {line}"))
            }
            Self::Forbidden { .. } => {
                Some("`elsewhere doctor` says what forbids it, and what to ask for".to_owned())
            }
            _ => None,
        }
    }

    /// Whether what was typed or configured makes no sense.
    #[must_use]
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Words(_) | Self::Line { .. } | Self::Missing(_) | Self::Read { .. })
    }
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}
