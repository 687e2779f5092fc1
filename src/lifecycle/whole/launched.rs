//! Which of the trees in a prefix its launchers run on a machine, and where their programs are.

use std::path::PathBuf;

use super::{Member, Whole};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::{Arch, Dist, HostFacts, MadeWith, Receipt, RelPath};

impl Whole {
    /// The tree that launchers run on this machine: of several dists the newest that it runs; where it
    /// runs none, the oldest.
    ///
    /// # Errors
    /// When the prefix or a receipt cannot be read.
    pub(crate) fn launched(
        &self,
        catalog: &Catalog,
        arch: Arch,
        host: &HostFacts,
    ) -> Result<Option<(PathBuf, Receipt)>, Error> {
        let live = self.trees(None)?.into_iter().filter(|(it, _)| it.arch == arch);
        let trees = live.map(|(generation, receipt)| (generation.path, receipt)).collect();
        Ok(fittest(catalog, trees, host))
    }

    /// Patterns for the files at `paths` in every generation of every member, as [`Prefix::everywhere`]
    /// makes them.
    ///
    /// [`Prefix::everywhere`]: crate::prefix::Prefix::everywhere
    #[must_use]
    pub(crate) fn everywhere(&self, paths: &[&RelPath]) -> Vec<String> {
        let members = self.all().unwrap_or_else(|_| vec![Member(self.prefix.clone())]);
        let of_member = |member: Member| {
            let patterns = paths.iter().map(move |path| member.everywhere(path));
            patterns.collect::<Vec<_>>()
        };
        members.into_iter().flat_map(of_member).collect()
    }
}

/// The one of `trees`, of one architecture, that launchers run on this machine: the newest that it runs; where it
/// runs none, the oldest.
#[must_use]
pub(crate) fn fittest(
    catalog: &Catalog,
    mut trees: Vec<(PathBuf, Receipt)>,
    host: &HostFacts,
) -> Option<(PathBuf, Receipt)> {
    let needs = |receipt: &Receipt| {
        let made_with = receipt.made_with.as_ref().and_then(MadeWith::needs);
        made_with.or_else(|| catalog.dist(&receipt.dist).ok().map(Dist::needs))
    };
    trees.sort_by_key(|(_, receipt)| needs(receipt));
    let fits =
        |(_, receipt): &(PathBuf, Receipt)| needs(receipt).is_some_and(|needs| host.runs(needs));
    let best = trees.iter().rposition(fits).unwrap_or(0);
    (!trees.is_empty()).then(|| trees.swap_remove(best))
}
