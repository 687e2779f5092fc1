//! What can be installed and from where: `repos/` as data. The definitions are embedded in the
//! program, and directories of the user's own add to them; `docs/definitions.md` describes the
//! format.

mod choose;
mod embedded;
mod error;
mod load;
mod names;
mod origins;
mod repositories;

use std::collections::BTreeMap;

pub(crate) use choose::Choice;
pub(crate) use error::CatalogError;

use crate::model::{
    Aim, Arch, Dist, DriverFacts, Fingerprint, HostFacts, HostGives, ImageFiles, Registries,
    Remedies, Remedy, Runtime,
};
use names::Names;

/// The x86-64 level of a machine that nothing more is known of.
const USUAL_LEVEL: u8 = 2;

/// Every definition: dists, runtimes, what hosts give, and other names of dists.
#[derive(Clone, Debug)]
pub struct Catalog {
    dists: BTreeMap<String, Dist>,
    runtimes: BTreeMap<String, Runtime>,
    host: HostGives,
    names: Names,
    remedies: Remedies,
    registries: Registries,
    image_files: ImageFiles,
    drivers: DriverFacts,
    /// The URLs that came with a name and password, which they have no more elsewhere.
    logins: Vec<String>,
    /// Copies of certificates.
    certificates: Vec<(Fingerprint, String)>,
}

impl Catalog {
    /// The URLs of definitions that came with a name and password, with these: for whoever fetches.
    #[must_use]
    pub(crate) fn logins(&self) -> &[String] {
        &self.logins
    }

    /// What registries of images are called, and where they are.
    #[must_use]
    pub(crate) fn registries(&self) -> &Registries {
        &self.registries
    }

    /// What the trees of images get besides what their layers have.
    #[must_use]
    pub(crate) fn image_files(&self) -> &ImageFiles {
        &self.image_files
    }

