//! Which packages EL8's modules hide: those of streams that are not active, and those whose
//! place an active stream takes. The rules are dnf's (`doc/modularity.rst`).

use std::collections::{BTreeMap, HashSet};

use crate::model::{Evr, Index, ModuleStream, NameHash, Package};

use super::{LOCAL, ResolveError, Target};

/// For each package of the index, whether modules hide it.
///
/// # Errors
/// When two runtimes want different streams of one module.
pub(super) fn hidden(index: &Index, target: &Target) -> Result<Vec<bool>, ResolveError> {
    let wanted = wanted_streams(target)?;
    let (active, inactive): (Vec<_>, Vec<_>) =
        index.modules.iter().partition(|stream| is_active(stream, &wanted));
    let view = View {
        index,
        local: index.repositories.iter().position(|id| id == LOCAL),
        names: active.iter().flat_map(|stream| artifact_names(stream)).map(NameHash::of).collect(),
        active: artifacts(&active),
        inactive: artifacts(&inactive),
    };
    Ok(index.packages.iter().map(|package| view.hides(package)).collect())
}

/// The streams that the runtimes' definitions name: module → stream.
fn wanted_streams<'a>(target: &Target<'a>) -> Result<BTreeMap<&'a str, &'a str>, ResolveError> {
    let mut wanted: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for runtime in target.runtimes.iter().map(|wanted| wanted.runtime) {
        for (module, stream) in &runtime.streams {
            let &mut (other, by) = wanted.entry(module).or_insert((stream, &runtime.name));
            if other != stream {
                return Err(ResolveError::Streams {
                    module: module.as_str().into(),
                    first: (by.to_owned(), other.to_owned()),
                    second: (runtime.name.clone(), stream.clone()),
                });
            }
        }
    }
    Ok(wanted.into_iter().map(|(module, (stream, _))| (module, stream)).collect())
}

/// Whether a stream is the one that is named, or the default where none is.
fn is_active(stream: &ModuleStream, wanted: &BTreeMap<&str, &str>) -> bool {
    match wanted.get(stream.module.as_str()) {
        Some(&name) => name == stream.stream,
        None => stream.default,
    }
}

fn artifacts<'a>(streams: &[&'a ModuleStream]) -> HashSet<&'a str> {
    streams.iter().flat_map(|stream| stream.artifacts.iter().map(String::as_str)).collect()
}

/// The names of a stream's binary packages.
fn artifact_names(stream: &ModuleStream) -> impl Iterator<Item = &str> {
    let binary = |artifact: &&String| !artifact.ends_with(".src") && !artifact.ends_with(".nosrc");
    stream.artifacts.iter().filter(binary).filter_map(|artifact| {
        // NAME-EPOCH:VERSION-RELEASE.ARCH
        let (name_version, _) = artifact.rsplit_once('-')?;
        Some(name_version.rsplit_once('-')?.0)
    })
}

/// What the streams say, ready to be asked about each package.
struct View<'a> {
    index: &'a Index,
    /// Position of the repository that modules do not concern.
    local: Option<usize>,
    /// The names of the active streams' packages.
    names: HashSet<NameHash>,
    active: HashSet<&'a str>,
    inactive: HashSet<&'a str>,
}

impl View<'_> {
    fn hides(&self, package: &Package) -> bool {
        if Some(usize::from(package.repository)) == self.local {
            return false;
        }
        let is_modular = package.evr.release.contains(".module");
        if !is_modular && self.active.is_empty() && self.inactive.is_empty() {
            return false;
        }
        let artifact = self.artifact(package);
        if self.active.contains(artifact.as_str()) {
            return false;
        }
        // A modular package that no stream lists has lost its metadata: it is refused.
        is_modular
            || self.inactive.contains(artifact.as_str())
            || self.names.contains(&NameHash::of(self.index.text(package.name)))
            || package.provides.iter().any(|provide| self.names.contains(&provide.name))
    }

    /// A package as modules.yaml lists it.
    fn artifact(&self, package: &Package) -> String {
        let (name, arch) = (self.index.text(package.name), self.index.text(package.arch));
        let Evr { epoch, version, release } = &package.evr;
        format!("{name}-{epoch}:{version}-{release}.{arch}")
    }
}
