//! Which of several packages that would do is wished for by what is in the tree already. The rules
//! are libsolv's: what is recommended or supplements something goes before all else, and of what is
//! left that which is suggested or enhances something.

use std::collections::BTreeSet;

use crate::model::{Relation, Weak};

use super::policy;
use super::rich::{self, Expression};
use super::rules::{self, Literal, Rule, Rules};
use super::universe::{PackageId, Providers, Universe};

/// The best candidates of a rule, as far as wishes leave them, in the order in which they are tried.
pub(super) fn candidates(
    rules: &Rules,
    rule: &Rule,
    chosen: &BTreeSet<PackageId>,
) -> Vec<PackageId> {
    let wishes = Wishes { rules, chosen };
    let possible: Vec<PackageId> =
        rule.any_of.iter().copied().filter(|&id| wishes.is_possible(id)).collect();
    let all = if possible.is_empty() { &rule.any_of } else { &possible };
    let best = policy::best(rules.universe, all);
    if best.len() < 2 {
        return best;
    }
    let wished = |id: &PackageId| {
        wishes.is_wished(*id, |weak| &weak.recommends)
            || wishes.is_drawn(*id, |weak| &weak.supplements)
    };
    let suggested = |id: &PackageId| {
        wishes.is_wished(*id, |weak| &weak.suggests) || wishes.is_drawn(*id, |weak| &weak.enhances)
    };
    let kept: Vec<PackageId> = best.iter().copied().filter(wished).collect();
    let kept = if kept.is_empty() { best } else { kept };
    let (mut first, rest): (Vec<_>, Vec<_>) = kept.into_iter().partition(suggested);
    first.extend(rest);
    first
}

/// One kind of weak dependencies.
type Kind = fn(&Weak) -> &[Relation];

/// What the chosen packages wish for.
struct Wishes<'a> {
    rules: &'a Rules<'a>,
    chosen: &'a BTreeSet<PackageId>,
}

impl Wishes<'_> {
    fn universe(&self) -> &Universe<'_> {
        self.rules.universe
    }

    /// Whether nothing speaks against this package at once: that something it needs is nowhere, or
    /// that it and a chosen one exclude each other.
    fn is_possible(&self, id: PackageId) -> bool {
        let name = self.universe().package(id).name;
        let is_other = |other: PackageId| other != id && self.chosen.contains(&other);
        let is_broken = |rule: &Rule| {
            rule.any_of.is_empty() && rule.absent.iter().all(|other| self.chosen.contains(other))
        };
        !self.universe().named(name).any(is_other)
            && !self.rules.of(id).iter().any(is_broken)
            && !self.chosen.iter().any(|&by| {
                let excludes = |rule: &Rule| rule.any_of.is_empty() && rule.absent == [id];
                self.rules.of(by).iter().any(excludes)
            })
    }

    fn relations(&self, id: PackageId, kind: Kind) -> &[Relation] {
        self.universe().package(id).weak.as_deref().map(kind).unwrap_or_default()
    }

    /// Whether a chosen package wishes for this one.
    fn is_wished(&self, id: PackageId, kind: Kind) -> bool {
        let mut wishes = self.chosen.iter().flat_map(|&by| self.relations(by, kind));
        wishes.any(|wish| match self.expression(wish) {
            None => self.universe().providers(wish).packages.contains(&id),
            Some(_) => {
                let clauses = self.rules.clauses(wish, true).unwrap_or_default();
                let holds = |&(other, is_in): &Literal| is_in || self.is_in(other);
                clauses
                    .iter()
                    .any(|clause| clause.contains(&(id, true)) && clause.iter().all(holds))
            }
        })
    }

    /// Whether this package wishes to be beside something that is there.
    fn is_drawn(&self, id: PackageId, kind: Kind) -> bool {
        self.relations(id, kind).iter().any(|wish| match self.expression(wish) {
            None => self.is_there(&self.universe().providers(wish)),
            Some(expression) => self.is_fulfilled(&expression),
        })
    }

    /// A rich dependency's meaning; nothing for a plain one.
    fn expression(&self, relation: &Relation) -> Option<Expression<'_>> {
        let text = self.universe().index.text(relation.name);
        if rich::is_rich(text) { rich::parse(text) } else { None }
    }

    fn is_fulfilled(&self, expression: &Expression) -> bool {
        match expression {
            Expression::And(terms) => terms.iter().all(|term| self.is_fulfilled(term)),
            Expression::Or(terms) => terms.iter().any(|term| self.is_fulfilled(term)),
            Expression::If { then, condition, otherwise } => match self.is_fulfilled(condition) {
                true => self.is_fulfilled(then),
                false => otherwise.as_ref().is_none_or(|it| self.is_fulfilled(it)),
            },
            Expression::Unless { then, condition, otherwise } => {
                match self.is_fulfilled(condition) {
                    true => otherwise.as_ref().is_some_and(|it| self.is_fulfilled(it)),
                    false => self.is_fulfilled(then),
                }
            }
            _ => rules::providers(self.universe(), expression)
                .is_some_and(|providers| self.is_there(&providers)),
        }
    }

    fn is_there(&self, providers: &Providers) -> bool {
        providers.by_host || providers.packages.iter().any(|&id| self.is_in(id))
    }

    /// Whether a package is chosen, or the host's.
    fn is_in(&self, id: PackageId) -> bool {
        self.chosen.contains(&id) || self.universe().is_installed(id)
    }
}
