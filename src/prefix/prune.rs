//! Going back, and deleting what is no longer needed.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::PrefixError;
use super::event::Event;
use super::replay::{Live, Settled};
use super::{Generation, Locked, Prefix};
use crate::model::Arch;
use crate::tools::machine;
use crate::workshop::ConfigReport;

/// A generation that was live in the last seven days may be in use on machines that this one cannot
/// see, and NFS clients may still have its symlink in their caches. In seconds.
const GRACE: u64 = 7 * 24 * 60 * 60;

/// What [`Locked::prune`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Generations that were deleted.
    pub removed: Vec<u32>,
    /// Generations that were spared, and why.
    pub spared: Vec<(u32, String)>,
    /// Bytes that those take on disk; what they share with each other or with others counts once.
    pub spared_size: u64,
}

/// What [`Locked::roll_back`] did.
#[derive(Clone, Debug)]
pub struct RolledBack {
    /// What was live; nothing where its link was lost.
    pub from: Option<Generation>,
    /// What is live.
    pub to: Generation,
    /// What became of the user's configuration.
    pub config: ConfigReport,
}

impl Locked {
    /// Makes an older generation live again: number `to`, or the one that was live before. Edits of
    /// the configuration since the live generation became so are carried along.
    ///
    /// # Errors
    /// [`PrefixError::NoGeneration`], or that the prefix cannot be read or written.
    pub fn roll_back(&self, arch: Arch, to: Option<u32>) -> Result<RolledBack, PrefixError> {
        let (from, to) = self.way_back(arch, to)?;
        let config = match &from {
            Some(from) => self.carry_config_back(from, &to)?,
            None => ConfigReport::default(),
        };
        self.activate(&to)?;
        Ok(RolledBack { from, to, config })
    }

    /// Deletes old generations of `arch`, except the `keep` newest of them, those that are in use on
    /// this machine, and those that were live in the last seven days. `force` deletes them too. The
    /// live generation is not old.
    ///
    /// # Errors
    /// When the prefix cannot be read or written.
    pub fn prune(&self, arch: Arch, keep: usize, force: bool) -> Result<Pruned, PrefixError> {
        let live = self.live(arch)?;
        let settled = self.settled(arch)?;
        let mut pruned = Pruned::default();
        let mut old = self.generations(arch)?;
        old.retain(|generation| Some(generation) != live.as_ref());
        // Where nothing is live any more, there is nothing to go back from.
        let keep = if live.is_some() { keep } else { 0 };
        let mut seen = HashSet::new();
        for generation in old.iter().rev().skip(keep).rev() {
            let reason = if force { None } else { self.reason_to_spare(generation, &settled) };
            match reason {
                Some(reason) => {
                    pruned.spared.push((generation.number, reason));
                    let size = size_on_disk(&generation.path, &mut seen);
                    pruned.spared_size = pruned.spared_size.saturating_add(size);
                }
                None => {
                    self.discard(generation)?;
                    pruned.removed.push(generation.number);
                }
            }
        }
        self.discard_if_bare(arch)?;
        Ok(pruned)
    }

    /// Why a generation that is not live must not be deleted.
    fn reason_to_spare(&self, generation: &Generation, settled: &Settled) -> Option<String> {
        if let Some(user) = self.user_of(generation) {
            return Some(format!("in use by {user}"));
        }
        let retired = settled.retired_at(generation.number)?;
        // A clock that was wrong, or a prefix from another machine: from the future counts as now.
        let age = machine::seconds().saturating_sub(retired);
        (age < GRACE).then(|| "it was live in the last seven days".to_owned())
    }

    /// Takes `arch` out of use: removes the link to its live generation, and deletes its generations,
    /// except those that are in use on this machine or were live in the last seven days; `force`
    /// deletes them too. What is spared is [`Locked::prune`]'s later.
    ///
    /// # Errors
    /// When the prefix cannot be read or written.
    pub fn remove(&self, arch: Arch, force: bool) -> Result<Pruned, PrefixError> {
        // First the journal, so that a killed run leaves nothing that looks as if its link were lost.
        if !matches!(self.settled(arch)?.live, Live::Nothing) {
            self.note(arch, Event::Removed)?;
        }
        if self.layout.linked_number(arch)?.is_some() {
            self.unlink(arch)?;
        }
        self.prune(arch, 0, force)
    }
}

impl Prefix {
    /// The live generation of `arch`, and the one that [`Locked::roll_back`] makes live. Writes nothing.
    /// Where the link is lost and nobody knows where it led, one that is named can be gone to from nothing.
    ///
    /// # Errors
    /// [`PrefixError::NoGeneration`], or that the prefix cannot be read.
    pub fn way_back(
        &self,
        arch: Arch,
        to: Option<u32>,
    ) -> Result<(Option<Generation>, Generation), PrefixError> {
        let missing = || PrefixError::NoGeneration { arch, number: to };
        let (from, settled) = (self.live(arch)?, self.settled(arch)?);
        let generations = self.generations(arch)?;
        let number = match (to, &from) {
            (Some(number), Some(_)) => Some(number),
            (Some(number), None) => Some(number).filter(|_| settled.live == Live::Unknown),
            (None, Some(from)) => previous(&settled, from, &generations),
            (None, None) => None,
        };
        let to = generations.into_iter().find(|generation| Some(generation.number) == number);
        let to = to.filter(|to| Some(to) != from.as_ref()).ok_or_else(missing)?;
        // Before anything is changed: a generation without its receipt must not go live.
        self.receipt(&to)?;
        Ok((from, to))
    }
}

/// The number of the generation that was live before `live`, of those that are there; where none is known
/// the next lower one.
fn previous(settled: &Settled, live: &Generation, there: &[Generation]) -> Option<u32> {
    let is_there = |number: u32| there.iter().any(|generation| generation.number == number);
    let known = settled.activations.iter().rev().map(|activation| activation.generation);
    let lower = there.iter().rev().map(|generation| generation.number);
    known
        .filter(|&number| number != live.number && is_there(number))
        .chain(lower.filter(|&number| number < live.number))
        .next()
}

/// Bytes that the tree at `path` takes on disk, but for the files in `seen`, by device and number. For
/// people: what cannot be read counts nothing.
fn size_on_disk(path: &Path, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let mut size = 0;
    let mut ahead = vec![path.to_owned()];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(about) = fs::symlink_metadata(entry.path()) else { continue };
            if seen.insert((about.dev(), about.ino())) {
                // By stat(2), blocks of 512 bytes whatever the file system's are.
                size += about.blocks() * 512;
            }
            if about.is_dir() {
                ahead.push(entry.path());
            }
        }
    }
    size
}
