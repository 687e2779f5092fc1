//! What commands that only read look at: a prefix, a published version, or one tree that lies anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::parts::PartOf;
use crate::error::Error;
use crate::lifecycle::{self, Whole};
use crate::model::{Receipt, RelPath, escape};
use crate::prefix::Generation;
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

/// A tree, and where it lies.
pub(super) struct PlacedTree {
    /// Beside the launchers.
    pub(super) place: RelPath,
    /// The tree itself, by a path that leads to this version whatever counts later.
    pub(super) tree: MadeTree,
    /// The path that leads to what counts.
    pub(super) now: PathBuf,
}

/// All trees that count of the prefix, the published version, or the directory of versions at `path`.
///
/// # Errors
/// When one cannot be read; or that `path` is a tree by itself, or nothing at all.
pub(super) fn placed_trees(path: &Path) -> Result<Vec<PlacedTree>, Error> {
    let place = |text: &str| {
        RelPath::new(text).map_err(|_| Error::Usage(format!("{} names no directory", escape(text))))
    };
    match Installation::at(path)? {
        Installation::Tree(_) => Err(Error::Usage(format!(
            "{} is one tree: name the prefix or version that it is part of",
            escape(&path.to_string_lossy())
        ))),
        Installation::Prefix(whole) => {
            let trees = whole.placed_trees()?.into_iter();
            let placed = |(label, generation, receipt): (String, Generation, Receipt)| {
                let now = path.join(&label);
                let tree = MadeTree { path: generation.path, receipt };
                Ok(PlacedTree { place: place(&label)?, tree, now })
            };
            trees.map(placed).collect()
        }
        Installation::Version(version) => {
            // What a link says now is the version that this is of.
            let itself = fs::read_link(&version.path).ok();
            let itself = itself.map(|text| version.path.with_file_name(text));
            let itself = itself.unwrap_or_else(|| version.path.clone());
            let placed = |(place, tree): (RelPath, MadeTree)| {
                let now = version.path.join(&place);
                let tree = MadeTree { path: itself.join(&place), ..tree };
                PlacedTree { place, tree, now }
            };
            Ok(version.trees()?.into_iter().map(placed).collect())
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
