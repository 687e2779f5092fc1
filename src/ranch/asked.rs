//! What is asked of a ranch.

use std::path::{Component, Path, PathBuf};

use super::error::RanchError;
use super::fitting::DriverNeeds;

/// What is to be seen where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Injection {
    /// A file or directory of this machine.
    pub(crate) source: PathBuf,
    /// Where it is seen, below the root.
    pub(crate) place: PathBuf,
}

/// What a command is to see as its root directory.
#[derive(Clone, Debug)]
pub(crate) struct Ranch {
    /// What is added.
    pub(crate) injections: Vec<Injection>,
    /// Directories below the root that can be written to.
    pub(crate) writable: Vec<PathBuf>,
    /// Where what is written is kept; else it is gone when the command has ended.
    pub(crate) keep: Option<PathBuf>,
    /// Whether the command is to be root there, and not its user.
    pub(crate) is_root: bool,
    /// What it has of this machine's drivers.
    pub(crate) drivers: Option<DriverNeeds>,
}

/// Refuses what names no place of a root directory.
pub(super) fn check(place: &Path) -> Result<(), RanchError> {
    if !place.is_absolute() {
        return Err(RanchError::place(place, "it must begin with /"));
    }
    if place.components().any(|component| component == Component::ParentDir) {
        return Err(RanchError::place(place, "it must not contain `..`"));
    }
    if place == Path::new("/") {
        return Err(RanchError::place(place, "the root itself is what is shown"));
    }
    Ok(())
}
