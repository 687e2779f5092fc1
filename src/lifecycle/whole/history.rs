//! What became live when, and what that changed.

use serde::Serialize;

use super::{Member, Whole};
use crate::error::Error;
use crate::lifecycle::changes::{Change, changes_between};
use crate::model::{Arch, Nevra, PlannedRuntime, Receipt};

/// A generation became live.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HistoryEntry {
    /// Its architecture.
    pub arch: Arch,
    /// The same, with the dist, where there are several.
    pub place: String,
    /// Its number.
    pub generation: u32,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Whether it is live now.
    pub is_live: bool,
    /// Whether it can be rolled back to.
    pub is_there: bool,
    /// Its runtimes, as far as that is known.
    pub runtimes: Vec<PlannedRuntime>,
    /// Against what was live before; `None` when either is not there any more.
    pub changes: Option<Vec<Change>>,
}

impl Whole {
    /// The history of every member, by architecture, oldest first.
    ///
    /// # Errors
    /// When the prefix cannot be read, or has nothing of the named dist.
    pub(crate) fn history(&self, dist: Option<&str>) -> Result<Vec<HistoryEntry>, Error> {
        let mut entries = Vec::new();
        for member in self.members(dist)? {
            for arch in Arch::ALL {
                entries.extend(of_arch(&member, arch)?);
            }
        }
        Ok(entries)
    }
}

fn of_arch(member: &Member, arch: Arch) -> Result<Vec<HistoryEntry>, Error> {
    let live = member.live(arch)?;
    let generations = member.generations(arch)?;
    let receipt = |number: u32| -> Option<Receipt> {
        let generation = generations.iter().find(|generation| generation.number == number)?;
        member.receipt(generation).ok()
    };
    let activations = member.history(arch)?;
    let mut entries = Vec::new();
    // Before the first there was nothing.
    let mut before = Some(Vec::new());
    for (position, activation) in activations.iter().enumerate() {
        let now = receipt(activation.generation);
        let packages: Option<Vec<(bool, Nevra)>> = now.as_ref().map(|receipt| {
            receipt.nevras().map(|(is_inside, nevra)| (is_inside, nevra.clone())).collect()
        });
        let changes = match (&before, &packages) {
            (Some(old), Some(new)) => Some(between(old, new)),
            _ => None,
        };
        let is_last = position + 1 == activations.len();
        entries.push(HistoryEntry {
            arch,
            place: member.label(arch),
            generation: activation.generation,
            at: activation.at,
            is_live: is_last && live.as_ref().is_some_and(|it| it.number == activation.generation),
            is_there: now.is_some(),
            runtimes: now.map_or(Vec::new(), |receipt| receipt.runtimes),
            changes,
        });
        before = packages;
    }
    Ok(entries)
}

fn between(old: &[(bool, Nevra)], new: &[(bool, Nevra)]) -> Vec<Change> {
    changes_between(
        old.iter().map(|(is_inside, nevra)| (*is_inside, nevra)),
        new.iter().map(|(is_inside, nevra)| (*is_inside, nevra)),
    )
}
