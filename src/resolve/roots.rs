//! What must be in the tree: the runtimes' own packages, each in its one version, and the extras
//! that their definitions name.

use std::collections::BTreeMap;

use crate::model::{Comparison, EvrRef, Extra, LOCAL, NameHash, PlannedRuntime, RelPath};

use super::policy;
use super::universe::{PackageId, Universe};
use super::{Part, ResolveError, Target, Wanted};

/// One of some packages that must be in.
#[derive(Debug)]
pub(super) struct RootRule {
    /// Best first.
    pub(super) any_of: Vec<PackageId>,
    /// The runtime that wants it.
    pub(super) runtime: String,
    /// What the runtime's definition says.
    pub(super) needs: String,
    /// Whether it is the runtime's own package: its version is the runtime's.
    pub(super) is_own: bool,
}

/// Some files of a package, without what the package requires.
#[derive(Debug)]
pub(super) struct PartialPackage {
    pub(super) id: PackageId,
    pub(super) files: Vec<RelPath>,
    pub(super) runtime: String,
    pub(super) needs: String,
}

/// Everything that the runtimes' definitions want.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// The runtimes, by name.
    pub(super) runtimes: Vec<PlannedRuntime>,
    pub(super) rules: Vec<RootRule>,
    pub(super) partial: BTreeMap<String, PartialPackage>,
}

/// Chooses each runtime's version and finds its extras.
///
/// # Errors
/// When the repositories hold no such runtime or version, or lack an extra that is not optional.
pub(super) fn choose(universe: &Universe, target: &Target) -> Result<Roots, ResolveError> {
    let mut roots = Roots::default();
    let mut wanted: Vec<_> = target.runtimes.iter().collect();
    wanted.sort_by(|left, right| left.runtime.name.cmp(&right.runtime.name));
    for wanted in wanted {
        let runtime = wanted.runtime;
        let version = match wanted.part {
            Part::InContainers(version) => version.to_owned(),
            Part::Whole | Part::Outside => {
                let own = own_packages(universe, target, wanted)?;
                let version = own.first().map(|&own| universe.evr(own).version.to_owned());
                roots.rules.push(RootRule {
                    any_of: own,
                    runtime: runtime.name.clone(),
                    needs: runtime.package.clone(),
                    is_own: true,
                });
                version.unwrap_or_default()
            }
        };
        let extras = runtime.extras.iter().filter(|extra| wanted.part.has(runtime, extra));
        for extra in extras.filter(|extra| applies(extra, target, &version)) {
            roots.add_extra(universe, target, &runtime.name, extra)?;
        }
        roots.runtimes.push(PlannedRuntime { name: runtime.name.clone(), version });
    }
    Ok(roots)
}

impl Roots {
    fn add_extra(
        &mut self,
        universe: &Universe,
        target: &Target,
        runtime: &str,
        extra: &Extra,
    ) -> Result<(), ResolveError> {
        let needs = &extra.package;
        let providers = universe.find(needs, Comparison::Any, None);
        let named = universe.index.strings.find(needs).map(|id| universe.named(id).collect());
        let mut named: Vec<PackageId> = named.unwrap_or_default();
        // What took its place serves too, where it is asked for by name.
        named.extend(universe.obsoleting(&named));
        let mut candidates = if named.is_empty() { providers.packages } else { named };
        if let Some(bound) = &extra.version
            && !candidates.is_empty()
        {
            candidates.retain(|&id| bound.contains(universe.evr(id).version));
            if candidates.is_empty() {
                return Ok(());
            }
        }
        let best = policy::best(universe, &candidates);
        let Some(&first) = best.first() else {
            return match extra.optional || providers.by_host {
                true => Ok(()),
                false => Err(ResolveError::ExtraMissing {
                    runtime: runtime.to_owned(),
                    needs: needs.clone(),
                    dist: target.dist.name.clone(),
                    arch: target.arch,
                    repositories: universe.repositories(),
                    hidden: universe.hidden(|package| package.has(NameHash::of(needs))),
                }),
            };
        };
        if extra.files.is_empty() {
            if !best.iter().any(|&id| universe.is_installed(id)) {
                let (runtime, needs) = (runtime.to_owned(), needs.clone());
                self.rules.push(RootRule { any_of: best, runtime, needs, is_own: false });
            }
            return Ok(());
        }
        let partial = self.partial.entry(universe.name(first).to_owned());
        let partial = partial.or_insert_with(|| PartialPackage {
            id: first,
            files: Vec::new(),
            runtime: runtime.to_owned(),
            needs: needs.clone(),
        });
        partial.files.extend(extra.files.iter().cloned());
        partial.files.sort();
        partial.files.dedup();
        Ok(())
    }
}

