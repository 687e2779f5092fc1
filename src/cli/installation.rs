//! What commands that only read look at: a prefix, or one tree that lies anywhere.

use std::path::Path;

use crate::error::Error;
use crate::lifecycle::Whole;
use crate::workshop::MadeTree;

/// What is at the path that the user gave.
pub(super) enum Installation {
    /// A prefix.
    Prefix(Whole),
    /// A tree by itself: a directory with a receipt.
    Tree(Box<MadeTree>),
}

impl Installation {
    /// What is at `path`.
    ///
    /// # Errors
    /// When there is neither, or it cannot be read.
    pub(super) fn at(path: &Path) -> Result<Self, Error> {
        match MadeTree::open(path)? {
            Some(tree) => Ok(Self::Tree(Box::new(tree))),
            None => Ok(Self::Prefix(Whole::open(path)?)),
        }
    }
}
