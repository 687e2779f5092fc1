//! What a run published, written down: so that another run, anywhere, makes the same bytes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::goal::Goal;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{LockError, Plan, TomlProblem, TreePlan, read_toml};

/// The format of this file.
const FORMAT: u32 = 1;

/// The first lines of it.
const HEADING: &str = "# What `elsewhere sync` published, by the wishlist beside it; docs/cvmfs.md describes this file.\n";

/// The plans of all versions that are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncLock {
    format: u32,
    /// Each version.
    #[serde(rename = "version", default)]
    pub(super) versions: Vec<LockedVersion>,
}

/// A version's plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockedVersion {
    /// The base, as the wishlist names it.
    pub(super) base: String,
    /// The version.
    pub(super) version: String,
    /// Its plan.
    pub(super) plan: Plan,
}

impl SyncLock {
    /// That in the text of the file.
    ///
    /// # Errors
    /// When it is none of a format that is known here, or contradicts itself.
    pub(crate) fn parse(text: &str) -> Result<Self, LockError> {
        let unreadable = |TomlProblem { line, message }| LockError::Unreadable { line, message };
        let lock: Self = read_toml(text).map_err(unreadable)?;
        if lock.format != FORMAT {
            return Err(LockError::Format(lock.format));
        }
        lock.versions.iter().try_for_each(|version| version.plan.check())?;
        Ok(lock)
    }

    /// Its text. The same plans give the same one.
    ///
    /// # Errors
    /// When a number is beyond what TOML holds.
    pub(crate) fn text(&self) -> Result<String, LockError> {
        let text = toml::to_string(self).map_err(LockError::Unwritable)?;
        Ok(format!("{HEADING}{text}"))
    }

    /// The plans of `goals`; those of versions that stand already as `earlier` has them, by which they were made.
    #[must_use]
    pub(super) fn of(keys: &Keys<'_>, goals: &[(&Goal, &Changes)], earlier: Option<&Self>) -> Self {
        let mut versions = Vec::new();
        for (goal, changes) in goals {
            for (position, edition) in goal.editions.iter().enumerate() {
                let is_new = changes.added.iter().any(|addition| addition.edition == position);
                let known = earlier.filter(|_| !is_new).and_then(|earlier| {
                    let its = earlier.versions.iter().filter(|it| it.base == goal.name);
                    let mut its = its.filter(|it| it.version == edition.version);
                    its.find(|it| has_same(&it.plan, &edition.plan))
                });
                versions.push(known.cloned().unwrap_or_else(|| {
                    let certificates = keys.copies(&edition.plan.signers());
                    LockedVersion {
                        base: goal.name.clone(),
                        version: edition.version.clone(),
                        plan: Plan { certificates, ..edition.plan.clone() },
                    }
                }));
            }
        }
        Self { format: FORMAT, versions }
    }

    /// Reads the file at `path`; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read or used.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(Self::parse(&text)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::File { path: path.to_owned(), source }),
        }
    }
}

/// Whether two plans have the same packages.
fn has_same(one: &Plan, other: &Plan) -> bool {
    let is_same = |(one, other): (&TreePlan, &TreePlan)| {
        let packages = |tree: &TreePlan| -> Vec<_> {
            tree.all_packages().map(|it| (it.nevra.clone(), it.checksum.clone())).collect()
        };
        (one.arch, &one.dist, &one.runtimes) == (other.arch, &other.dist, &other.runtimes)
            && packages(one) == packages(other)
    };
    one.trees.len() == other.trees.len() && one.trees.iter().zip(&other.trees).all(is_same)
}