    /// Copies of certificates, each with the fingerprint of its key as its file is called. Whether it holds
    /// that key is for whoever reads it to find out, and whether that counts for the pins to say.
    #[must_use]
    pub fn certificates(&self) -> &[(Fingerprint, String)] {
        &self.certificates
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

    /// The runtime that is meant where none is named.
    ///
    /// # Errors
    /// When not exactly one says of itself that it is.
    pub fn default_runtime(&self) -> Result<&Runtime, CatalogError> {
        let mut found = self.runtimes().filter(|runtime| runtime.default);
        match (found.next(), found.next()) {
            (Some(runtime), None) => Ok(runtime),
            _ => Err(CatalogError::NoDefault { known: self.runtimes.keys().cloned().collect() }),
        }
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

    /// Whether `name` is `distribution`'s, as os-release(5) gives that, in whatever way it is written.
    #[must_use]
    pub fn is_name_of(&self, name: &str, distribution: &str) -> bool {
        !distribution.is_empty() && names::normalize(name) == names::normalize(distribution)
    }

    /// The machines that `hosts` describe, for a tree that runs on each of them: `glibc=2.17`,
    /// `x86-64-v2`, or what [`Self::dist`] takes. The oldest glibc counts, and the lowest level;
    /// where none is given, processors are taken to be those of the last dozen years, x86-64-v2, or
    /// what all of the named dists ask for.
    ///
    /// # Errors
    /// When a name is unknown, or stands for what nothing here can run on.
    pub fn aim(&self, hosts: &[String]) -> Result<Option<Aim>, CatalogError> {
        let (mut glibcs, mut given, mut implied) = (Vec::new(), Vec::new(), Vec::new());
        for host in hosts {
            let plain = names::normalize(host);
            if let Some(level) = host.strip_prefix("x86-64-v") {
                let level = level.parse().ok().filter(|level| (1..=4).contains(level));
                let wrong = || CatalogError::UnknownHost { name: host.clone() };
                given.push(level.ok_or_else(wrong)?);
            } else if let Some(version) = host.strip_prefix("glibc=") {
                let wrong = |_| CatalogError::UnknownHost { name: host.clone() };
                glibcs.push(version.parse().map_err(wrong)?);
            } else {
                let dist = self.dist(host).map_err(|error| match error {
                    CatalogError::UnknownDist { name, .. } => CatalogError::UnknownHost { name },
                    error => error,
                })?;
                let is_dist = self.dists.contains_key(&plain);
                implied.push(if is_dist {
                    dist.x86_64_level.max(USUAL_LEVEL)
                } else {
                    USUAL_LEVEL
                });
                let of_name = self.names.glibc(&plain).filter(|_| !is_dist);
                glibcs.push(of_name.unwrap_or(dist.glibc));
            }
        }
        let level = given.into_iter().min().or(implied.into_iter().min()).unwrap_or(USUAL_LEVEL);
        let aim = Aim { glibc: glibcs.into_iter().min(), x86_64_level: level };
        Ok((!hosts.is_empty()).then_some(aim))
    }

    /// Refuses runtimes for one prefix of which one says so, that have commands of the same name, or want different
    /// files in one place.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`], [`CatalogError::CommandTaken`] or [`CatalogError::FileTaken`], which name two of
    /// them.
    pub fn check_together(&self, runtimes: &[&Runtime]) -> Result<(), CatalogError> {
        for (number, one) in runtimes.iter().enumerate() {
            for other in runtimes.iter().skip(number + 1) {
                if one.conflicts_with(other) {
                    return Err(CatalogError::Conflict {
                        first: one.name.clone(),
                        second: other.name.clone(),
                    });
                }
                if let Some(command) = one.shares_command(other) {
                    return Err(CatalogError::CommandTaken {
                        command: command.to_owned(),
                        first: one.file.clone(),
                        second: other.file.clone(),
                    });
                }
                if let Some(path) = one.disputed_file(other) {
                    return Err(CatalogError::FileTaken {
                        path: path.clone(),
                        first: one.file.clone(),
                        second: other.file.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// What counts as being on the host for `runtimes` together: what every host gives, and what
    /// their own files add.
    #[must_use]
    pub fn host_gives(&self, runtimes: &[&Runtime]) -> HostGives {
        let mut all = self.host.clone();
        for own in runtimes.iter().map(|runtime| &runtime.host) {
            all.packages.extend_from_slice(&own.packages);
            all.capabilities.extend_from_slice(&own.capabilities);
            all.libraries.extend_from_slice(&own.libraries);
        }
        all
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

    /// What helps against `cause` on `distribution`, a name as os-release(5) gives it.
    #[must_use]
    pub fn remedy(&self, cause: &str, distribution: &str) -> Option<&Remedy> {
        let plain = names::normalize(distribution);
        let fits =
            |patterns: &[String]| patterns.is_empty() || names::any_matches(patterns, &plain);
        let mut remedies = self.remedies.remedies.iter();
        remedies.find(|remedy| remedy.cause == cause && fits(&remedy.distributions))
    }

    /// What is known of drivers.
    #[must_use]
    pub(crate) fn drivers(&self) -> &DriverFacts {
        &self.drivers
    }

    /// The dists to choose from where the user names none, the best one first, at least one.
    ///
    /// Those that are maintained on `today` (`YYYY-MM-DD`), have packages for `arch`, and run on
    /// `host` where that is given, that is, where the tree is made for this very machine. The oldest
    /// comes first, because what runs on an old glibc also runs inside containers with an old one.
    /// Where no maintained one is left, the newest of the others come, with a message. Whether a dist
    /// offers the wanted runtime is for the caller to find out: take the next if not.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn choices(
        &self,
        arch: Arch,
        host: Option<&HostFacts>,
        today: &str,
    ) -> Result<Vec<Choice<'_>>, CatalogError> {
        choose::dists(self.dists(), arch, host, today)
    }
}

#[cfg(test)]
mod tests;
