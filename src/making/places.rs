//! Where a package may be had.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::context::Context;
use crate::fetch::package_places;
use crate::metadata::{self, Means};
use crate::model::{Arch, PlannedPackage, Repository, Source, TreePlan, without_userinfo};

/// The first place of a package, as receipts have it: where the package is, not how one gets in.
pub(super) fn plain_url(source: Option<&Source>, package: &PlannedPackage) -> String {
    let first = package_places(source, package).into_iter().next().unwrap_or_default();
    without_userinfo(&first).into_owned()
}

/// Places that the dists' own lists of mirrors name, for packages that are no more where a plan says:
/// each repository is asked once, when the first of its packages is missed.
#[derive(Default)]
pub(super) struct Mirrors(Mutex<BTreeMap<(String, String, Arch), Vec<String>>>);

impl Mirrors {
    /// Where a package of `tree` may be besides.
    pub(super) fn places(
        &self,
        context: Context<'_>,
        tree: &TreePlan,
        package: &PlannedPackage,
    ) -> Vec<String> {
        let Ok(dist) = context.catalog.dist(&tree.dist) else { return Vec::new() };
        let is_its = |id: &str| id == package.source;
        let Some(repository) = dist.repositories_for(tree.arch).find(|it| is_its(&it.id)) else {
            return Vec::new();
        };
        let key = (dist.name.clone(), repository.id.clone(), tree.arch);
        // Held while they are asked for: others wait for the answer.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bases = known.entry(key).or_insert_with(|| {
            // No metadata are read, so that there is nothing to verify or remember.
            let (verify, memory) = (&|_: &Repository, _: &[u8], _: &[u8]| Ok(()), None);
            let Context { fetcher, program, reporter, .. } = context;
            let means = Means { fetcher, verify, memory, program, reporter };
            metadata::mirrors(means, dist, repository, tree.arch)
        });
        crate::fetch::places(bases, &package.location)
    }
}
