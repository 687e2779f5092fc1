//! A version as it is wanted.

use std::collections::{BTreeMap, BTreeSet};

use super::base::Standing;
use super::configure::Override;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::{Arch, Checksum, Plan, Receipt, RelPath, TreePlan, escape};
use crate::planning::definitions;
use crate::relocate;

/// A version as it is wanted: what it is called, what is in it, and what is set there.
#[derive(Clone, Debug)]
pub(crate) struct Edition {
    /// The directory's name, unless other content has that already.
    pub(crate) version: String,
    /// Whether that name was given, and is not its version.
    pub(crate) is_named: bool,
    /// Its trees.
    pub(crate) plan: Plan,
    /// What is set below `etc/` of each.
    pub(crate) configuration: BTreeMap<RelPath, Override>,
    /// Whether each tree is for the machines that run its dist, whatever machine this is.
    pub(crate) is_by_dist: bool,
}

impl Edition {
    /// That of `plan`, called by the version of its only runtime, or by `name`.
    ///
    /// # Errors
    /// When it has several runtimes or versions and no name; or one that is no directory's.
    pub(crate) fn new(
        plan: Plan,
        name: Option<&str>,
        configuration: BTreeMap<RelPath, Override>,
        is_by_dist: bool,
    ) -> Result<Self, Error> {
        let version = match name {
            Some(name) => name.to_owned(),
            None => version(&plan)?,
        };
        check_name(&version)?;
        Ok(Self { version, is_named: name.is_some(), plan, configuration, is_by_dist })
    }

    /// The names of its runtimes.
    #[must_use]
    pub(crate) fn runtimes(&self) -> Vec<String> {
        let runtimes = self.plan.trees.iter().flat_map(|tree| &tree.runtimes);
        let names: BTreeSet<&String> = runtimes.map(|runtime| &runtime.name).collect();
        names.into_iter().cloned().collect()
    }

    /// Where `tree` goes, from the version on: beside `bin`, or with its dist, where an architecture has several.
    #[must_use]
    pub(super) fn directory(&self, tree: &TreePlan) -> String {
        let arches: BTreeSet<Arch> = self.plan.trees.iter().map(|tree| tree.arch).collect();
        match arches.len() < self.plan.trees.len() {
            true => format!("dists/{}/", tree.dist),
            false => String::new(),
        }
    }

    /// Each tree, with the path that it has in the version.
    ///
    /// # Errors
    /// When a dist's name is no directory's.
    pub(super) fn places(&self) -> Result<Vec<(RelPath, &TreePlan)>, Error> {
        let place = |tree| {
            let text = format!("{}{}", self.directory(tree), tree.arch);
            match RelPath::new(&text) {
                Ok(path) => Ok((path, tree)),
                Err(_) => Err(Error::Usage(format!("{} names no directory", escape(&text)))),
            }
        };
        self.plan.trees.iter().map(place).collect()
    }

    /// Digests of what is asked for below `etc/`.
    #[must_use]
    pub(super) fn settings(&self) -> BTreeMap<RelPath, Checksum> {
        self.configuration.iter().map(|(path, wanted)| (path.clone(), wanted.digest())).collect()
    }

    /// Whether `standing` has just this content.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub(super) fn is(&self, catalog: &Catalog, standing: &Standing) -> Result<bool, Error> {
        let places = self.places()?;
        let paths = places.iter().map(|(path, _)| path).collect::<BTreeSet<_>>();
        if paths != standing.about.trees.iter().collect()
            || self.settings() != standing.about.configuration
        {
            return Ok(false);
        }
        let trees: BTreeMap<RelPath, Receipt> =
            standing.trees()?.into_iter().map(|(path, tree)| (path, tree.receipt)).collect();
        let is_same = |(path, tree): &(RelPath, &TreePlan)| {
            let receipt = trees.get(path)?;
            let with = definitions::planned_with(catalog, tree);
            let rules = receipt.reuse.as_ref().map(|reuse| reuse.relocator);
            let is_same = receipt.arch == tree.arch
                && receipt.runtimes == tree.runtimes
                && receipt.is_of(tree)
                && receipt.made_with == with
                && rules == Some(relocate::RULES);
            is_same.then_some(())
        };
        Ok(places.iter().map(is_same).all(|same| same.is_some()))
    }
}

/// The version of the plan's only runtime.
fn version(plan: &Plan) -> Result<String, Error> {
    let runtimes = plan.trees.iter().flat_map(|tree| &tree.runtimes);
    let named: BTreeSet<(&String, &String)> =
        runtimes.map(|runtime| (&runtime.name, &runtime.version)).collect();
    let several = named.iter().map(|(name, version)| format!("{name} {version}"));
    match named.first() {
        Some((_, version)) if named.len() == 1 => Ok((*version).clone()),
        _ => Err(Error::Usage(format!(
            "what is published is called by its version, and here are several ({}): name one with -v, or call it \
             otherwise with --name",
            escape(&several.collect::<Vec<_>>().join(", "))
        ))),
    }
}

/// Refuses what is no name of a version's directory.
fn check_name(name: &str) -> Result<(), Error> {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "._+~^-".contains(character);
    let is_own = ["current", "bin"].contains(&name);
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    match name.chars().all(is_plain) && begins_well && !is_own {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "{} cannot be a version's name: letters, digits and . _ + ~ ^ - may stand in one",
            escape(name)
        ))),
    }
}
