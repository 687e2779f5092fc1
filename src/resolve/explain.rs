//! Why there is no solution, in terms of packages: what a chain of requirements lacks, or which
//! two packages exclude each other.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::model::{NameHash, escape};

use super::error::{ChainLink, ResolveError};
use super::roots::RootRule;
use super::rules::{Origin, Rule, Rules};
use super::universe::PackageId;

/// The error for roots that cannot be fulfilled.
pub(super) fn explain(rules: &Rules, roots: &[RootRule]) -> ResolveError {
    let dead = dead(rules, roots);
    for root in roots {
        if let [first, ..] = root.any_of.as_slice()
            && root.any_of.iter().all(|id| dead.contains_key(id))
        {
            return missing(rules, *first, &dead);
        }
    }
    let walk = Walk { rules, dead: &dead, needed: BTreeMap::new(), excluded: BTreeMap::new() };
    walk.run(roots).unwrap_or_else(|| ResolveError::Contradiction {
        runtimes: roots.iter().map(|root| root.needs.clone()).collect(),
    })
}

/// The packages that cannot be in whatever else is, each with the number of the rule that says
/// so: one that nothing satisfies, or only packages that were found before it.
fn dead(rules: &Rules, roots: &[RootRule]) -> HashMap<PackageId, usize> {
    let reachable = reachable(rules, roots);
    let mut dead = HashMap::new();
    loop {
        let known = dead.len();
        for &id in &reachable {
            if !dead.contains_key(&id) {
                let fails = |rule: &Rule| {
                    rule.absent.is_empty() && rule.any_of.iter().all(|id| dead.contains_key(id))
                };
                if let Some(number) = rules.of(id).iter().position(fails) {
                    dead.insert(id, number);
                }
            }
        }
        if dead.len() == known {
            return dead;
        }
    }
}

/// Every package that some choice could bring in.
fn reachable(rules: &Rules, roots: &[RootRule]) -> BTreeSet<PackageId> {
    let mut reachable = BTreeSet::new();
    let mut queue: VecDeque<PackageId> =
        roots.iter().flat_map(|root| root.any_of.iter().copied()).collect();
    while let Some(id) = queue.pop_front() {
        if reachable.insert(id) {
            queue.extend(rules.of(id).iter().flat_map(|rule| rule.any_of.iter().copied()));
        }
    }
    reachable
}

/// The way from `id` to what nothing provides.
fn missing(rules: &Rules, mut id: PackageId, dead: &HashMap<PackageId, usize>) -> ResolveError {
    let universe = rules.universe;
    let mut needed = Vec::new();
    let (mut held, mut hidden) = (Vec::new(), Box::default());
    while let Some(rule) = dead.get(&id).and_then(|&number| rules.of(id).get(number).cloned()) {
        let relation = rule.origin.relation();
        let needs = universe.index.display(&relation);
        needed.push(ChainLink { by: universe.nevra(id).to_string(), needs });
        match rule.any_of.first() {
            Some(&next) => id = next,
            None => {
                let name = NameHash::of(universe.index.text(relation.name));
                held = near(rules, name);
                hidden = universe.hidden(|package| package.has(name));
                break;
            }
        }
    }
    ResolveError::Missing { needed, repositories: universe.repositories(), held, hidden }
}

/// Packages that provide a capability in another version.
fn near(rules: &Rules, name: NameHash) -> Vec<String> {
    let universe = rules.universe;
    let names: BTreeSet<String> =
        universe.visible_with(name).map(|id| universe.nevra(id).to_string()).collect();
    names.into_iter().take(3).collect()
}

/// What keeps a package out.
#[derive(Clone, Copy)]
enum Exclusion {
    /// A rule of a package that is needed.
    Rule(PackageId, Origin),
    /// Another package of its name is needed.
    SameName(PackageId),
}

/// Something that is demanded: one of `any_of`, as long as all of `absent` are in.
struct Demand {
    by: Option<PackageId>,
    link: ChainLink,
    any_of: Vec<PackageId>,
    absent: Vec<PackageId>,
}

/// Follows what the roots force, and after that the first choice everywhere, until two packages
/// exclude each other.
struct Walk<'a> {
    rules: &'a Rules<'a>,
    dead: &'a HashMap<PackageId, usize>,
    /// Each package that is in, with the package that brought it, if any, and what for.
    needed: BTreeMap<PackageId, (Option<PackageId>, ChainLink)>,
    excluded: BTreeMap<PackageId, Exclusion>,
}

