//! What commands that only read look at: a prefix, a published version, or one tree that lies anywhere.

use std::collections::BTreeSet;
use std::path::Path;

use super::parts::PartOf;
use crate::error::Error;
use crate::lifecycle::{self, Whole};
use crate::model::RelPath;
use crate::publish::{Published, Standing};
use crate::workshop::MadeTree;

/// What is at the path that the user gave.
pub(super) enum Installation {
    /// A prefix.
    Prefix(Whole),
    /// A tree by itself: a directory with a receipt.
    Tree(Box<MadeTree>),
    /// A published version.
    Version(Standing),
}

impl Installation {
    /// What is at `path`; of a directory of published versions the one that counts.
    ///
    /// # Errors
    /// When there is none of them, or it cannot be read.
    pub(super) fn at(path: &Path) -> Result<Self, Error> {
        if let Some(tree) = MadeTree::open(path)? {
            return Ok(Self::Tree(Box::new(tree)));
        }
        match Published::at(path)? {
            Some(version) => Ok(Self::Version(version)),
            None => Ok(Self::Prefix(Whole::open(path)?)),
        }
    }
}

/// The trees of `version`, each with where it lies beside its launchers; of these only those of `part`.
///
/// # Errors
/// When one cannot be read, or none is of the dist that is named.
pub(super) fn trees_of(
    version: &Standing,
    part: &PartOf,
) -> Result<Vec<(RelPath, MadeTree)>, Error> {
    let all = version.trees()?;
    let dists: BTreeSet<String> = all.iter().map(|(_, tree)| tree.receipt.dist.clone()).collect();
    let is_wanted = |tree: &MadeTree| part.dist().is_none_or(|dist| tree.receipt.dist == dist);
    let trees: Vec<_> = all.into_iter().filter(|(_, tree)| is_wanted(tree)).collect();
    match part.dist().filter(|_| trees.is_empty()) {
        None => Ok(trees),
        Some(wanted) => {
            let there: Vec<String> = dists.into_iter().collect();
            Err(lifecycle::nothing_of(wanted, &there.join(", ")))
        }
    }
}
