//! What a shadow is made of.

use std::path::{Path, PathBuf};

use super::record::RecordedTree;
use crate::model::{Checksum, RelPath};
use crate::workshop::{ConfigStates, MadeTree, read_receipt_bytes};

/// A tree of the prefix.
#[derive(Clone, Debug)]
pub(crate) struct Original {
    /// Where it lies there, beside `bin`.
    pub(crate) place: RelPath,
    /// The tree itself, by a path that will lead to this version whatever counts there.
    pub(crate) tree: MadeTree,
    /// Where the version that counts lies, whichever that is.
    pub(crate) now: PathBuf,
    /// Programs of which a shadow has copies.
    pub(crate) copies: Vec<RelPath>,
}

impl Original {
    /// Whether it is what the recorded tree was made of, its configuration included.
    pub(super) fn is_what(&self, recorded: &RecordedTree) -> bool {
        let receipt = read_receipt_bytes(&self.tree.path);
        let is_its = receipt
            .is_ok_and(|bytes| bytes.is_some_and(|bytes| Checksum::of(&bytes) == recorded.receipt));
        // What an administrator edited there since is nothing that a receipt tells.
        is_its
            && Path::new(&recorded.tree) == self.tree.path
            && self.copies.iter().eq(recorded.copies.keys())
            && ConfigStates::read(&self.tree.path, &ConfigStates::default(), &mut Vec::new())
                .is_ok_and(|etc| etc == recorded.etc)
    }
}
