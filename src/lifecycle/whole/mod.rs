//! A prefix as its user sees it: an ordinary one, or one of several dists, each of which has a complete
//! prefix of its own in it. Whatever is asked is done to every member in order, or to the one of the dist
//! that is named; an ordinary prefix is its own only member.

mod history;
mod install;
mod keys;
mod launched;
mod pins;
mod remove;
mod sign;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::Path;

pub(crate) use history::HistoryEntry;
pub(crate) use install::{Asked, Steps};
pub(crate) use keys::KeyAges;
pub(crate) use launched::fittest;
pub(crate) use remove::{Gone, Makers, Removal, What};

use super::life::{self, WentBack};
use super::verify::Extent;
use super::{Verification, origin, repair, verify};
use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{Arch, Receipt, escape};
use crate::owned::Owners;
use crate::planning::for_dist;
use crate::prefix::{Generation, Prefix, PrefixError, Pruned};
use crate::report::Reporter;

/// How often a run plans anew because another one changed the prefix meanwhile.
const REPLANS: usize = 5;

/// A prefix with all that is in it.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    prefix: Prefix,
}

/// One complete prefix of a whole.
#[derive(Clone, Debug)]
pub(crate) struct Member(Prefix);

/// Which generation to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WayBack {
    /// On this architecture; on every one that has an older generation, where it is none.
    pub arch: Option<Arch>,
    /// Its number; the one that was live before, where it is none.
    pub to: Option<u32>,
    /// Whether it must be as it was made.
    pub is_checked: bool,
}

/// How closely a prefix is looked at.
#[derive(Clone, Copy)]
pub(crate) enum Look<'a> {
    /// With its receipts alone.
    Here(&'a Catalog),
    /// With what the packages are fetched and proved with.
    Packages {
        /// What every stage is given.
        context: Context<'a>,
        /// The keys.
        keys: &'a Keys<'a>,
        /// Whether to put back what is damaged; and then, whether to wait for another run.
        repair: Option<bool>,
        /// Where to make each tree anew, to prove where it came from; nowhere, where it is none.
        deep: Option<&'a Path>,
    },
}

impl Deref for Member {
    type Target = Prefix;

    fn deref(&self) -> &Prefix {
        &self.0
    }
}

impl Member {
    /// An architecture of it, for people: with the dist, where there are several.
    #[must_use]
    pub(crate) fn label(&self, arch: Arch) -> String {
        format!("{}{arch}", self.place())
    }

    /// The dists that it has live trees of, as far as their receipts are whole.
    fn dists(&self) -> Result<BTreeSet<String>, Error> {
        let mut dists = BTreeSet::new();
        for generation in self.live_generations()? {
            dists.extend(self.whole_receipt(&generation)?.map(|receipt| receipt.dist));
        }
        Ok(dists)
    }

    /// The live generations, with their receipts.
    fn trees(&self) -> Result<Vec<(Generation, Receipt)>, Error> {
        let mut trees = Vec::new();
        for generation in self.live_generations()? {
            let receipt = self.receipt(&generation)?;
            trees.push((generation, receipt));
        }
        Ok(trees)
    }

    /// The context for work on it: in a prefix of several dists its trees are for the machines that its
    /// dists are for, whatever this machine is. In an ordinary prefix `context` itself.
    fn context<'a>(&self, context: Context<'a>) -> Result<Context<'a>, Error> {
        if self.whole().is_none() && self.members()?.is_empty() {
            return Ok(context);
        }
        let dists = self.dists()?;
        let dists = dists.iter().filter_map(|dist| context.catalog.dist(dist).ok());
        let newest = dists.max_by_key(|dist| (dist.glibc, dist.x86_64_level));
        Ok(newest.map_or(context, |dist| for_dist(context, dist)))
    }
}

/// That nothing of the dist `wanted` is there.
#[must_use]
pub(crate) fn nothing_of(wanted: &str, there: &str) -> Error {
    let (wanted, there) = (escape(wanted), escape(there));
    Error::Usage(format!("nothing of {wanted} is installed here: there is {there}"))
}

/// Does `work`, and again where another run changed the prefix between its plan and its turn.
fn replanned<T>(
    reporter: &dyn Reporter,
    mut work: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    for _ in 0..REPLANS {
        match work() {
            Err(error @ Error::Stale { .. }) => reporter.note(format!("{error}: planning anew")),
            outcome => return outcome,
        }
    }
    work()
}

