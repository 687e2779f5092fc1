//! Which packages there are to choose from, and which of them provide a capability.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::model::{
    Comparison, EvrRef, HostGives, Index, LOCAL, NameHash, Nevra, Package, Relation, StrId,
};

use super::capability::{Bound, glob, is_library};
use super::modules::Hiding;
use super::{HiddenPackage, Target};

/// A package, by its position in [`Index::packages`].
pub(super) type PackageId = u32;

/// What satisfies a capability.
#[derive(Clone, Debug, Default)]
pub(super) struct Providers {
    /// Whether the host gives it, whoever provides it.
    pub(super) by_host: bool,
    /// The packages that provide it, the host's among them, in no order.
    pub(super) packages: Vec<PackageId>,
}

/// The packages of an index as one target sees them.
pub(super) struct Universe<'a> {
    pub(super) index: &'a Index,
    /// Priority and cost of each repository; smaller is preferred.
    preferences: Vec<(u8, u32)>,
    /// Whether a package counts as installed on the host: never chosen, its capabilities given.
    installed: Vec<bool>,
    /// Capability or listed file → the visible packages that provide it.
    capabilities: Table,
    /// Name → the visible packages.
    names: Table,
    /// Name → the packages that modules hide.
    hidden_names: Table,
    hiding: Hiding,
    host: &'a HostGives,
    /// The names of packages of which only libraries are followed.
    libraries_only: HashSet<&'a str>,
    providers: RefCell<HashMap<Relation, Rc<Providers>>>,
}

impl<'a> Universe<'a> {
    /// Everything in `index` that is not hidden, is of the target's architecture, and is let in
    /// by its repository's definition.
    pub(super) fn new(index: &'a Index, target: &Target<'a>, hiding: Hiding) -> Self {
        let (hidden, visible): (Vec<_>, Vec<_>) =
            let_in(index, target).into_iter().partition(|&id| hiding.is_hidden(id as usize));
        Self {
            index,
            preferences: preferences(index, target),
            installed: installed(index, target),
            capabilities: Table::new(index, &visible, |package, put| {
                let names = package.provides.iter().map(|provide| provide.name);
                let names = names.chain(package.files.iter().copied());
                // What nobody ever names is of no interest.
                names.filter_map(|name| index.strings.named(name)).for_each(put);
            }),
            names: Table::new(index, &visible, |package, put| put(package.name)),
            hidden_names: Table::new(index, &hidden, |package, put| put(package.name)),
            hiding,
            host: target.host,
            libraries_only: target
                .runtimes
                .iter()
                .flat_map(|wanted| &wanted.runtime.libraries_only)
                .map(String::as_str)
                .collect(),
            providers: RefCell::default(),
        }
    }

