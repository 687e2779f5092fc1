//! A distribution: where its packages are, and whose signature they carry. Read from
//! `repos/dists/*.toml`; the format is described in `docs/definitions.md`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Arch, Day, GlibcVersion};

/// An Enterprise Linux release (or a Fedora), as a source of packages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dist {
    /// The name that `-d` takes: `el8`.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// The dist's own glibc. Serves to choose a dist, not to refuse a tree.
    pub glibc: GlibcVersion,
    /// The day after which nobody maintains it, `YYYY-MM-DD`.
    pub maintained_until: String,
    /// The x86-64 level, `1` to `4`, that its x86_64 packages are compiled for.
    #[serde(default = "baseline")]
    pub x86_64_level: u8,
    /// Its repositories. For one architecture, each id stands once.
    #[serde(rename = "repository")]
    pub repositories: Vec<Repository>,
    /// Where its packages are built: every version stays there.
    #[serde(default)]
    pub builds: Vec<Builds>,
}

/// A build system's files, in Koji's layout: `NAME/VERSION/RELEASE/` of each build, with the packages that a key signed
/// below `data/signed/KEY/`, for a while, and for good the signatures' headers below `data/sigcache/KEY/`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Builds {
    /// Its short name.
    pub id: String,
    /// The repository whose keys sign what is built there, by its id.
    pub of: String,
    /// The URL above `NAME/`.
    pub base: String,
    /// What releases for this dist have in them: `el8`, as in `1.el8`.
    pub release: String,
    /// Where this was read.
    #[serde(skip)]
    pub origin: Origin,
}

impl Builds {
    /// Whether a package with this release is for the dist.
    pub(crate) fn has_release(&self, release: &str) -> bool {
        release.split('.').any(|part| {
            let rest = part.strip_prefix(self.release.as_str());
            rest.is_some_and(|rest| !rest.starts_with(|it: char| it.is_ascii_alphanumeric()))
        })
    }
}

fn baseline() -> u8 {
    1
}

impl Dist {
    /// The repositories that are read for `arch`, in the order of preference.
    pub fn enabled_for(&self, arch: Arch) -> impl Iterator<Item = &Repository> {
        self.repositories_for(arch).filter(|repository| repository.enabled)
    }

    /// The archives for `arch` that are read where a version is lacking, in the order of preference: those of
    /// which nobody said that they are read, or not.
    pub fn archives_for(&self, arch: Arch) -> impl Iterator<Item = &Repository> {
        self.repositories_for(arch).filter(|repository| {
            repository.archive && repository.decided_by == DecidedBy::Definition
        })
    }

    /// This dist with one of its archives among the repositories that are read.
    #[must_use]
    pub(crate) fn with_archive(&self, id: &str) -> Self {
        let mut dist = self.clone();
        let archives = dist.repositories.iter_mut().filter(|repository| repository.archive);
        archives.filter(|archive| archive.id == id).for_each(|archive| archive.enabled = true);
        dist
    }

    /// The repositories that hold packages for `arch`, read or not, in the order of preference.
    pub fn repositories_for(&self, arch: Arch) -> impl Iterator<Item = &Repository> {
        self.repositories.iter().filter(move |repository| repository.arches.contains(&arch))
    }
}

/// One repository, with every place where it can be read. `$basearch` stands for the architecture.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Its short name within the dist: `baseos`.
    pub id: String,
    /// The architectures it exists for.
    pub arches: Vec<Arch>,
    /// URL of a metalink: mirrors, and the digest of `repomd.xml`.
    #[serde(default)]
    pub metalink: Option<String>,
    /// URL of a mirror list: base URLs, a line each, and no digest.
    #[serde(default)]
    pub mirrorlist: Option<String>,
    /// Base URLs (`repodata/repomd.xml` lies below), tried in this order after the mirrors.
    #[serde(default)]
    pub base: Vec<String>,
    /// Whether `repomd.xml.asc` is published. Where it is, a missing or bad one is refused.
    #[serde(default)]
    pub signed_metadata: bool,
    /// Keys whose signature a package of this repository may carry. Several when keys rotated.
    #[serde(rename = "key")]
    pub keys: Vec<KeyPin>,
    /// Whether it must have a module list, because it lists packages of several module streams (EL8's
    /// AppStream). One that has a list without this is held to it all the same.
    #[serde(default)]
    pub modular: bool,
    /// Smaller is preferred, whatever the version, as dnf's `priority`.
    #[serde(default)]
    pub priority: RepositoryPriority,
    /// Of packages that are the same in several repositories of one priority, those of the repository
    /// that costs least are taken, as dnf's `cost`.
    #[serde(default)]
    pub cost: RepositoryCost,
    /// When not empty, only packages of these names are taken from this repository.
    #[serde(default)]
    pub only: Vec<String>,
    /// When not empty, it is read only where one of these runtimes is asked for or installed.
    #[serde(default)]
    pub runtimes: Vec<String>,
    /// Whether modules hide none of its packages, as dnf's `module_hotfixes`.
    #[serde(default)]
    pub module_hotfixes: bool,
    /// Whether it keeps what others do not hold any more: it is read only for a version that is asked for and
    /// that no other repository has.
    #[serde(default)]
    pub archive: bool,
    /// Whether it is read.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Who said whether it is read.
    #[serde(skip)]
    pub decided_by: DecidedBy,
    /// Where the definition stands.
    #[serde(skip)]
    pub origin: Origin,
}

