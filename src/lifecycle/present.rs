//! What a prefix holds before a run changes it.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::model::Arch;
use crate::planning::Present;
use crate::prefix::Prefix;
use crate::report::Reporter;

/// What is live in `prefix`. A tree of whose packages nothing is known does not count: an adopted one, or
/// one whose receipt is damaged.
///
/// # Errors
/// When it cannot be read.
pub(super) fn present(prefix: &Prefix, reporter: &dyn Reporter) -> Result<Present, Error> {
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

/// Refuses to go on where something else is live by now: a plan was made for what was `present`.
///
/// # Errors
/// [`Error::Stale`] where it is, or when the prefix cannot be read.
pub(super) fn check_present(present: &Present, prefix: &Prefix) -> Result<(), Error> {
    let live = prefix.live_generations()?.into_iter();
    let live: BTreeMap<Arch, u32> = live.map(|it| (it.arch, it.number)).collect();
    match live == present.generations {
        true => Ok(()),
        false => Err(Error::Stale { path: prefix.path().to_owned() }),
    }
}
