//! What is held against its receipt.

use std::path::Path;

use crate::model::{ReceiptFile, RelPath};

/// What is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation<'a> {
    /// The tree's root.
    pub tree: &'a Path,
    /// What should be there.
    pub files: &'a [ReceiptFile],
    /// What was set below `etc/` instead of what packages brought, by whoever published the tree.
    pub set: &'a [ReceiptFile],
    /// The names that the receipt itself and what belongs to it have in the root.
    pub own_names: &'a [&'a str],
    /// Directories in which the user may put files of their own.
    pub plugin_directories: &'a [RelPath],
}
