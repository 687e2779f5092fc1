//! A package's dependencies as rules: each names packages of which one must be in, or packages
//! of which one must not be in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::model::Relation;

use super::policy;
use super::rich::{self, Expression};
use super::universe::{PackageId, Providers, Universe};

/// How many rules, with how many packages in all, one dependency may become.
const MAX_WORK: usize = 50_000;

/// What a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Requires.
    Requires(Relation),
    /// Conflicts.
    Conflicts(Relation),
    /// Obsoletes.
    Obsoletes(Relation),
}

impl Origin {
    /// The dependency itself.
    pub(super) fn relation(self) -> Relation {
        match self {
            Self::Requires(relation) | Self::Conflicts(relation) | Self::Obsoletes(relation) => {
                relation
            }
        }
    }
}

/// Where the package that it belongs to is in, one of `any_of` must be in or one of `absent`
/// must not be. The host's packages stand in neither.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) origin: Origin,
    /// Best first.
    pub(super) any_of: Vec<PackageId>,
    pub(super) absent: Vec<PackageId>,
    /// Whether the best candidates have several names, so that there is a choice between them.
    pub(super) is_choice: bool,
}

/// The rules of every package, made when they are asked for.
pub(super) struct Rules<'a> {
    pub(super) universe: &'a Universe<'a>,
    known: RefCell<HashMap<PackageId, Rc<[Rule]>>>,
}

impl<'a> Rules<'a> {
    /// Rules for the packages of `universe`.
    pub(super) fn new(universe: &'a Universe<'a>) -> Self {
        Self { universe, known: RefCell::default() }
    }

    /// The rules of a package: its Requires in their order, then Conflicts, then Obsoletes.
    pub(super) fn of(&self, id: PackageId) -> Rc<[Rule]> {
        if let Some(known) = self.known.borrow().get(&id) {
            return Rc::clone(known);
        }
        let rules: Rc<[Rule]> = self.make(id).into();
        self.known.borrow_mut().insert(id, Rc::clone(&rules));
        rules
    }

    fn make(&self, id: PackageId) -> Vec<Rule> {
        let package = self.universe.package(id);
        let mut rules = Vec::new();
        let followed = package.requires.iter().filter(|it| self.universe.follows(id, it));
        for &relation in followed {
            let clauses = self.clauses(&relation, true).unwrap_or_else(|| vec![Vec::new()]);
            rules.extend(self.rules(id, Origin::Requires(relation), clauses));
        }
        for &relation in &package.conflicts {
            let clauses = self.clauses(&relation, false).unwrap_or_default();
            // A package may conflict with itself, and with what the host gives: that is not in the
            // tree. A rich conflict that nothing can avoid keeps the package out.
            let is_rich = rich::is_rich(self.universe.index.text(relation.name));
            let inside = clauses.into_iter().filter(|clause| match clause.as_slice() {
                [] => is_rich,
                clause => clause.iter().any(|&(other, _)| other != id),
            });
            rules.extend(self.rules(id, Origin::Conflicts(relation), inside.collect()));
        }
        for &relation in &package.obsoletes {
            let others = self.universe.obsoleted(&relation).into_iter().filter(|&other| {
                self.universe.package(other).name != package.name
                    && !self.universe.is_installed(other)
            });
            let clauses = others.map(|other| vec![(other, false)]).collect();
            rules.extend(self.rules(id, Origin::Obsoletes(relation), clauses));
        }
        rules
    }

    /// Turns clauses into the rules of package `id`, without those that it fulfils by itself.
    fn rules(&self, id: PackageId, origin: Origin, clauses: Vec<Clause>) -> Vec<Rule> {
        let fulfilled = |clause: &Clause| clause.contains(&(id, true));
        let rule = |clause: Clause| {
            let (any_of, absent): (Vec<_>, Vec<_>) =
                clause.into_iter().filter(|&(package, _)| package != id).partition(|l| l.1);
            let packages = |literals: Vec<Literal>| literals.into_iter().map(|l| l.0).collect();
            let any_of: Vec<PackageId> = packages(any_of);
            let is_choice = policy::best(self.universe, &any_of).len() > 1;
            let any_of = policy::order(self.universe, any_of);
            Rule { origin, any_of, absent: packages(absent), is_choice }
        };
        clauses.into_iter().filter(|clause| !fulfilled(clause)).map(rule).collect()
    }

    /// What a relation demands (`wanted`) or forbids; `None` when it cannot be understood.
    pub(super) fn clauses(&self, relation: &Relation, wanted: bool) -> Option<Vec<Clause>> {
        let text = self.universe.index.text(relation.name);
        if rich::is_rich(text) {
            let mut maker = ClauseMaker { universe: self.universe, work: 0 };
            return maker.clauses(&rich::parse(text)?, wanted);
        }
        Some(of_providers(self.universe, &self.universe.providers(relation), wanted))
    }
}

/// A package that is in (`true`) or not in.
pub(super) type Literal = (PackageId, bool);

/// Literals of which one must hold. A list of clauses must hold as a whole: the empty list always
/// does, a list with an empty clause never.
pub(super) type Clause = Vec<Literal>;