impl Repository {
    /// Its own base URLs for `arch`, each ending in `/`.
    pub(crate) fn bases(&self, arch: Arch) -> impl Iterator<Item = String> {
        let arch = arch.as_str();
        let base = move |url: &String| url.replace("$basearch", arch);
        self.base.iter().map(base).map(|url| format!("{}/", url.trim_end_matches('/')))
    }
}

/// dnf's `cost` of a repository: smaller first; 1000 unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepositoryCost(pub u32);

impl Default for RepositoryCost {
    fn default() -> Self {
        Self(1000)
    }
}

fn yes() -> bool {
    true
}

/// Who says whether a repository is read: who comes later here has the last word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DecidedBy {
    /// Its definition.
    #[default]
    Definition,
    /// A configuration file.
    Configuration,
    /// The command line by which the tree was made that is there.
    Receipt,
    /// The command line.
    CommandLine,
    /// A policy.
    Policy,
}

/// Where a repository's definition stands, for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: String,
    /// The line of each of its fields, from 1; those of the keys are called `key.0.url`.
    pub lines: BTreeMap<String, usize>,
}

impl Origin {
    /// The place of `field`, or of the whole where that is not there.
    #[must_use]
    pub fn of(&self, field: &str) -> String {
        if self.file.is_empty() {
            return "its definition".to_owned();
        }
        let line = self.lines.get(field).or_else(|| self.lines.get("id"));
        line.map_or_else(|| self.file.clone(), |line| format!("{}, line {line}", self.file))
    }
}

/// dnf's `priority` of a repository: 1 to 99, smaller first; 99 unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepositoryPriority(pub u8);

impl Default for RepositoryPriority {
    fn default() -> Self {
        Self(99)
    }
}

/// An OpenPGP key: its full fingerprint, and where the distribution publishes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPin {
    /// Fingerprint of the primary key.
    pub fingerprint: Fingerprint,
    /// Where the key file is. It may hold other keys too; only the pinned one counts.
    pub url: String,
    /// Other places where the same key is published.
    #[serde(default)]
    pub alternates: Vec<String>,
    /// The architectures whose packages it signs; all when empty.
    #[serde(default)]
    pub arches: Vec<Arch>,
    /// Until this day its owner signed it with SHA-1 and not anew since: what it says of itself counts all
    /// the same, as long as it said so by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha1_until: Option<Day>,
}

/// Full fingerprint of an OpenPGP primary key: 40 (v4) or 64 (v6) hexadecimal digits, upper case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Parses hexadecimal digits of any case; spaces, as `gpg` prints them, are dropped.
    ///
    /// # Errors
    /// When what is left is not 40 or 64 hexadecimal digits. Short key ids are no proof.
    pub fn new(text: &str) -> Result<Self, InvalidFingerprint> {
        let digits: String = text.split_whitespace().collect::<String>().to_ascii_uppercase();
        let whole = matches!(digits.len(), 40 | 64);
        if !whole || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidFingerprint(text.to_owned()));
        }
        Ok(Self(digits))
    }

    /// The digits, upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = InvalidFingerprint;

    fn try_from(text: String) -> Result<Self, InvalidFingerprint> {
        Self::new(&text)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

/// A text that is no full fingerprint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a full key fingerprint (40 or 64 hexadecimal digits)")]
pub struct InvalidFingerprint(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_whole_or_refused() {
        let spaced = "94E2 79EB 8D8F 25B2 1810  ADF1 21EA 45AB 2F86 D6A1";
        assert_eq!(
            Fingerprint::new(spaced).map(String::from),
            Ok("94E279EB8D8F25B21810ADF121EA45AB2F86D6A1".into())
        );
        assert!(Fingerprint::new("2F86D6A1").is_err());
    }
}
