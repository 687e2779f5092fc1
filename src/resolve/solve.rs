//! Finds a set of packages that fulfils all rules.
//!
//! The solver decides eagerly, dnf's late: what is forced comes first, then what has one best
//! candidate, then one choice after the other, each only if nothing that is in makes it already.
//! So choices and conditions are kept back from the solver until a solution breaks them, and are
//! added one at a time, in libsolv's order, until a solution breaks none.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use resolvo::{Problem, Solver};

use super::provider::{Active, Provider, is_kept_back};
use super::roots::RootRule;
use super::rules::{Rule, Rules};
use super::universe::PackageId;
use super::wishes;

/// A rule: its package, and its number among that package's.
type RuleId = (PackageId, usize);

/// A set of packages that fulfils the roots and the rules of all its members; `None` when there
/// is none.
pub(super) fn solve(rules: &Rules, roots: &[RootRule]) -> Option<BTreeSet<PackageId>> {
    let mut active = Active::new();
    let mut choices = Choices { rules, last: None, has_waited: false };
    let mut reconsidered = HashSet::new();
    loop {
        let chosen = solve_active(rules, roots, &active)?;
        if let Some((rule, first)) = choices.next(&chosen) {
            active.insert(rule, first);
        } else if let Some((rule, other)) = superfluous(rules, &active, &chosen, &reconsidered) {
            reconsidered.insert(rule);
            active.insert(rule, Some(other));
        } else {
            return Some(chosen);
        }
    }
}

fn solve_active(rules: &Rules, roots: &[RootRule], active: &Active) -> Option<BTreeSet<PackageId>> {
    let provider = Provider::new(rules, active);
    let requirements = roots.iter().map(|root| provider.requirement(&root.any_of, &[])).collect();
    let mut solver = Solver::new(provider);
    let solution = solver.solve(Problem::new().requirements(requirements)).ok()?;
    Some(solution.into_iter().filter_map(|solvable| solver.provider().package(solvable)).collect())
}

/// The order in which kept-back rules are added.
struct Choices<'a> {
    rules: &'a Rules<'a>,
    /// The rule that was added last.
    last: Option<Rank<'a>>,
    /// Whether every rule with one best candidate has had its turn.
    has_waited: bool,
}

/// Where libsolv has a rule: later packages first, and a package's rules by their members.
type Rank<'a> = (Reverse<(u16, Cow<'a, str>)>, Vec<Member<'a>>);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Member<'a> {
    Absent(Reverse<(u16, Cow<'a, str>)>),
    Present((u16, Cow<'a, str>)),
}

impl<'a> Choices<'a> {
    /// The rule to add, of those that a set of packages breaks, and the package that is to be tried
    /// first where that is not the best; the search goes on where it stopped.
    fn next(&mut self, chosen: &BTreeSet<PackageId>) -> Option<(RuleId, Option<PackageId>)> {
        let mut broken = Vec::new();
        for &id in chosen {
            for (number, rule) in self.rules.of(id).iter().enumerate() {
                if is_kept_back(rule) && !holds(rule, chosen) {
                    let candidates = wishes::candidates(self.rules, rule, chosen);
                    let first = candidates.first().copied();
                    let first = first.filter(|first| rule.any_of.first() != Some(first));
                    let place = self.place(id, rule);
                    broken.push((place, candidates.len() > 1, (id, number), first));
                }
            }
        }
        if !self.has_waited && broken.iter().all(|(_, is_choice, ..)| *is_choice) {
            (self.has_waited, self.last) = (true, None);
        }
        broken.retain(|(_, is_choice, ..)| self.has_waited || !is_choice);
        broken.sort();
        let is_later = |broken: &(Rank, bool, RuleId, _)| Some(&broken.0) >= self.last.as_ref();
        let position = broken.iter().position(is_later).unwrap_or(0);
        if broken.is_empty() {
            return None;
        }
        let (place, _, rule, first) = broken.swap_remove(position);
        self.last = Some(place);
        Some((rule, first))
    }

    fn place(&self, id: PackageId, rule: &Rule) -> Rank<'a> {
        let place = |&id: &PackageId| self.rules.universe.place(id);
        let absent = rule.absent.iter().map(|id| Member::Absent(Reverse(place(id))));
        let present = rule.any_of.iter().map(|id| Member::Present(place(id)));
        let mut members: Vec<_> = absent.chain(present).collect();
        members.sort();
        (Reverse(place(&id)), members)
    }
}

/// A choice that a package was taken for although another one that is in makes it too, and that
/// other one.
fn superfluous(
    rules: &Rules,
    active: &Active,
    chosen: &BTreeSet<PackageId>,
    reconsidered: &HashSet<RuleId>,
) -> Option<(RuleId, PackageId)> {
    let mut open: Vec<RuleId> =
        active.keys().copied().filter(|id| chosen.contains(&id.0)).collect();
    open.sort_by_key(|&(id, number)| (rules.universe.place(id), number));
    open.into_iter().filter(|rule| !reconsidered.contains(rule)).find_map(|id| {
        let rules = rules.of(id.0);
        let mut taken = rules.get(id.1)?.any_of.iter().filter(|id| chosen.contains(id));
        taken.next()?;
        Some((id, *taken.next()?))
    })
}

/// Whether a set of packages, with the rule's own in it, fulfils a rule.
fn holds(rule: &Rule, chosen: &BTreeSet<PackageId>) -> bool {
    rule.any_of.iter().any(|id| chosen.contains(id))
        || rule.absent.iter().any(|id| !chosen.contains(id))
}
