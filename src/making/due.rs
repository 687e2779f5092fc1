//! A package that a tree is to have, and whose word for it counts.

use std::path::Path;

use super::make::Making;
use crate::fetch::package_places;
use crate::metadata::Keys;
use crate::model::{KeyPin, PlannedPackage, total};
use crate::store::StoreKey;
use crate::trust::{Policy, TrustError};

/// One package of one tree.
#[derive(Clone, Copy)]
pub(super) struct DuePackage<'a> {
    pub(super) tree: &'a Making<'a>,
    pub(super) position: usize,
    pub(super) package: &'a PlannedPackage,
}

impl<'a> DuePackage<'a> {
    /// All that is to come, of every tree.
    pub(super) fn of(trees: &'a [Making<'a>]) -> Vec<Self> {
        let parts = trees.iter().flat_map(Making::parts);
        let wanted = |tree: &'a Making<'a>| {
            let wanted = move |(position, package)| Self { tree, position, package };
            tree.fetched().into_iter().map(wanted)
        };
        parts.flat_map(wanted).collect()
    }

    /// Bytes that they have when installed.
    pub(super) fn size(all: &[Self]) -> u64 {
        total(all.iter().map(|wanted| wanted.package.installed_size))
    }

    /// The keys that may have signed it.
    pub(super) fn pins(&self) -> &'a [KeyPin] {
        let source = self.tree.plan().source(&self.package.source);
        source.map_or(&[], |source| &source.keys)
    }

    /// The dist and the repository that it comes from.
    pub(super) fn place(&self) -> (&'a str, &'a str) {
        (self.tree.plan().dist.as_str(), self.package.source.as_str())
    }

    /// Where it may be had, best first.
    pub(super) fn places(&self) -> Vec<String> {
        package_places(self.tree.plan().source(&self.package.source), self.package)
    }

    /// What the store calls it.
    pub(super) fn key(&self) -> StoreKey {
        StoreKey::of(&self.package.checksum, &self.package.files)
    }

    /// What `open` makes of it by those who may vouch for it today.
    pub(super) fn judged<T>(
        &self,
        keys: &Keys<'_>,
        open: impl FnOnce(&Policy<'_>) -> Result<T, TrustError>,
    ) -> Result<T, TrustError> {
        let allowed = keys.allowed(self.place(), self.pins());
        let allow_unsigned = keys.lets_in_unsigned(self.place());
        keys.with_keyring(|keyring| open(&Policy { keyring, allowed: &allowed, allow_unsigned }))
    }
}

/// The directories in which trees are made.
pub(super) fn places<'a>(trees: &'a [Making<'a>]) -> Vec<&'a Path> {
    trees.iter().map(Making::path).collect()
}
