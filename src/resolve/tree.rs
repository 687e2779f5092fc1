//! Chosen packages → the plan: why each is in, and where it comes from.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{GlibcVersion, PackageReason, PlannedPackage, PlannedRuntime, Source, TreePlan};

use super::Target;
use super::roots::Roots;
use super::rules::Rules;
use super::universe::{PackageId, Universe};

/// The plan of a tree of `chosen` packages; those that nothing leads to are left out.
pub(super) fn plan(
    rules: &Rules,
    roots: &Roots,
    chosen: &BTreeSet<PackageId>,
    target: &Target,
) -> TreePlan {
    let universe = rules.universe;
    let reasons = reasons(rules, roots, chosen);
    let glibc = reasons.keys().filter_map(|&id| glibc_of(universe, id)).max();
    let whole: BTreeSet<&str> = reasons.keys().map(|&id| universe.name(id)).collect();
    let mut packages: Vec<PlannedPackage> =
        reasons.into_iter().map(|(id, reason)| planned(universe, id, reason)).collect();
    // Who wants some files of a package that is in as a whole has them.
    for (_, partial) in roots.partial.iter().filter(|(name, _)| !whole.contains(name.as_str())) {
        let reason = root_reason(&partial.runtime, &partial.needs);
        let files = partial.files.clone();
        packages.push(PlannedPackage { files, ..planned(universe, partial.id, reason) });
    }
    packages.sort_by(|left, right| left.nevra.name.cmp(&right.nevra.name));
    let is_used = |source: &Source| packages.iter().any(|package| package.source == source.id);
    TreePlan {
        arch: target.arch,
        dist: target.dist.name.clone(),
        disabled_repositories: Vec::new(),
        enabled_repositories: Vec::new(),
        glibc,
        runtimes: runtimes(universe, roots, chosen),
        sources: target.sources.iter().filter(|source| is_used(source)).cloned().collect(),
        packages,
        container: None,
    }
}

/// The runtimes, each with the version of its own package that was chosen.
fn runtimes(
    universe: &Universe,
    roots: &Roots,
    chosen: &BTreeSet<PackageId>,
) -> Vec<PlannedRuntime> {
    let mut runtimes = roots.runtimes.clone();
    for runtime in &mut runtimes {
        let mut own = roots.rules.iter().filter(|rule| rule.is_own && rule.runtime == runtime.name);
        let chosen = own.next().and_then(|rule| rule.any_of.iter().find(|id| chosen.contains(id)));
        if let Some(&chosen) = chosen {
            universe.evr(chosen).version.clone_into(&mut runtime.version);
        }
    }
    runtimes
}

/// The newest glibc that a package's Requires name: `libc.so.6(GLIBC_2.34)(64bit)`. Where only some
/// of a package's files are taken, its Requires say too much; the audit of the tree proves those.
fn glibc_of(universe: &Universe, id: PackageId) -> Option<GlibcVersion> {
    let requires = universe.package(id).requires.iter();
    let version = |name: &str| {
        let symbol = name.split_once('(')?.1.split_once(')')?.0;
        GlibcVersion::from_symbol_version(symbol)
    };
    requires.filter_map(|relation| version(universe.index.text(relation.name))).max()
}

/// Why each package is in: the shortest way from a runtime, and of several the one through the
/// alphabetically first package.
fn reasons(
    rules: &Rules,
    roots: &Roots,
    chosen: &BTreeSet<PackageId>,
) -> BTreeMap<PackageId, PackageReason> {
    let universe = rules.universe;
    let first_chosen = |any_of: &[PackageId]| any_of.iter().copied().find(|id| chosen.contains(id));
    let mut reasons = BTreeMap::new();
    let mut level = Vec::new();
    for root in &roots.rules {
        let Some(id) = first_chosen(&root.any_of) else { continue };
        reasons.entry(id).or_insert_with(|| {
            level.push(id);
            root_reason(&root.runtime, &root.needs)
        });
    }
    while !level.is_empty() {
        level.sort_by_key(|&id| universe.name(id));
        let mut next = Vec::new();
        for by in level {
            for (needs, any_of) in demands(rules, by, chosen) {
                let Some(id) = first_chosen(&any_of) else { continue };
                reasons.entry(id).or_insert_with(|| {
                    next.push(id);
                    PackageReason { by: universe.name(by).to_owned(), needs }
                });
            }
        }
        level = next;
    }
    reasons
}

/// What a chosen package needs of others, given what is chosen, in the order of its text. Not only
/// Requires: `Conflicts: (a unless b)` needs `b` beside `a`.
fn demands(
    rules: &Rules,
    by: PackageId,
    chosen: &BTreeSet<PackageId>,
) -> Vec<(String, Vec<PackageId>)> {
    let mut demands = Vec::new();
    for rule in rules.of(by).iter().filter(|rule| !rule.any_of.is_empty()) {
        if rule.absent.iter().all(|id| chosen.contains(id)) {
            let text = rules.universe.index.display(&rule.origin.relation());
            demands.push((text, rule.any_of.clone()));
        }
    }
    demands.sort();
    demands
}

fn root_reason(runtime: &str, needs: &str) -> PackageReason {
    PackageReason { by: format!("runtime {runtime}"), needs: needs.to_owned() }
}

fn planned(universe: &Universe, id: PackageId, reason: PackageReason) -> PlannedPackage {
    let (index, package) = (universe.index, universe.package(id));
    let source = index.repositories.get(usize::from(package.repository));
    PlannedPackage {
        nevra: universe.nevra(id),
        source: source.cloned().unwrap_or_default(),
        location: index.location(package).into_owned(),
        size: package.size,
        installed_size: package.installed_size,
        checksum: package.checksum.clone(),
        files: Vec::new(),
        reason,
    }
}
