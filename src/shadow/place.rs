//! Where a shadow has what, and who may change it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{ShadowError, failed};
use crate::model::{RelPath, SHADOW_NAME};
use crate::owned::Owners;
use crate::tools::claim::claim;
use crate::tools::files;

/// The link to what counts.
const LIVE: &str = "live";

/// Where the shadow at `root` keeps what is its own.
pub(super) fn own(root: &Path) -> PathBuf {
    root.join(SHADOW_NAME)
}

/// The link to what counts, in what is the shadow's own.
pub(super) fn live(own: &Path) -> PathBuf {
    own.join(LIVE)
}

/// What in the shadow's own directory a link of its root leads to.
pub(super) fn link_text(name: &str) -> PathBuf {
    Path::new(SHADOW_NAME).join(LIVE).join(name)
}

/// Where a run makes something. That it holds this directory keeps others away.
pub(super) fn making(root: &Path) -> PathBuf {
    own(root).join("making")
}

/// Holds `root` for this run, and makes it where it is not there.
///
/// # Errors
/// When another run has it, or it cannot be made.
pub(super) fn lock(root: &Path) -> Result<File, ShadowError> {
    let (own, owners) = (own(root), Owners::default());
    for directory in [root, &own] {
        make_parents(directory)?;
        files::make_directory(directory, 0o755).map_err(failed("make the directory", directory))?;
    }
    owners.check_root(root)?;
    owners.check_directory(&own)?;
    let making = making(root);
    claim(&making).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => ShadowError::Busy { path: root.to_owned() },
        _ => failed("make the directory", &making)(error),
    })
}

/// The names that the root of a shadow has whose trees lie in these places.
pub(super) fn roots<'a>(places: impl Iterator<Item = &'a RelPath>) -> BTreeSet<String> {
    let first = |place: &RelPath| {
        let path = place.as_str();
        path.split('/').next().unwrap_or(path).to_owned()
    };
    places.map(first).chain(["bin".to_owned()]).collect()
}

/// Makes the directories above `path` that are missing.
pub(super) fn make_parents(path: &Path) -> Result<(), ShadowError> {
    let parent = parent(path);
    fs::create_dir_all(parent).map_err(failed("make the directory", parent))
}

pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Removes the symlink at `path`, if there is one.
pub(super) fn unlink(path: &Path) -> Result<(), ShadowError> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_symlink() => fs::remove_file(path).map_err(failed("remove", path)),
        _ => Ok(()),
    }
}
