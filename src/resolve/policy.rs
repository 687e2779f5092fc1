//! Which of several candidates is tried first. The order is libsolv's, so that a choice between
//! equals falls as dnf's does.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Comparison, EvrRef, NameHash};

use super::universe::{PackageId, Universe};

/// Puts candidates into the order in which they are tried: the best of the most preferred
/// repositories, then what would be best without those, and so on.
pub(super) fn order(universe: &Universe, mut candidates: Vec<PackageId>) -> Vec<PackageId> {
    let mut ordered = Vec::with_capacity(candidates.len());
    while candidates.len() > 1 {
        let round = best(universe, &candidates);
        candidates.retain(|candidate| !round.contains(candidate));
        ordered.extend(round);
    }
    ordered.extend(candidates);
    ordered
}

/// The best candidates: those of the most preferred repository, of each name the newest, and
/// none that another of them obsoletes. In the order in which they are tried.
pub(super) fn best(universe: &Universe, candidates: &[PackageId]) -> Vec<PackageId> {
    let Some(priority) = candidates.iter().map(|&id| universe.priority(id)).min() else {
        return Vec::new();
    };
    let mut by_name: BTreeMap<&str, PackageId> = BTreeMap::new();
    for &id in candidates.iter().filter(|&&id| universe.priority(id) == priority) {
        let newest = by_name.entry(universe.name(id)).or_insert(id);
        if is_better(universe, id, *newest) {
            *newest = id;
        }
    }
    let mut best = without_obsoleted(universe, by_name.into_values().collect());
    if best.len() > 1 {
        let behind = behind_in_common_provides(universe, &best);
        best.sort_by_cached_key(|&id| (behind.get(&id).copied(), is_outdated(universe, id)));
    }
    best
}

/// Whether `left` goes before `right`, which has the same name: newer, or from a repository that
/// costs less or is an earlier one.
fn is_better(universe: &Universe, left: PackageId, right: PackageId) -> bool {
    let key = |id| universe.package(id);
    universe
        .evr(left)
        .cmp(&universe.evr(right))
        .then_with(|| universe.cost(right).cmp(&universe.cost(left)))
        .then_with(|| key(right).repository.cmp(&key(left).repository))
        .then_with(|| right.cmp(&left))
        .is_gt()
}

/// Drops what others obsolete. Where two obsolete each other both stay.
fn without_obsoleted(universe: &Universe, candidates: Vec<PackageId>) -> Vec<PackageId> {
    let obsoletes = |by: PackageId, which: PackageId| {
        let listed = universe.package(by).obsoletes.iter();
        listed.filter(|relation| relation.name == universe.package(which).name).any(|relation| {
            universe.package(by).name != universe.package(which).name
                && universe.obsoleted(relation).contains(&which)
        })
    };
    let stays =
        |&id: &PackageId| candidates.iter().all(|&by| !obsoletes(by, id) || obsoletes(id, by));
    candidates.iter().copied().filter(stays).collect()
}

/// Whether a package of the same name is preferred to this one: newer, or of a preferred
/// repository. Those that modules hide count, as for libdnf.
fn is_outdated(universe: &Universe, id: PackageId) -> bool {
    let (package, priority) = (universe.package(id), universe.priority(id));
    let all = universe.named(package.name).chain(universe.hidden_named(package.name));
    all.into_iter().any(|other| {
        let same_arch = universe.package(other).arch == package.arch;
        match universe.priority(other).cmp(&priority) {
            _ if !same_arch || other == id => false,
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => universe.evr(other) > universe.evr(id),
            std::cmp::Ordering::Greater => false,
        }
    })
}

/// How often each candidate provides an older version of a capability than another candidate.
fn behind_in_common_provides(
    universe: &Universe,
    candidates: &[PackageId],
) -> HashMap<PackageId, usize> {
    let mut versions: HashMap<NameHash, Vec<(PackageId, EvrRef<'_>, bool)>> = HashMap::new();
    for &id in candidates {
        for provide in &universe.package(id).provides {
            let Some(evr) = provide.evr.map(|evr| universe.index.text(evr)) else { continue };
            let counts = match provide.comparison {
                Comparison::Equal => !is_hash(evr),
                Comparison::Less | Comparison::LessOrEqual => true,
                _ => false,
            };
            if counts {
                let below = provide.comparison == Comparison::Less;
                versions.entry(provide.name).or_default().push((id, EvrRef::parse(evr), below));
            }
        }
    }
    let mut behind: HashMap<PackageId, usize> = candidates.iter().map(|&id| (id, 0)).collect();
    for mut versions in versions.into_values() {
        let order = |left: &(_, EvrRef<'_>, bool), right: &(_, EvrRef<'_>, bool)| {
            right.1.compare_in_dependency(&left.1).then_with(|| left.2.cmp(&right.2))
        };
        versions.sort_by(order);
        let mut steps = 0;
        for pair in versions.windows(2) {
            let [newer, older] = pair else { continue };
            steps += usize::from(newer.0 != older.0 && order(newer, older).is_lt());
            *behind.entry(older.0).or_default() += steps;
        }
    }
    behind
}

/// Whether a provided version is a digest, whose order says nothing.
fn is_hash(evr: &str) -> bool {
    evr.len() >= 4 && evr.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
