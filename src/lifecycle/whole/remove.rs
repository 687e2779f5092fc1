//! Taking architectures, runtimes or everything out of a prefix.

use std::collections::BTreeSet;

use super::{Member, Whole, replanned};
use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::Error;
use crate::lifecycle::install::{InstallOptions, InstalledTree, install};
use crate::lifecycle::life::{self, Removed};
use crate::lifecycle::present::present;
use crate::metadata::Keys;
use crate::model::{Arch, Plan, Receipt, escape};
use crate::planning::{self, Present};
use crate::report::{Reporter, Silent};

/// What goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    /// Everything.
    All,
    /// An architecture.
    Arch(Arch),
    /// A runtime, on every architecture.
    Runtime(&'a str),
}

/// A removal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Removal<'a> {
    /// What goes.
    pub what: What<'a>,
    /// From which dist; from all, where none is named.
    pub dist: Option<&'a str>,
    /// Whether generations go that something may still run.
    pub force: bool,
    /// Whether to wait for another run.
    pub wait: bool,
}

/// What became of something.
#[derive(Clone, Debug)]
pub(crate) enum Gone {
    /// An architecture is out of use.
    Arch(Removed),
    /// A tree was made without the runtime.
    Runtime(InstalledTree),
    /// There is nothing to remove.
    Nothing,
}

/// What a tree without a runtime is made with.
#[derive(Clone, Copy)]
pub(crate) struct Makers<'a> {
    /// What every stage is given.
    pub context: Context<'a>,
    /// The keys.
    pub keys: &'a Keys<'a>,
    /// What the caller decides.
    pub options: InstallOptions<'a>,
    /// Lets its plan pass, or not.
    pub check: &'a dyn Fn(&Plan) -> Result<(), Error>,
}

impl Whole {
    /// Whether a tree must be made to remove what is asked: one that has other runtimes too.
    ///
    /// # Errors
    /// When the prefix cannot be read, or has nothing of the named dist.
    pub(crate) fn needs_making(&self, removal: Removal<'_>) -> Result<bool, Error> {
        let What::Runtime(name) = removal.what else { return Ok(false) };
        let mut trees = Vec::new();
        for member in self.members(removal.dist)? {
            trees.extend(present(&member, &Silent::default())?.trees.into_values());
        }
        Ok(trees.iter().any(|tree| has(tree, name) && tree.runtimes.len() > 1))
    }

    /// Removes what is asked, and what is left of it elsewhere: launchers, pins, members in which nothing
    /// is any more. `told` hears what becomes of each architecture of each member.
    ///
    /// # Errors
    /// When the runtime is not there, or the prefix cannot be written. [`Error::Stale`] where a tree must
    /// be made, and [`Whole::needs_making`] said otherwise.
    pub(crate) fn remove(
        &self,
        catalog: &Catalog,
        removal: Removal<'_>,
        makers: Option<Makers<'_>>,
        reporter: &dyn Reporter,
        told: &mut dyn FnMut(&Member, Gone),
    ) -> Result<(), Error> {
        let mut members = self.members(removal.dist)?;
        if let (What::Runtime(name), true) = (removal.what, members.len() > 1) {
            let mut having = Vec::new();
            for member in &members {
                if present(member, reporter)?.trees.values().any(|tree| has(tree, name)) {
                    having.push(member.clone());
                }
            }
            members = if having.is_empty() { members } else { having };
        }
        for member in &members {
            let step = Step { catalog, removal, makers, member, reporter };
            replanned(reporter, || step.run(told))?;
        }
        self.forget_pins(removal, reporter)?;
        self.drop_empty(removal.wait, reporter)
    }

    /// Drops the pins of what is no longer in any member.
    fn forget_pins(&self, removal: Removal<'_>, reporter: &dyn Reporter) -> Result<(), Error> {
        let mut left = BTreeSet::new();
        for member in self.all()? {
            for tree in present(&member, &Silent::default())?.trees.into_values() {
                left.extend(tree.runtimes.into_iter().map(|runtime| runtime.name));
            }
        }
        let is_over = |name: &str| match removal.what {
            What::Runtime(removed) => removed == name && !left.contains(name),
            What::All => !left.contains(name),
            What::Arch(_) => false,
        };
        self.unpin(&is_over, removal.wait, reporter).map(drop)
    }
}

