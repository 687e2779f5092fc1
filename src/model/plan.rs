//! The complete answer before anything is touched. Written to a file it is the lock file;
//! `docs/lock-file.md` describes the format.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Arch, Checksum, Fingerprint, GlibcVersion, KeyPin, Nevra, RelPath, Sighting, total};

/// The version of the lock file's format that this program writes. It reads earlier ones too.
pub(crate) const PLAN_FORMAT: u32 = 2;

/// Everything that an install will do, for every architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// A tree per architecture, in the order of [`Arch::ALL`].
    #[serde(rename = "tree")]
    pub trees: Vec<TreePlan>,
    /// In a lock file, what was known of the keys that it names, armored: so that whoever installs by it knows
    /// of revocations as much. They count against the pins alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<Fingerprint, String>,
}

impl Plan {
    /// A plan of these trees, in today's format.
    #[must_use]
    pub(crate) fn of(trees: Vec<TreePlan>) -> Self {
        Self { format: PLAN_FORMAT, trees, certificates: BTreeMap::new() }
    }

    /// The fingerprints of every key that may have signed something of it.
    #[must_use]
    pub(crate) fn signers(&self) -> BTreeSet<&Fingerprint> {
        let sources = self.trees.iter().flat_map(TreePlan::parts).flat_map(|part| &part.sources);
        sources.flat_map(|source| &source.keys).map(|key| &key.fingerprint).collect()
    }
}

/// One architecture's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreePlan {
    /// The architecture.
    pub arch: Arch,
    /// The dist's name.
    pub dist: String,
    /// Repositories that the command line said not to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disabled_repositories: Vec<String>,
    /// Repositories that the command line said to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enabled_repositories: Vec<String>,
    /// The newest glibc that the packages' Requires name, those of [`Self::container`] too: what the
    /// target must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glibc: Option<GlibcVersion>,
    /// The runtimes, by name.
    #[serde(rename = "runtime")]
    pub runtimes: Vec<PlannedRuntime>,
    /// The repositories that the packages come from, in the dist's order.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
    /// Every package, sorted by name.
    #[serde(rename = "package")]
    pub packages: Vec<PlannedPackage>,
    /// What is bound into containers, where that comes from another dist: a tree of its own in
    /// `CONTAINER_DIRECTORY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Box<Self>>,
}

/// A runtime and the version that was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRuntime {
    /// Its name in `repos/runtimes/`.
    pub name: String,
    /// The version of its own package, without the release.
    pub version: String,
}

/// A repository as a plan needs it: where to fetch from, and whose signature to ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Id of the repository; `local` for a package that the user named by path or URL.
    pub id: String,
    /// Base URLs, best first, each ending in `/`. Empty for `local`.
    #[serde(with = "super::userinfo::many")]
    pub base: Vec<String>,
    /// What was believed of its metadata when the packages were chosen; older plans do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Sighting>,
    /// Keys that may have signed its packages.
    #[serde(rename = "key", default, with = "super::userinfo::keys")]
    pub keys: Vec<KeyPin>,
}

/// One package of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPackage {
    /// Name, epoch, version, release, architecture.
    #[serde(flatten)]
    pub nevra: Nevra,
    /// Id of the [`Source`].
    pub source: String,
    /// Path below the source's base URL, as metadata gives it, or a URL of its own; for `local`
    /// always the whole URL.
    #[serde(with = "super::userinfo::one")]
    pub location: String,
    /// Bytes of the package file; 0 where the repository does not say.
    pub size: u64,
    /// Bytes of its files when installed, as its header declares.
    pub installed_size: u64,
    /// Digest of the package file.
    pub checksum: Checksum,
    /// When not empty, only these files of the package are unpacked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<RelPath>,
    /// Why it is in.
    pub reason: PackageReason,
}

/// Why a package is in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageReason {
    /// Who asks: a package's name, or `runtime NAME`.
    pub by: String,
    /// What for: the requirement as RPM writes it, or the runtime file's entry.
    pub needs: String,
}

impl TreePlan {
    /// The tree, and those within it.
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |part| part.container.as_deref())
    }

    /// The dist of what is bound into containers, where that is another one.
    #[must_use]
    pub fn container_dist(&self) -> Option<&str> {
        self.container.as_ref().map(|part| part.dist.as_str())
    }

    /// Every package, those of the trees within it too.
    pub fn all_packages(&self) -> impl Iterator<Item = &PlannedPackage> {
        self.parts().flat_map(|part| &part.packages)
    }

    /// Every package's name and version, and whether it is bound into containers.
    pub fn nevras(&self) -> impl Iterator<Item = (bool, &Nevra)> {
        self.parts().enumerate().flat_map(|(depth, part)| {
            part.packages.iter().map(move |package| (depth > 0, &package.nevra))
        })
    }

    /// Bytes of all package files.
    #[must_use]
    pub fn download_size(&self) -> u64 {
        total(self.all_packages().map(|package| package.size))
    }

    /// Bytes of all files when installed.
    #[must_use]
    pub fn installed_size(&self) -> u64 {
        total(self.all_packages().map(|package| package.installed_size))
    }

    /// The source with this id; not of the trees within it.
    #[must_use]
    pub fn source(&self, id: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.id == id)
    }
}

impl PlannedPackage {
    /// The file's name: the last component of its location.
    #[must_use]
    pub fn file_name(&self) -> &str {
        let is_url = self.location.contains("://");
        let path = self.location.split('?').next().filter(|_| is_url).unwrap_or(&self.location);
        path.rsplit('/').next().unwrap_or(path)
    }
}
