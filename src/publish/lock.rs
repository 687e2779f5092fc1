//! What a run published, written down: so that another run, anywhere, makes the same bytes.

use std::path::Path;

use serde::{Deserialize, Serialize};

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

    /// The plans of `goals`: as `earlier` has them, of the same packages. Where not all can be had that is wished for in
    /// one of `bases`, what it had stays.
    #[must_use]
    pub(crate) fn of(
        keys: &Keys<'_>,
        (goals, bases): (&[Goal], &[&str]),
        earlier: Option<&Self>,
    ) -> Self {
        let mut versions = Vec::new();
        for goal in goals {
            for edition in &goal.editions {
                let known = earlier.and_then(|earlier| earlier.same(&goal.name, &edition.plan));
                let plan = known.cloned().unwrap_or_else(|| {
                    let certificates = keys.copies(&edition.plan.signers());
                    Plan { certificates, ..edition.plan.clone() }
                });
                let (base, version) = (goal.name.clone(), edition.version.clone());
                versions.push(LockedVersion { base, version, plan });
            }
        }
        let is_missed = |it: &&LockedVersion| {
            let goal = goals.iter().find(|goal| goal.name == it.base);
            let is_planned =
                |goal: &Goal| goal.editions.iter().any(|its| its.version == it.version);
            bases.contains(&&*it.base)
                && goal.is_none_or(|goal| !goal.is_whole && !is_planned(goal))
        };
        let missed = earlier.into_iter().flat_map(|earlier| &earlier.versions).filter(is_missed);
        let missed: Vec<LockedVersion> = missed.cloned().collect();
        versions.extend(missed);
        Self { format: FORMAT, versions }
    }

    /// The versions that it has of this base.
    pub(super) fn versions_of(&self, base: &str) -> Vec<&str> {
        let its = self.versions.iter().filter(|it| it.base == base);
        its.map(|it| it.version.as_str()).collect()
    }

    /// The plan of this version.
    pub(super) fn plan(&self, base: &str, version: &str) -> Option<&Plan> {
        let mut its = self.versions.iter().filter(|it| it.base == base);
        its.find(|it| it.version == version).map(|it| &it.plan)
    }

    /// The plan that it has of the same packages.
    pub(super) fn same(&self, base: &str, plan: &Plan) -> Option<&Plan> {
        let mut its = self.versions.iter().filter(|it| it.base == base);
        its.find(|it| has_same(&it.plan, plan)).map(|it| &it.plan)
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

/// Whether two plans make the same of the same packages: where these come from may differ, and when that was looked at.
fn has_same(one: &Plan, other: &Plan) -> bool {
    let packages = |tree: &TreePlan| -> Vec<_> {
        let packages = tree.packages.iter();
        packages.map(|it| (it.nevra.clone(), it.checksum.clone(), it.files.clone())).collect()
    };
    let is_same = |(one, other): (&TreePlan, &TreePlan)| {
        (one.arch, &one.dist, &one.runtimes) == (other.arch, &other.dist, &other.runtimes)
            && one.disabled_repositories == other.disabled_repositories
            && one.enabled_repositories == other.enabled_repositories
            && packages(one) == packages(other)
    };
    let parts =
        |plan: &'_ Plan| plan.trees.iter().map(|tree| tree.parts().count()).collect::<Vec<_>>();
    let all = one.trees.iter().flat_map(TreePlan::parts);
    parts(one) == parts(other) && all.zip(other.trees.iter().flat_map(TreePlan::parts)).all(is_same)
}
