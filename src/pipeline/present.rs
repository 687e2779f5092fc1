//! What a prefix holds before a run changes it.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::model::{Arch, Receipt};
use crate::prefix::{Pins, Prefix};
use crate::report::Reporter;

/// What a prefix holds already: it stays, at its version where that is still to be had.
#[derive(Clone, Debug, Default)]
pub struct Present {
    /// The live trees.
    pub trees: BTreeMap<Arch, Receipt>,
    /// The numbers of the live generations, also of those of which nothing else is known.
    pub generations: BTreeMap<Arch, u32>,
    /// The versions that the user wants runtimes to stay at.
    pub pins: Pins,
}

/// What is live in `prefix`. A tree of whose packages nothing is known does not count: an adopted one, or
/// one whose receipt is damaged.
///
/// # Errors
/// When it cannot be read.
pub fn present(prefix: &Prefix, reporter: &dyn Reporter) -> Result<Present, Error> {
    let mut present = Present { pins: prefix.pins()?, ..Present::default() };
    for generation in prefix.live_generations()? {
        let arch = generation.arch;
        present.generations.insert(arch, generation.number);
        match prefix.whole_receipt(&generation)? {
            Some(receipt) if receipt.packages.is_empty() => {}
            Some(receipt) => drop(present.trees.insert(arch, receipt)),
            None => reporter.warning(format!(
                "{arch}: the receipt is damaged, so that nobody knows what is installed: name every \
                 runtime that was, or it goes"
            )),
        }
    }
    Ok(present)
}

impl Present {
    /// Refuses to go on where something else is live by now: a plan was made for what was there.
    ///
    /// # Errors
    /// [`Error::Stale`] where it is, or when the prefix cannot be read.
    pub(super) fn check(&self, prefix: &Prefix) -> Result<(), Error> {
        let live = prefix.live_generations()?.into_iter();
        let live: BTreeMap<Arch, u32> = live.map(|it| (it.arch, it.number)).collect();
        match live == self.generations {
            true => Ok(()),
            false => Err(Error::Stale { path: prefix.path().to_owned() }),
        }
    }
}