/// Whether an extra concerns this dist and this version of the runtime.
fn applies(extra: &Extra, target: &Target, version: &str) -> bool {
    let for_dist = extra.dists.is_empty() || extra.dists.contains(&target.dist.name);
    for_dist && extra.when.as_ref().is_none_or(|bound| bound.contains(version))
}

/// The runtime's own package: the newest that is wanted; or several, if several took its place.
fn own_packages(
    universe: &Universe,
    target: &Target,
    wanted: &Wanted,
) -> Result<Vec<PackageId>, ResolveError> {
    let is_local = |id: &PackageId| {
        let repository = usize::from(universe.package(*id).repository);
        universe.index.repositories.get(repository).is_some_and(|id| id == LOCAL)
    };
    let name = &wanted.runtime.package;
    let named = universe.index.strings.find(name).map(|id| universe.named(id).collect());
    let mut held: Vec<PackageId> = named.unwrap_or_default();
    held.retain(|id| is_local(id) == wanted.local);
    let is_meant = |id: &PackageId| {
        wanted.version.is_none_or(|version| is_version(universe.evr(*id), version))
    };
    let mut matching: Vec<PackageId> = held.iter().copied().filter(is_meant).collect();
    // What took its place is taken, as by dnf; and where a version is asked for, one of what took its
    // place before, because it is that of the tree.
    if !wanted.local && (wanted.version.is_none() || matching.is_empty()) {
        matching.extend(universe.obsoleting(&held).into_iter().filter(is_meant));
    }
    let best = policy::best(universe, &matching);
    if !best.is_empty() {
        return Ok(best);
    }
    Err(match wanted.version {
        Some(version) if !held.is_empty() => ResolveError::UnknownVersion {
            runtime: wanted.runtime.name.clone(),
            dist: target.dist.name.clone(),
            arch: target.arch,
            wanted: version.to_owned(),
            held: versions(universe, held),
            hidden: universe.hidden(|package| {
                universe.index.text(package.name) == name
                    && is_version(universe.index.evr(package), version)
            }),
        },
        _ => ResolveError::NotOffered {
            runtime: wanted.runtime.name.clone(),
            package: name.clone(),
            dist: target.dist.name.clone(),
            arch: target.arch,
            repositories: match wanted.local {
                true => vec![LOCAL.to_owned()],
                false => universe.repositories(),
            },
            hidden: universe.hidden(|package| universe.index.text(package.name) == name),
        },
    })
}

/// Whether a package's version is `wanted`, or begins with it and goes on with a new component.
pub(crate) fn is_version(evr: EvrRef<'_>, wanted: &str) -> bool {
    let Some(rest) = evr.version.strip_prefix(wanted) else {
        return format!("{}-{}", evr.version, evr.release) == wanted;
    };
    !rest.starts_with(|character: char| character.is_ascii_alphanumeric())
}

/// The versions of some packages, newest first.
fn versions(universe: &Universe, mut packages: Vec<PackageId>) -> Vec<String> {
    packages.sort_by(|&left, &right| universe.evr(right).cmp(&universe.evr(left)));
    let mut versions: Vec<String> =
        packages.into_iter().map(|id| universe.evr(id).version.to_owned()).collect();
    versions.dedup();
    versions
}
