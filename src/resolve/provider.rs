//! The rules as the solver (`resolvo`) wants to be asked about them.
//!
//! A solvable is a package, or the *absence* of a package, which excludes it: so a rule that
//! "one of these is in, or that one is not" becomes a plain choice. The solver numbers sets of
//! solvables; here set `2i` is solvable `i` alone, and `2i + 1` is everything of its name but it.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Display};

use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    HintDependenciesAvailable, Interner, KnownDependencies, SolvableId, SolverCache, SolverId,
    StringId, VersionSetId, VersionSetUnionId,
};

use crate::model::StrId;

use super::rules::{Rule, Rules};
use super::universe::PackageId;

/// Of the solvables with one name, at most one is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// The packages of this name.
    Package(StrId),
    /// The absence of a package.
    Absence(PackageId),
}

impl SolverId for Name {
    type Map<V: Copy + Default> = HashMap<Self, V>;
    type Set = HashSet<Self>;
}

/// The kept-back rules that the solver is told about, each with the package that is to be tried
/// first, where that is not the best: package and number of the rule → package.
pub(super) type Active = HashMap<(PackageId, usize), Option<PackageId>>;

/// Answers the solver. Rules that leave a choice between packages of different names, or that
/// demand an absence, are kept back until they are `active`.
pub(super) struct Provider<'a> {
    rules: &'a Rules<'a>,
    /// Number of the first absence among the solvables.
    first_absence: u32,
    active: &'a Active,
    unions: RefCell<Vec<Vec<VersionSetId>>>,
}

impl<'a> Provider<'a> {
    /// Answers with `rules`, of the kept-back ones only those `active`.
    pub(super) fn new(rules: &'a Rules<'a>, active: &'a Active) -> Self {
        let first_absence = u32::try_from(rules.universe.index.packages.len()).unwrap_or(u32::MAX);
        Self { rules, first_absence, active, unions: RefCell::default() }
    }

    /// The package that a solvable is, unless it is an absence.
    pub(super) fn package(&self, solvable: SolvableId) -> Option<PackageId> {
        let number = solvable.into_raw();
        (number < self.first_absence).then_some(number)
    }

    /// The demand that one of `any_of` is in or one of `absent` is not.
    pub(super) fn requirement(
        &self,
        any_of: &[PackageId],
        absent: &[PackageId],
    ) -> ConditionalRequirement {
        let absences = absent.iter().map(|&id| id + self.first_absence);
        let solvables = any_of.iter().copied().chain(absences);
        let sets: Vec<VersionSetId> =
            solvables.map(|solvable| VersionSetId(2 * solvable)).collect();
        let mut unions = self.unions.borrow_mut();
        let id = VersionSetUnionId(u32::try_from(unions.len()).unwrap_or(u32::MAX));
        unions.push(sets);
        id.into()
    }

    fn dependencies(&self, id: PackageId) -> KnownDependencies {
        let mut dependencies = KnownDependencies::default();
        for (number, rule) in self.rules.of(id).iter().enumerate() {
            match (rule.any_of.as_slice(), rule.absent.as_slice()) {
                ([], &[other]) => dependencies.constrains.push(all_but(other)),
                (any_of, absent) if is_kept_back(rule) => {
                    let Some(&first) = self.active.get(&(id, number)) else { continue };
                    let any_of: Vec<_> = first.into_iter().chain(any_of.iter().copied()).collect();
                    dependencies.requirements.push(self.requirement(&any_of, absent));
                }
                (any_of, _) => dependencies.requirements.push(self.requirement(any_of, &[])),
            }
        }
        dependencies
    }
}

/// Whether a rule is given to the solver only when a solution without it breaks it: a choice, which
/// may be fulfilled by what is in anyway, and a condition, which may never hold.
pub(super) fn is_kept_back(rule: &Rule) -> bool {
    match rule.absent.len() {
        0 => rule.is_choice,
        1 => !rule.any_of.is_empty(),
        _ => true,
    }
}

/// The set of everything that has a package's name, but not the package itself.
fn all_but(id: PackageId) -> VersionSetId {
    VersionSetId(2 * id + 1)
}

impl Interner for Provider<'_> {
    type NameId = Name;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        Shown(self, solvable)
    }

    fn display_name(&self, name: Name) -> impl Display + '_ {
        match name {
            Name::Package(name) => self.rules.universe.index.text(name),
            Name::Absence(_) => "absence",
        }
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        Shown(self, SolvableId::from_raw(set.0 / 2))
    }

    fn display_string(&self, _: StringId) -> impl Display + '_ {
        ""
    }

    fn version_set_name(&self, set: VersionSetId) -> Name {
        self.solvable_name(SolvableId::from_raw(set.0 / 2))
    }

    fn solvable_name(&self, solvable: SolvableId) -> Name {
        match self.package(solvable) {
            Some(id) => Name::Package(self.rules.universe.package(id).name),
            None => Name::Absence(solvable.into_raw() - self.first_absence),
        }
    }

    fn version_sets_in_union(
        &self,
        union: VersionSetUnionId,
    ) -> impl Iterator<Item = VersionSetId> {
        self.unions.borrow().get(union.0 as usize).cloned().unwrap_or_default().into_iter()
    }

    /// No requirement here has a condition.
    fn resolve_condition(&self, _: ConditionId) -> Condition {
        Condition::Requirement(VersionSetId::default())
    }
}

impl DependencyProvider for Provider<'_> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let named = SolvableId::from_raw(set.0 / 2);
        let is_in_set = |&candidate: &SolvableId| (candidate == named) == set.0.is_multiple_of(2);
        candidates.iter().copied().filter(|candidate| is_in_set(candidate) != inverse).collect()
    }

    async fn get_candidates(&self, name: Name) -> Option<Candidates> {
        let candidates = match name {
            Name::Package(name) => {
                self.rules.universe.named(name).map(SolvableId::from_raw).collect()
            }
            Name::Absence(id) => vec![SolvableId::from_raw(id + self.first_absence)],
        };
        let hint_dependencies_available = HintDependenciesAvailable::All;
        Some(Candidates { candidates, hint_dependencies_available, ..Candidates::default() })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, _: &mut [SolvableId]) {
        // A set has one solvable: the order is that of the sets in a union.
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        Dependencies::Known(match self.solvable_name(solvable) {
            Name::Package(_) => self.dependencies(solvable.into_raw()),
            Name::Absence(id) => {
                KnownDependencies { requirements: Vec::new(), constrains: vec![all_but(id)] }
            }
        })
    }
}

/// A solvable in the solver's traces.
struct Shown<'a>(&'a Provider<'a>, SolvableId);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.solvable_name(self.1) {
            Name::Package(_) => write!(f, "{}", self.0.rules.universe.nevra(self.1.into_raw())),
            Name::Absence(id) => write!(f, "no {}", self.0.rules.universe.nevra(id)),
        }
    }
}
