//! What can be installed and from where: `repos/` as data. The definitions are embedded in the
//! program, and directories of the user's own add to them; `docs/definitions.md` describes the
//! format.

mod choose;
mod embedded;
mod error;
mod load;
mod names;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use choose::{DistChoice, Target};
pub use error::CatalogError;

use crate::model::{Dist, HostGives, Runtime};
use names::Names;

/// Every definition: dists, runtimes, what hosts give, and other names of dists.
#[derive(Debug)]
pub struct Catalog {
    dists: BTreeMap<String, Dist>,
    runtimes: BTreeMap<String, Runtime>,
    host: HostGives,
    names: Names,
}

impl Catalog {
    /// Reads the embedded definitions and those of `directories`, the most important one first. A
    /// file replaces the one of the same name in later directories and in the program; `names.toml`
    /// is put before theirs instead.
    ///
    /// # Errors
    /// When a directory cannot be read or a definition does not hold what its format asks for.
    pub fn load(directories: &[PathBuf]) -> Result<Self, CatalogError> {
        load::catalog(directories)
    }

    /// The runtime of this name.
    ///
    /// # Errors
    /// When there is none; the error lists those that there are.
    pub fn runtime(&self, name: &str) -> Result<&Runtime, CatalogError> {
        self.runtimes.get(name).ok_or_else(|| CatalogError::UnknownRuntime {
            name: name.to_owned(),
            known: self.runtimes.keys().cloned().collect(),
        })
    }

    /// The dist that `name` stands for: its own name, or that of a distribution that it fits
    /// (`debian12`, `rocky9`, `opensuse-leap15.6`).
    ///
    /// # Errors
    /// When it stands for none, or for one that nothing here can run on.
    pub fn dist(&self, name: &str) -> Result<&Dist, CatalogError> {
        let plain = names::normalize(name);
        if let Some(dist) = self.dists.get(&plain) {
            return Ok(dist);
        }
        if let Some(because) = self.names.refusal(&plain) {
            return Err(CatalogError::RefusedDist { name: name.to_owned(), because });
        }
        self.names.dist(&plain).and_then(|dist| self.dists.get(dist)).ok_or_else(|| {
            CatalogError::UnknownDist {
                name: name.to_owned(),
                known: self.dists().map(|dist| dist.name.clone()).collect(),
                examples: self.names.examples().to_vec(),
            }
        })
    }

    /// What counts as being on the host for `runtime`: what every host gives, and what the runtime's
    /// own file adds.
    #[must_use]
    pub fn host_gives(&self, runtime: &Runtime) -> HostGives {
        let join = |general: &[String], own: &[String]| [general, own].concat();
        HostGives {
            packages: join(&self.host.packages, &runtime.host.packages),
            capabilities: join(&self.host.capabilities, &runtime.host.capabilities),
            libraries: join(&self.host.libraries, &runtime.host.libraries),
        }
    }

    /// Every dist, the oldest glibc first.
    pub fn dists(&self) -> impl Iterator<Item = &Dist> {
        let mut dists: Vec<_> = self.dists.values().collect();
        dists.sort_by_key(|dist| (dist.glibc, &dist.name));
        dists.into_iter()
    }

    /// Every runtime, by name.
    pub fn runtimes(&self) -> impl Iterator<Item = &Runtime> {
        self.runtimes.values()
    }

    /// The dists that suit `target`, the best one first: of those that are maintained and whose glibc
    /// is no newer than the target's, the oldest, because what runs on an old glibc also runs inside
    /// containers with an old one. Where none is maintained, the newest of the others, with a message.
    /// Whether a dist offers the wanted runtime is for the caller to find out: take the next if not.
    ///
    /// # Errors
    /// When no dist suits the target.
    pub fn dists_for(&self, target: &Target) -> Result<Vec<DistChoice<'_>>, CatalogError> {
        choose::dists(self.dists.values(), target)
    }
}

#[cfg(test)]
mod tests;