/// A removal from one member.
struct Step<'a> {
    catalog: &'a Catalog,
    removal: Removal<'a>,
    makers: Option<Makers<'a>>,
    member: &'a Member,
    reporter: &'a dyn Reporter,
}

impl Step<'_> {
    fn run(&self, told: &mut dyn FnMut(&Member, Gone)) -> Result<(), Error> {
        self.finish_killed_run()?;
        let name = match self.removal.what {
            What::All => return self.remove_arches(&Arch::ALL, told),
            What::Arch(arch) => return self.remove_arches(&[arch], told),
            What::Runtime(name) => name,
        };
        let present = present(self.member, self.reporter)?;
        let (only, shared) = trees_with(&present, name)?;
        if !shared.is_empty() {
            self.remove_runtime((name, &shared), &present, told)?;
        }
        if !only.is_empty() {
            self.remove_arches(&only, told)?;
        }
        Ok(())
    }

    /// Removes what a killed run left, such as one that had removed the same, also when there is
    /// nothing else to remove.
    fn finish_killed_run(&self) -> Result<(), Error> {
        let locked = self.member.lock(self.removal.wait, self.reporter)?;
        locked.clean(self.reporter)?;
        life::remove(self.catalog, &locked, &[], false, self.reporter).map(drop)
    }

    fn remove_arches(
        &self,
        arches: &[Arch],
        told: &mut dyn FnMut(&Member, Gone),
    ) -> Result<(), Error> {
        let locked = self.member.lock(self.removal.wait, self.reporter)?;
        let is_there = |arch: &Arch| locked.generations(*arch).is_ok_and(|there| !there.is_empty());
        let arches: Vec<Arch> = arches.iter().copied().filter(is_there).collect();
        if arches.is_empty() {
            told(self.member, Gone::Nothing);
        }
        let force = self.removal.force;
        for removed in life::remove(self.catalog, &locked, &arches, force, self.reporter)? {
            told(self.member, Gone::Arch(removed));
        }
        Ok(())
    }

    /// Makes new generations without a runtime, on the architectures that have others too.
    fn remove_runtime(
        &self,
        (name, arches): (&str, &[Arch]),
        present: &Present,
        told: &mut dyn FnMut(&Member, Gone),
    ) -> Result<(), Error> {
        let stale = || Error::Stale { path: self.member.path().to_owned() };
        let Makers { context, keys, options, check } = self.makers.ok_or_else(stale)?;
        keys.know(&self.member.known_keys()?);
        let context = self.member.context(context)?;
        let mut trees = Vec::new();
        for tree in arches.iter().filter_map(|arch| present.trees.get(arch)) {
            trees.push(planning::without(context, keys, tree, name)?);
        }
        let plan = Plan::of(trees);
        check(&plan)?;
        let installed = install(context, keys, (&plan, present), self.member, options)?;
        for tree in installed.trees {
            told(self.member, Gone::Runtime(tree));
        }
        Ok(())
    }
}

fn has(tree: &Receipt, name: &str) -> bool {
    tree.runtimes.iter().any(|runtime| runtime.name == name)
}

/// The architectures that have nothing but the runtime, and those that have others too.
fn trees_with(present: &Present, name: &str) -> Result<(Vec<Arch>, Vec<Arch>), Error> {
    let with = present.trees.values().filter(|tree| has(tree, name));
    let (only, shared): (Vec<_>, Vec<_>) = with.partition(|tree| tree.runtimes.len() == 1);
    if only.is_empty() && shared.is_empty() {
        let runtimes = present.trees.values().flat_map(|tree| &tree.runtimes);
        let names: BTreeSet<_> = runtimes.map(|runtime| escape(&runtime.name)).collect();
        let names = Vec::from_iter(names);
        let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let name = escape(name);
        return Err(Error::Usage(format!("{name} is not installed here: there is {there}")));
    }
    let arches = |trees: Vec<&Receipt>| trees.iter().map(|tree| tree.arch).collect();
    Ok((arches(only), arches(shared)))
}
