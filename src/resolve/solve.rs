//! Finds a set of packages that fulfils all rules.

use std::collections::{BTreeSet, HashSet};

use resolvo::{Problem, Solver};

use super::provider::{Provider, is_kept_back};
use super::roots::RootRule;
use super::rules::{Rule, Rules};
use super::universe::PackageId;

/// A set of packages that fulfils the roots and the rules of all its members; `None` when there
/// is none.
///
/// Rules that leave a choice are given to the solver only once a solution has broken them, until
/// a solution breaks none: so a choice is made as late as possible.
pub(super) fn solve(rules: &Rules, roots: &[RootRule]) -> Option<BTreeSet<PackageId>> {
    let mut active = HashSet::new();
    loop {
        let chosen = solve_active(rules, roots, &active)?;
        let known = active.len();
        active.extend(broken(rules, &chosen));
        if active.len() == known {
            return Some(chosen);
        }
    }
}

fn solve_active(
    rules: &Rules,
    roots: &[RootRule],
    active: &HashSet<(PackageId, usize)>,
) -> Option<BTreeSet<PackageId>> {
    let provider = Provider::new(rules, active);
    let requirements = roots.iter().map(|root| provider.requirement(&root.any_of, &[])).collect();
    let mut solver = Solver::new(provider);
    let solution = solver.solve(Problem::new().requirements(requirements)).ok()?;
    Some(solution.into_iter().filter_map(|solvable| solver.provider().package(solvable)).collect())
}

/// The kept-back rules that a set of packages breaks.
fn broken(rules: &Rules, chosen: &BTreeSet<PackageId>) -> Vec<(PackageId, usize)> {
    let mut broken = Vec::new();
    for &id in chosen {
        for (number, rule) in rules.of(id).iter().enumerate() {
            if is_kept_back(rules, rule) && !holds(rule, chosen) {
                broken.push((id, number));
            }
        }
    }
    broken
}

/// Whether a set of packages, with the rule's own in it, fulfils a rule.
pub(super) fn holds(rule: &Rule, chosen: &BTreeSet<PackageId>) -> bool {
    rule.any_of.iter().any(|id| chosen.contains(id))
        || rule.absent.iter().any(|id| !chosen.contains(id))
}