    /// The package with this id.
    pub(super) fn package(&self, id: PackageId) -> &'a Package {
        &self.index.packages[id as usize]
    }

    /// A package's name.
    pub(super) fn name(&self, id: PackageId) -> &'a str {
        self.index.text(self.package(id).name)
    }

    /// A package's epoch, version and release.
    pub(super) fn evr(&self, id: PackageId) -> EvrRef<'a> {
        self.index.evr(self.package(id))
    }

    /// A package's full name.
    pub(super) fn nevra(&self, id: PackageId) -> Nevra {
        let package = self.package(id);
        Nevra {
            name: self.index.text(package.name).to_owned(),
            evr: self.index.evr(package).into(),
            arch: self.index.text(package.arch).to_owned(),
        }
    }

    /// Whether what a package requires is followed: of some only libraries are.
    pub(super) fn follows(&self, id: PackageId, relation: &Relation) -> bool {
        is_library(self.index.text(relation.name)) || !self.libraries_only.contains(self.name(id))
    }

    /// Priority of a package's repository; smaller is preferred.
    pub(super) fn priority(&self, id: PackageId) -> u8 {
        self.preference(id).0
    }

    /// Cost of a package's repository; smaller is preferred.
    pub(super) fn cost(&self, id: PackageId) -> u32 {
        self.preference(id).1
    }

    fn preference(&self, id: PackageId) -> (u8, u32) {
        let known = self.preferences.get(usize::from(self.package(id).repository));
        known.copied().unwrap_or((u8::MAX, u32::MAX))
    }

    /// Whether a package counts as installed on the host.
    pub(super) fn is_installed(&self, id: PackageId) -> bool {
        self.installed.get(id as usize).copied().unwrap_or(false)
    }

    /// The visible packages of this name.
    pub(super) fn named(&self, name: StrId) -> impl Iterator<Item = PackageId> {
        self.names.under(name).iter().copied()
    }

    /// The packages of this name that modules hide.
    pub(super) fn hidden_named(&self, name: StrId) -> impl Iterator<Item = PackageId> {
        self.hidden_names.under(name).iter().copied()
    }

    /// Who satisfies a relation that is no rich dependency.
    pub(super) fn providers(&self, relation: &Relation) -> Rc<Providers> {
        if let Some(known) = self.providers.borrow().get(relation) {
            return Rc::clone(known);
        }
        let name = self.index.text(relation.name);
        let evr = relation.evr.map(|evr| self.index.text(evr));
        let found = Rc::new(self.find(name, relation.comparison, evr));
        self.providers.borrow_mut().insert(*relation, Rc::clone(&found));
        found
    }

    /// Who satisfies `name comparison evr`.
    pub(super) fn find(&self, name: &str, how: Comparison, evr: Option<&str>) -> Providers {
        let bound = Bound::new(how, evr);
        let hash = NameHash::of(name);
        let meets = |&package: &PackageId| self.provides(package, hash, bound.as_ref());
        let mut packages: Vec<PackageId> = match self.index.strings.find(name) {
            Some(id) => self.capabilities.under(id).iter().copied().filter(meets).collect(),
            // No package names it, only a definition does.
            None => self.visible_with(hash).filter(meets).collect(),
        };
        packages.dedup();
        Providers { by_host: self.host_gives(name), packages }
    }

    /// The visible packages that provide something of this name in any version.
    pub(super) fn visible_with(&self, name: NameHash) -> impl Iterator<Item = PackageId> {
        self.names.packages.iter().copied().filter(move |&id| self.package(id).has(name))
    }

    /// The packages that a relation names, whatever others provide: what Obsoletes means.
    pub(super) fn obsoleted(&self, relation: &Relation) -> Vec<PackageId> {
        let evr = relation.evr.map(|evr| self.index.text(evr));
        let bound = Bound::new(relation.comparison, evr);
        let means = |id: &PackageId| match &bound {
            Some(bound) => Bound::exactly(self.evr(*id)).meets(bound),
            None => true,
        };
        self.named(relation.name).filter(means).collect()
    }

    /// The packages, none of the host's, that obsolete one of these.
    pub(super) fn obsoleting(&self, packages: &[PackageId]) -> Vec<PackageId> {
        let is_hit = |relation: &Relation| {
            let obsoleted = self.obsoleted(relation);
            obsoleted.iter().any(|id| packages.contains(id))
        };
        let names: HashSet<StrId> = packages.iter().map(|&id| self.package(id).name).collect();
        let obsoletes = |id: &PackageId| {
            let package = self.package(*id);
            let mut listed = package.obsoletes.iter().filter(|it| names.contains(&it.name));
            !names.contains(&package.name) && !self.is_installed(*id) && listed.any(is_hit)
        };
        self.names.packages.iter().copied().filter(obsoletes).collect()
    }

    /// Whether a package's provides or files satisfy a capability.
    fn provides(&self, id: PackageId, name: NameHash, wanted: Option<&Bound>) -> bool {
        let Some(wanted) = wanted else { return true };
        let package = self.package(id);
        package.provides.iter().filter(|provide| provide.name == name).any(|provide| {
            let evr = provide.evr.map(|evr| self.index.text(evr));
            // A capability without a version satisfies every version.
            Bound::new(provide.comparison, evr).is_none_or(|provided| provided.meets(wanted))
        })
    }

    /// Whether the host gives a capability by itself, without a package of the index.
    fn host_gives(&self, name: &str) -> bool {
        let soname = name.split_once('(').map_or(name, |(soname, _)| soname);
        name.starts_with("rpmlib(")
            || self.host.capabilities.iter().any(|pattern| glob(pattern, name))
            || self.host.libraries.iter().any(|library| glob(library, soname))
            || (self.host.packages.iter().any(|package| package == name)
                && self.index.strings.find(name).is_none_or(|id| self.named(id).next().is_none()))
    }

    /// Where a package stands in the repositories' metadata, which lists packages by path.
    pub(super) fn place(&self, id: PackageId) -> (u16, Cow<'a, str>) {
        let package = self.package(id);
        (package.repository, self.index.location(package))
    }

    /// Packages that modules hide, of those that are meant: the newest of them.
    pub(super) fn hidden(&self, is_meant: impl Fn(&Package) -> bool) -> Box<[HiddenPackage]> {
        const MOST: usize = 3;
        let all = self.hidden_names.packages.iter().copied();
        let mut hidden: Vec<PackageId> = all.filter(|&id| is_meant(self.package(id))).collect();
        hidden.sort_by(|&left, &right| self.evr(right).cmp(&self.evr(left)));
        let named = |id| self.hiding.hidden(self.index, id as usize);
        hidden.into_iter().filter_map(named).take(MOST).collect()
    }

    /// The repositories, as a message lists them.
    pub(super) fn repositories(&self) -> Vec<String> {
        self.index.repositories.iter().filter(|id| *id != LOCAL).cloned().collect()
    }
}

