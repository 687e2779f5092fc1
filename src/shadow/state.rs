//! What became of a shadow since it was made: here, and where it comes from.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::error::ShadowError;
use super::original::Original;
use super::record::{RecordedTree, Shadow};
use crate::model::{Checksum, RelPath};
use crate::owned::open_to_read;
use crate::workshop::ConfigStates;

/// How a tree of a shadow stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShadowState {
    /// Where it lies.
    pub(crate) place: RelPath,
    /// The tree that it is made of.
    pub(crate) made_of: String,
    /// What is installed in that, with versions.
    pub(crate) runtimes: Vec<String>,
    /// Whether that tree is there.
    pub(crate) is_there: bool,
    /// Whether the prefix has just this by now, its configuration too.
    pub(crate) is_current: bool,
    /// Files of the configuration that the user edited.
    pub(crate) edited: Vec<RelPath>,
    /// Files that he added, `.rpmnew` and `.rpmsave` of an update among them.
    pub(crate) added: Vec<RelPath>,
    /// Files that he removed.
    pub(crate) removed: Vec<RelPath>,
    /// Copies of programs that are not what was copied.
    pub(crate) damaged: Vec<RelPath>,
}

/// How the trees of `shadow` stand, where these are the prefix's trees by now.
///
/// # Errors
/// When something of the shadow cannot be read.
pub(crate) fn states(
    shadow: &Shadow,
    originals: &[Original],
) -> Result<Vec<ShadowState>, ShadowError> {
    let tree = |recorded: &RecordedTree| {
        let original = originals.iter().find(|it| it.place == recorded.place);
        let path = shadow.tree(&recorded.place);
        let ConfigStates(now) = ConfigStates::read(&path, &recorded.etc, &mut Vec::new())?;
        let ConfigStates(then) = &recorded.etc;
        let is_edited = |path: &RelPath| {
            then.get(path).is_some_and(|then| now.get(path).is_some_and(|now| now != then))
        };
        let is_damaged =
            |(copy, checksum): &(&RelPath, &Checksum)| !holds(&path.join(copy), checksum);
        Ok(ShadowState {
            place: recorded.place.clone(),
            made_of: recorded.tree.clone(),
            runtimes: recorded
                .runtimes
                .iter()
                .map(|runtime| format!("{} {}", runtime.name, runtime.version))
                .collect(),
            is_there: fs::exists(&recorded.tree).unwrap_or(false),
            is_current: original.is_some_and(|original| original.is_what(recorded)),
            edited: now.keys().filter(|path| is_edited(path)).cloned().collect(),
            added: now.keys().filter(|path| !then.contains_key(*path)).cloned().collect(),
            removed: then.keys().filter(|path| !now.contains_key(*path)).cloned().collect(),
            damaged: recorded
                .copies
                .iter()
                .filter(is_damaged)
                .map(|(path, _)| path.clone())
                .collect(),
        })
    };
    shadow.record.trees.iter().map(tree).collect()
}

/// What the user edited or added in those of these trees whose place is meant: paths in the shadow.
pub(super) fn edits(trees: &[ShadowState], is_meant: impl Fn(&RelPath) -> bool) -> Vec<RelPath> {
    let meant = trees.iter().filter(|tree| is_meant(&tree.place));
    meant
        .flat_map(|tree| tree.edited.iter().chain(&tree.added).map(|path| tree.place.join(path)))
        .collect()
}

/// Whether the file at `path` has this content.
pub(super) fn holds(path: &Path, checksum: &Checksum) -> bool {
    let found = open_to_read(path).and_then(|file| Checksum::of_reader(checksum.algorithm(), file));
    found.is_ok_and(|(found, _)| found == *checksum)
}
