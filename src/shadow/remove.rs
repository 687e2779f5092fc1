//! Takes a shadow away.

use std::fs;

use super::error::{ShadowError, failed};
use super::place::{live, lock, own, roots, unlink};
use super::record::Shadow;
use super::state::{edits, states};
use crate::tools::files;

/// Removes `shadow`, and its directory where nothing else is in that; with `force` also where the user edited
/// something. What is not the shadow's stays.
///
/// # Errors
/// When the user edited something, another run works on it, or it cannot be removed.
pub(crate) fn remove(shadow: &Shadow, force: bool) -> Result<(), ShadowError> {
    let root = &shadow.root;
    let _lock = lock(root)?;
    let edited = edits(&states(shadow, &[])?, |_| true);
    if !edited.is_empty() && !force {
        return Err(ShadowError::Edited { path: root.clone(), files: edited });
    }
    for name in roots(shadow.places()) {
        unlink(&root.join(name))?;
    }
    let own = own(root);
    unlink(&live(&own))?;
    files::remove_tree(&own).map_err(failed("remove", &own))?;
    // Where something else is in it, it stays.
    let _ = fs::remove_dir(root);
    Ok(())
}