/// String → packages: all lists one after the other, and where each begins.
struct Table {
    starts: Vec<u32>,
    packages: Vec<PackageId>,
}

impl Table {
    /// The table of `packages` under the strings that `keys` puts for each.
    fn new(
        index: &Index,
        packages: &[PackageId],
        keys: impl Fn(&Package, &mut dyn FnMut(StrId)),
    ) -> Self {
        if packages.is_empty() {
            return Self { starts: Vec::new(), packages: Vec::new() };
        }
        let mut entries = Vec::new();
        for &id in packages {
            if let Some(package) = index.packages.get(id as usize) {
                keys(package, &mut |key| entries.push((key, id)));
            }
        }
        let mut ends = vec![0_u32; index.strings.len() + 1];
        entries.iter().for_each(|(key, _)| ends[key.number() + 1] += 1);
        let mut total = 0;
        for end in &mut ends {
            total += *end;
            *end = total;
        }
        let mut next = ends.clone();
        let mut listed = vec![0; total as usize];
        for (key, id) in entries {
            let place = &mut next[key.number()];
            listed[*place as usize] = id;
            *place += 1;
        }
        Self { starts: ends, packages: listed }
    }

    /// The packages under a string, by number; one that put it twice stands there twice.
    fn under(&self, key: StrId) -> &[PackageId] {
        let bound = |number: usize| self.starts.get(number).map(|&start| start as usize);
        let range = bound(key.number()).zip(bound(key.number() + 1));
        range.and_then(|(start, end)| self.packages.get(start..end)).unwrap_or_default()
    }
}

/// The packages of a target's architecture that its repositories' definitions let in.
pub(super) fn let_in(index: &Index, target: &Target) -> Vec<PackageId> {
    let local = index.repositories.iter().position(|id| id == LOCAL);
    let local_names: HashSet<&str> =
        target.runtimes.iter().filter(|w| w.local).map(|w| w.runtime.package.as_str()).collect();
    let only: Vec<HashSet<&str>> = index
        .repositories
        .iter()
        .map(|id| {
            let listed = target.dist.repositories_for(target.arch).filter(|r| &r.id == id);
            listed.flat_map(|repository| repository.only.iter().map(String::as_str)).collect()
        })
        .collect();
    let is_let_in = |package: &Package| {
        let name = index.text(package.name);
        let repository = usize::from(package.repository);
        match only.get(repository) {
            _ if Some(repository) == local => local_names.contains(name),
            Some(only) => only.is_empty() || only.contains(name),
            None => true,
        }
    };
    let packages = index.packages.iter().enumerate();
    packages
        .filter(|(_, package)| target.arch.accepts(index.text(package.arch)))
        .filter(|(_, package)| is_let_in(package))
        .filter_map(|(id, _)| PackageId::try_from(id).ok())
        .collect()
}

/// Each repository's priority and cost; what the user named himself comes before all.
fn preferences(index: &Index, target: &Target) -> Vec<(u8, u32)> {
    let preference = |id: &String| {
        let known = target.dist.repositories_for(target.arch).find(|r| &r.id == id);
        match known {
            _ if id == LOCAL => (0, 0),
            Some(repository) => (repository.priority.0, repository.cost.0),
            None => (u8::MAX, u32::MAX),
        }
    };
    index.repositories.iter().map(preference).collect()
}

/// Which packages are the host's. One that a runtime's definition asks for by name is not: the
/// definition wants it in the tree.
fn installed(index: &Index, target: &Target) -> Vec<bool> {
    let asked: HashSet<&str> = target
        .runtimes
        .iter()
        .flat_map(|wanted| {
            let extras = wanted.runtime.extras.iter();
            let here = extras.filter(|extra| wanted.part.has(wanted.runtime, extra));
            let whole = here.filter(|extra| extra.files.is_empty());
            whole.map(|extra| &extra.package).chain([&wanted.runtime.package])
        })
        .map(String::as_str)
        .collect();
    let names: HashSet<StrId> = target
        .host
        .packages
        .iter()
        .filter(|name| !asked.contains(name.as_str()))
        .filter_map(|name| index.strings.find(name))
        .collect();
    index.packages.iter().map(|package| names.contains(&package.name)).collect()
}