impl Walk<'_> {
    fn run(mut self, roots: &[RootRule]) -> Option<ResolveError> {
        let demand = |root: &RootRule| Demand {
            by: None,
            link: ChainLink { by: format!("runtime {}", root.runtime), needs: root.needs.clone() },
            any_of: root.any_of.clone(),
            absent: Vec::new(),
        };
        let mut open: Vec<Demand> = roots.iter().map(demand).collect();
        while !open.is_empty() {
            let (number, candidate) = match self.next(&open) {
                Ok(next) => next?,
                Err(number) => return self.clash(open.get(number)?),
            };
            let demand = open.remove(number);
            open.extend(self.add(candidate, demand));
            open.retain(|demand| !self.is_fulfilled(demand));
        }
        None
    }

    /// The next demand and the package that is taken for it: one without a choice if there is
    /// one. As an error, the demand that cannot be fulfilled.
    fn next(&self, open: &[Demand]) -> Result<Option<(usize, PackageId)>, usize> {
        let mut next = None;
        let mut fewest = usize::MAX;
        for (number, demand) in open.iter().enumerate() {
            if demand.absent.iter().any(|id| !self.needed.contains_key(id)) {
                continue;
            }
            let live: Vec<_> = demand.any_of.iter().filter(|id| self.is_possible(id)).collect();
            let Some(&&first) = live.first() else { return Err(number) };
            if live.len() < fewest {
                (next, fewest) = (Some((number, first)), live.len());
            }
        }
        Ok(next)
    }

    fn is_possible(&self, id: &PackageId) -> bool {
        !self.dead.contains_key(id) && !self.excluded.contains_key(id)
    }

    fn is_fulfilled(&self, demand: &Demand) -> bool {
        demand.any_of.iter().any(|id| self.needed.contains_key(id))
            || demand.absent.iter().any(|id| self.excluded.contains_key(id))
    }

    /// Takes a package in for a demand: what it excludes, and what it demands itself.
    fn add(&mut self, id: PackageId, Demand { by, link, .. }: Demand) -> Vec<Demand> {
        let universe = self.rules.universe;
        self.needed.insert(id, (by, link));
        for other in universe.named(universe.package(id).name).filter(|&other| other != id) {
            self.excluded.entry(other).or_insert(Exclusion::SameName(id));
        }
        let mut demands = Vec::new();
        for rule in self.rules.of(id).iter() {
            match (rule.any_of.as_slice(), rule.absent.as_slice()) {
                ([], &[other]) if !self.needed.contains_key(&other) => {
                    self.excluded.entry(other).or_insert(Exclusion::Rule(id, rule.origin));
                }
                (any_of, absent) => demands.push(Demand {
                    by: Some(id),
                    link: ChainLink {
                        by: universe.nevra(id).to_string(),
                        needs: universe.index.display(&rule.origin.relation()),
                    },
                    any_of: any_of.to_vec(),
                    absent: absent.to_vec(),
                }),
            }
        }
        demands
    }

    /// The error for a demand that the packages that are in do not let be fulfilled.
    fn clash(&self, demand: &Demand) -> Option<ResolveError> {
        let excluded = |id: &PackageId| Some((*id, *self.excluded.get(id)?));
        let (first, first_needed, second, why) = match demand.any_of.iter().find_map(excluded) {
            Some((id, exclusion)) => {
                let mut needed = self.chain(demand.by);
                needed.push(demand.link.clone());
                let (other, why) = self.cause(id, exclusion);
                (id, needed, other, why)
            }
            None => {
                let (by, other) = (demand.by?, *demand.absent.last()?);
                let why = self.says(by, "conflicts with", &demand.link.needs);
                (by, self.chain(Some(by)), other, why)
            }
        };
        let universe = self.rules.universe;
        Some(ResolveError::Excluded {
            first: universe.nevra(first).to_string(),
            first_needed: without_runtime(first_needed),
            second: universe.nevra(second).to_string(),
            second_needed: without_runtime(self.chain(Some(second))),
            why,
        })
    }

    /// The package that keeps `id` out, and how.
    fn cause(&self, id: PackageId, exclusion: Exclusion) -> (PackageId, String) {
        let universe = self.rules.universe;
        match exclusion {
            Exclusion::SameName(other) => {
                (other, format!("a tree holds one version of {}", universe.name(id)))
            }
            Exclusion::Rule(other, origin) => {
                let verb = match origin {
                    Origin::Requires(_) => "forbids",
                    Origin::Conflicts(_) => "conflicts with",
                    Origin::Obsoletes(_) => "obsoletes",
                };
                let what = universe.index.display(&origin.relation());
                (other, self.says(other, verb, &what))
            }
        }
    }

    fn says(&self, id: PackageId, verb: &str, what: &str) -> String {
        let what = escape(what);
        format!("{} {verb} {what}", self.rules.universe.nevra(id))
    }

    /// The way from the roots to a package that is in.
    fn chain(&self, id: Option<PackageId>) -> Vec<ChainLink> {
        let mut links = Vec::new();
        let mut next = id;
        while let Some((by, link)) = next.and_then(|id| self.needed.get(&id)) {
            links.push(link.clone());
            next = *by;
        }
        links.reverse();
        links
    }
}

/// A chain without its first link, which names the runtime, where the next says as much.
fn without_runtime(mut chain: Vec<ChainLink>) -> Box<[ChainLink]> {
    if chain.len() > 1 {
        chain.remove(0);
    }
    chain.into()
}
