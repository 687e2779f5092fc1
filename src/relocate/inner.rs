//! A smaller tree within a tree, with packages of another dist: each is made movable for itself, so that
//! neither finds the other's libraries. Links that the definitions declare lead from the outer tree
//! into the inner one where that has their targets.

use std::path::Path;

use super::RelocateError;
use super::tree::Tree;
use crate::model::{ReceiptFile, RelPath, Runtime, Taken};

/// Makes the links that `runtimes` declare in the tree at `tree`, which has the files `outside`, in the
/// place of others, where the tree in its directory `inner`, which has the files `inside`, has their
/// targets.
///
/// # Errors
/// When the tree cannot be changed.
pub(crate) fn link_into(
    tree: &Path,
    inner: &RelPath,
    outside: &mut Vec<ReceiptFile>,
    inside: &[ReceiptFile],
    runtimes: &[&Runtime],
) -> Result<(), RelocateError> {
    let taken = Taken::new();
    let mut staged = Tree::open(tree, outside, &taken)?;
    let mut made: Vec<&RelPath> = Vec::new();
    for link in runtimes.iter().flat_map(|runtime| &runtime.links) {
        let leads = inside.iter().any(|file| file.path == link.target);
        let is_free = staged.file(&link.path).is_none_or(|file| file.is_symlink());
        if leads && is_free && !made.contains(&&link.path) {
            let target = inner.join(&link.target);
            staged.make_link(&link.path, &link.path.link_text_to(&target))?;
            made.push(&link.path);
        }
    }
    *outside = staged.close()?;
    Ok(())
}