/// What it takes that a capability is there (`wanted`), or is not.
fn of_providers(universe: &Universe, providers: &Providers, wanted: bool) -> Vec<Clause> {
    let is_installed = |&id: &PackageId| universe.is_installed(id);
    let is_given = providers.by_host || providers.packages.iter().any(is_installed);
    let literals = providers.packages.iter().map(|&id| (id, wanted));
    match (is_given, wanted) {
        (true, true) => Vec::new(),
        (true, false) => vec![Vec::new()],
        (false, true) => vec![literals.collect()],
        (false, false) => literals.map(|literal| vec![literal]).collect(),
    }
}

/// Brings rich dependencies into conjunctive normal form.
struct ClauseMaker<'a> {
    universe: &'a Universe<'a>,
    work: usize,
}

impl ClauseMaker<'_> {
    /// The clauses that say that `expression` is `wanted`; `None` when they are too many.
    fn clauses(&mut self, expression: &Expression, wanted: bool) -> Option<Vec<Clause>> {
        match expression {
            Expression::And(terms) => self.join(terms, wanted, wanted),
            Expression::Or(terms) => self.join(terms, wanted, !wanted),
            Expression::If { then, condition, otherwise } => {
                // (then or not condition) and (otherwise or condition)
                let parts = [(&**then, wanted), (&**condition, !wanted)];
                let implied = self.combine(&parts, !wanted)?;
                let Some(otherwise) = otherwise else { return Some(implied) };
                let parts = [(&**otherwise, wanted), (&**condition, wanted)];
                let rest = self.combine(&parts, !wanted)?;
                self.both(implied, rest, wanted)
            }
            Expression::Unless { then, condition, otherwise } => {
                // (then and not condition) or (otherwise and condition)
                let parts = [(&**then, wanted), (&**condition, !wanted)];
                let plain = self.combine(&parts, wanted)?;
                let Some(otherwise) = otherwise else { return Some(plain) };
                let parts = [(&**otherwise, wanted), (&**condition, wanted)];
                let rest = self.combine(&parts, wanted)?;
                self.both(plain, rest, !wanted)
            }
            _ => {
                let providers = providers(self.universe, expression)?;
                self.spend(1 + providers.packages.len())?;
                Some(of_providers(self.universe, &providers, wanted))
            }
        }
    }

    fn join(&mut self, terms: &[Expression], wanted: bool, all: bool) -> Option<Vec<Clause>> {
        let parts: Vec<_> = terms.iter().map(|term| (term, wanted)).collect();
        self.combine(&parts, all)
    }

    /// The clauses that say that all parts hold, or that one of them does.
    fn combine(&mut self, parts: &[(&Expression, bool)], all: bool) -> Option<Vec<Clause>> {
        let mut combined = if all { Vec::new() } else { vec![Vec::new()] };
        for &(part, wanted) in parts {
            let clauses = self.clauses(part, wanted)?;
            combined = self.both(combined, clauses, all)?;
        }
        Some(combined)
    }

    /// The clauses that say that both sides hold (`all`), or that one of them does.
    fn both(
        &mut self,
        mut left: Vec<Clause>,
        right: Vec<Clause>,
        all: bool,
    ) -> Option<Vec<Clause>> {
        if all {
            left.extend(right);
            return Some(left);
        }
        let mut products = Vec::new();
        for one in &left {
            for other in &right {
                self.spend(1 + one.len() + other.len())?;
                let mut product: Clause = one.iter().chain(other).copied().collect();
                product.sort_unstable();
                product.dedup();
                let is_always_true = |&(id, is_in): &Literal| is_in && one_of(&product, id, false);
                if !product.iter().any(is_always_true) {
                    products.push(product);
                }
            }
        }
        Some(products)
    }

    fn spend(&mut self, work: usize) -> Option<()> {
        self.work += work;
        (self.work <= MAX_WORK).then_some(())
    }
}

/// The packages that an expression about single packages means.
pub(super) fn providers(universe: &Universe, expression: &Expression) -> Option<Providers> {
    match expression {
        Expression::Capability { name, comparison, evr } => {
            Some(universe.find(name, *comparison, *evr))
        }
        Expression::Or(terms) => {
            let mut union = Providers::default();
            for term in terms {
                let term = providers(universe, term)?;
                union.by_host |= term.by_host;
                union.packages.extend(term.packages);
            }
            Some(union)
        }
        Expression::With(terms) => {
            let (first, others) = terms.split_first()?;
            let mut all = providers(universe, first)?;
            for other in others {
                let other = providers(universe, other)?;
                all.by_host &= other.by_host;
                all.packages.retain(|id| other.packages.contains(id));
            }
            Some(all)
        }
        Expression::Without(terms) => {
            let [mut first, second] =
                [providers(universe, &terms[0])?, providers(universe, &terms[1])?];
            first.by_host &= !second.by_host;
            first.packages.retain(|id| !second.packages.contains(id));
            Some(first)
        }
        _ => None,
    }
}

/// Whether a sorted clause holds a literal.
fn one_of(clause: &[Literal], id: PackageId, is_in: bool) -> bool {
    clause.binary_search(&(id, is_in)).is_ok()
}
