//! What differs between two sets of packages.

use std::collections::BTreeMap;

use serde::Serialize;

use super::install::unchanged;
use crate::context::Context;
use crate::error::Error;
use crate::model::{Arch, Evr, Nevra, Plan, PlannedRuntime, Receipt};
use crate::prefix::Prefix;

/// One package that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// Its name.
    pub package: String,
    /// The version before; `None` when it was not there.
    pub from: Option<String>,
    /// The version after; `None` when it is not there.
    pub to: Option<String>,
}

/// What a plan would change in one architecture.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TreeChange {
    /// The architecture.
    pub arch: Arch,
    /// The dist.
    pub dist: String,
    /// The runtimes as they would be.
    pub runtimes: Vec<PlannedRuntime>,
    /// The packages; none when only the program that makes the tree changed.
    pub packages: Vec<Change>,
}

/// What `plan` would change in `prefix`: nothing for trees that are as planned already.
///
/// # Errors
/// When the prefix cannot be read.
pub(super) fn changes(
    context: Context<'_>,
    prefix: &Prefix,
    plan: &Plan,
) -> Result<Vec<TreeChange>, Error> {
    let mut changes = Vec::new();
    for tree in &plan.trees {
        if unchanged(context, prefix, tree)?.is_some() {
            continue;
        }
        let before = match prefix.live(tree.arch)? {
            Some(generation) => prefix.whole_receipt(&generation)?,
            None => None,
        };
        let before = before.iter().flat_map(Receipt::nevras);
        changes.push(TreeChange {
            arch: tree.arch,
            dist: tree.dist.clone(),
            runtimes: tree.runtimes.clone(),
            packages: changes_between(before, tree.nevras()),
        });
    }
    Ok(changes)
}

/// The packages that differ, by name, each with whether it is bound into containers from another dist:
/// those are told apart from the others.
pub(super) fn changes_between<'a>(
    before: impl Iterator<Item = (bool, &'a Nevra)>,
    after: impl Iterator<Item = (bool, &'a Nevra)>,
) -> Vec<Change> {
    let mut names: BTreeMap<(&str, bool), [Option<&Evr>; 2]> = BTreeMap::new();
    for (is_inside, package) in before {
        names.entry((&package.name, is_inside)).or_default()[0] = Some(&package.evr);
    }
    for (is_inside, package) in after {
        names.entry((&package.name, is_inside)).or_default()[1] = Some(&package.evr);
    }
    let changed = names.into_iter().filter(|(_, [from, to])| from != to);
    let change = |((package, is_inside), [from, to]): ((&str, bool), [Option<&Evr>; 2])| Change {
        package: if is_inside { format!("{package} (for containers)") } else { package.to_owned() },
        from: from.map(Evr::to_string),
        to: to.map(Evr::to_string),
    };
    changed.map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Nevra {
        let evr = Evr { epoch: 0, version: version.to_owned(), release: "1".to_owned() };
        Nevra { name: name.to_owned(), evr, arch: "x86_64".to_owned() }
    }

    #[test]
    fn only_what_differs_is_told() {
        let outside = |package| (false, package);
        let before = [package("a", "1"), package("b", "1"), package("c", "1")];
        let after = [package("a", "1"), package("b", "2"), package("d", "1")];
        let changes = changes_between(before.iter().map(outside), after.iter().map(outside));
        let shown: Vec<_> =
            changes.iter().map(|it| (&*it.package, it.from.as_deref(), it.to.as_deref())).collect();
        assert_eq!(
            shown,
            [("b", Some("1-1"), Some("2-1")), ("c", Some("1-1"), None), ("d", None, Some("1-1"))]
        );
    }
}
