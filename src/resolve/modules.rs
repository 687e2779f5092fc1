//! Which packages EL8's modules hide: those of streams that are not active, and those whose
//! place an active stream takes. The rules are dnf's (`doc/modularity.rst`).

use std::collections::{HashMap, HashSet};

use crate::model::{Artifact, Index, LOCAL, ModuleStream, NameHash, Package};

use super::streams;
use super::{HiddenPackage, ResolveError, Target, WhyHidden};

/// What each package of an index is hidden by.
#[derive(Debug, Default)]
pub(super) struct Hiding(Vec<Option<Hidden>>);

/// Why a package is hidden.
#[derive(Clone, Copy, Debug)]
enum Hidden {
    /// It belongs to a stream that is not active: its position in the lists.
    Inactive(usize),
    /// A package of an active stream takes its place.
    Replaced,
    /// It is modular, and no list says to which stream it belongs.
    Unlisted,
}

impl Hiding {
    /// Asks the module lists about every package.
    ///
    /// # Errors
    /// When two runtimes want different streams of one module.
    pub(super) fn new(index: &Index, target: &Target) -> Result<Self, ResolveError> {
        let active = streams::active(&index.modules, target)?;
        let mut view = View::new(index, target);
        for (position, stream) in index.modules.streams.iter().enumerate() {
            view.add(position, stream, active.contains(&position));
        }
        Ok(Self(index.packages.iter().map(|package| view.hides(package)).collect()))
    }

    /// Whether the package at this position is hidden.
    pub(super) fn is_hidden(&self, position: usize) -> bool {
        self.0.get(position).is_some_and(Option::is_some)
    }

    /// The package at this position as errors name it, if it is hidden.
    pub(super) fn hidden(&self, index: &Index, position: usize) -> Option<HiddenPackage> {
        let why = match (*self.0.get(position)?)? {
            Hidden::Inactive(stream) => {
                let ModuleStream { module, stream, .. } = index.modules.streams.get(stream)?;
                WhyHidden::Inactive { module: module.clone(), stream: stream.clone() }
            }
            Hidden::Replaced => WhyHidden::Replaced,
            Hidden::Unlisted => {
                WhyHidden::Unlisted { set_aside: index.modules.set_aside.first().cloned() }
            }
        };
        let package = index.packages.get(position)?;
        let (name, arch) = (index.text(package.name), index.text(package.arch));
        let nevra = format!("{name}-{}.{arch}", index.evr(package));
        Some(HiddenPackage { nevra, why })
    }
}

/// What the streams say, ready to be asked about each package.
struct View<'a> {
    index: &'a Index,
    /// Of each repository, whether modules do not concern it.
    is_free: Vec<bool>,
    /// The names of the active streams' packages.
    names: HashSet<NameHash>,
    active: HashSet<NameHash>,
    /// The packages of the other streams, each with a stream that it belongs to.
    inactive: HashMap<NameHash, usize>,
}

impl<'a> View<'a> {
    fn new(index: &'a Index, target: &Target) -> Self {
        let is_free = |id: &String| {
            let mut listed = target.dist.repositories_for(target.arch);
            id == LOCAL || listed.any(|it| it.id == *id && it.module_hotfixes)
        };
        Self {
            index,
            is_free: index.repositories.iter().map(is_free).collect(),
            names: HashSet::new(),
            active: HashSet::new(),
            inactive: HashMap::new(),
        }
    }

    fn add(&mut self, position: usize, stream: &ModuleStream, is_active: bool) {
        let artifacts = &stream.artifacts;
        if is_active {
            self.active.extend(artifacts.iter().map(|artifact| artifact.nevra));
            let names = artifacts.iter().map(|artifact| artifact.name);
            self.names.extend(names.filter(|name| !stream.demodularized.contains(name)));
        } else {
            self.inactive.extend(artifacts.iter().map(|artifact| (artifact.nevra, position)));
        }
    }

    fn hides(&self, package: &Package) -> Option<Hidden> {
        if self.is_free.get(usize::from(package.repository)).copied().unwrap_or_default() {
            return None;
        }
        let evr = self.index.evr(package);
        let is_modular = evr.release.contains(".module");
        if !is_modular && self.active.is_empty() && self.inactive.is_empty() {
            return None;
        }
        let (name, arch) = (self.index.text(package.name), self.index.text(package.arch));
        let Artifact { nevra, name } = Artifact::of(name, evr, arch);
        if self.active.contains(&nevra) {
            return None;
        }
        if let Some(&stream) = self.inactive.get(&nevra) {
            return Some(Hidden::Inactive(stream));
        }
        // A modular package that no stream lists has lost its metadata: it is refused.
        if is_modular {
            return Some(Hidden::Unlisted);
        }
        let is_replaced = self.names.contains(&name)
            || package.provides.iter().any(|provide| self.names.contains(&provide.name));
        is_replaced.then_some(Hidden::Replaced)
    }
}