impl Whole {
    /// The prefix at `path`, which must be one already.
    ///
    /// # Errors
    /// As [`Prefix::open`].
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { prefix: Prefix::open(path)? })
    }

    /// The prefix at `path`, which may be nothing yet.
    ///
    /// # Errors
    /// As [`Prefix::create`].
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        Ok(Self { prefix: Prefix::create(path)? })
    }

    /// The same, which these may own and write to, too.
    #[must_use]
    pub(crate) fn trusting(self, owners: Owners) -> Self {
        Self { prefix: self.prefix.trusting(owners) }
    }

    /// The prefix that it is at the outside.
    #[must_use]
    pub(crate) fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// What it holds itself, and its members; of these only what is of `dist`, where that is named.
    ///
    /// # Errors
    /// When the prefix cannot be read, or has nothing of the named dist.
    pub(crate) fn members(&self, dist: Option<&str>) -> Result<Vec<Member>, Error> {
        let all = self.all()?;
        let Some(wanted) = dist else { return Ok(all) };
        let (mut there, mut chosen) = (BTreeSet::new(), Vec::new());
        for member in all {
            let dists = member.dists()?;
            if dists.contains(wanted) {
                chosen.push(member);
            }
            there.extend(dists);
        }
        if chosen.is_empty() {
            let there: Vec<String> = there.into_iter().collect();
            let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
            return Err(nothing_of(wanted, &there));
        }
        Ok(chosen)
    }

    fn all(&self) -> Result<Vec<Member>, Error> {
        let members = self.prefix.members()?;
        let has_generations = |arch: Arch| {
            self.prefix.generations(arch).is_ok_and(|generations| !generations.is_empty())
        };
        let has_own = members.is_empty() || Arch::ALL.into_iter().any(has_generations);
        let own = has_own.then(|| Member(self.prefix.clone()));
        Ok(own.into_iter().chain(members.into_iter().map(|(_, member)| Member(member))).collect())
    }

    /// The live generations of every member, with their receipts.
    ///
    /// # Errors
    /// As [`Whole::members`], and when a receipt cannot be used.
    pub(crate) fn trees(&self, dist: Option<&str>) -> Result<Vec<(Generation, Receipt)>, Error> {
        let mut trees = Vec::new();
        for member in self.members(dist)? {
            trees.extend(member.trees()?);
        }
        Ok(trees)
    }

    /// The same, each with where it lies beside the launchers.
    ///
    /// # Errors
    /// As [`Whole::trees`].
    pub(crate) fn placed_trees(&self) -> Result<Vec<(String, Generation, Receipt)>, Error> {
        let mut trees = Vec::new();
        for member in self.members(None)? {
            let placed = |(generation, receipt): (Generation, Receipt)| {
                (member.label(generation.arch), generation, receipt)
            };
            trees.extend(member.trees()?.into_iter().map(placed));
        }
        Ok(trees)
    }

    /// Makes older generations live again. `told` hears of each member what was live and what is; of
    /// several, one that has nothing to go back to stays as it is.
    ///
    /// # Errors
    /// When there is no such generation, it is damaged, or the prefix cannot be written.
    pub(crate) fn roll_back(
        &self,
        catalog: &Catalog,
        (dist, way): (Option<&str>, WayBack),
        wait: bool,
        reporter: &dyn Reporter,
        told: &mut dyn FnMut(&Member, &[WentBack]),
    ) -> Result<(), Error> {
        let members = self.members(dist)?;
        let refuse = |problem: &str| Err(Error::Usage(problem.to_owned()));
        if way.to.is_some() && members.len() > 1 {
            return refuse("each dist counts its own generations: name one with --dist");
        }
        for member in &members {
            if way.to.is_some() && way.arch.is_none() && member.arches()?.len() > 1 {
                return refuse(
                    "each architecture counts its own generations: name one with --arch",
                );
            }
            let locked = member.lock(wait, reporter)?;
            locked.clean(reporter)?;
            let arches: Vec<Arch> = way.arch.into_iter().collect();
            let done =
                life::roll_back(catalog, &locked, &arches, (way.to, way.is_checked), reporter);
            match done {
                Err(Error::Prefix(error @ PrefixError::NoGeneration { .. }))
                    if members.len() > 1 =>
                {
                    reporter.note(format!("{}: {error}: it stays as it is", member.place()));
                }
                done => told(member, &done?),
            }
        }
        Ok(())
    }

    /// Deletes old generations, as [`crate::prefix::Locked::prune`] does. `told` hears what became of each
    /// architecture.
    ///
    /// # Errors
    /// When the prefix cannot be read or written.
    pub(crate) fn prune(
        &self,
        dist: Option<&str>,
        (keep, force): (usize, bool),
        wait: bool,
        reporter: &dyn Reporter,
        told: &mut dyn FnMut(&Member, Arch, Pruned),
    ) -> Result<(), Error> {
        for member in self.members(dist)? {
            let locked = member.lock(wait, reporter)?;
            locked.clean(reporter)?;
            for arch in Arch::ALL {
                told(&member, arch, locked.prune(arch, keep, force)?);
            }
        }
        self.drop_empty(wait, reporter)
    }

    /// Looks whether everything is as it was made, to this extent. `told` hears what was found in each
    /// member, with its place.
    ///
    /// # Errors
    /// When something cannot be read or, where packages are asked for, had. Damage is no error.
    pub(crate) fn verify(
        &self,
        (dist, extent): (Option<&str>, Extent<'_>),
        look: Look<'_>,
        reporter: &dyn Reporter,
        told: &mut dyn FnMut(&str, &Verification),
    ) -> Result<Verification, Error> {
        let mut members = self.members(dist)?;
        let has_own = members.iter().any(|member| member.path() == self.prefix.path());
        if dist.is_none() && !has_own {
            // Its launchers are its own, though its trees are its members'.
            members.push(Member(self.prefix.clone()));
        }
        if let Look::Packages { keys, .. } = look {
            self.inform(keys)?;
        }
        let mut verification = Verification::default();
        for member in &members {
            let found = match look {
                Look::Here(catalog) => verify::verify(catalog, member, extent, reporter)?,
                Look::Packages { context, keys, repair, deep } => {
                    let context = member.context(context)?;
                    let mut found = match repair {
                        Some(wait) => repair::repair(context, keys, member, extent, wait)?,
                        None => verify::verify(context.catalog, member, extent, reporter)?,
                    };
                    if let Some(temporary) = deep {
                        origin::verify_origin(context, keys, member, temporary, &mut found)?;
                    }
                    found
                }
            };
            told(&member.place(), &found);
            verification.add(found, &member.place());
        }
        Ok(verification)
    }

    /// Removes what is left of dists that nothing is installed of any more.
    fn drop_empty(&self, wait: bool, reporter: &dyn Reporter) -> Result<(), Error> {
        if self.prefix.takes_members() {
            self.prefix.lock(wait, reporter)?.drop_empty_members();
        }
        Ok(())
    }
}
