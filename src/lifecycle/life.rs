//! What happens to a prefix without new packages: going back, and taking things out of use.

use super::install::tell_config;
use super::{launchers, siblings};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::{Arch, Receipt};
use crate::prefix::{Generation, Locked, PrefixError, Pruned};
use crate::report::Reporter;

/// What was live, if anything was, and what is.
pub(crate) type WentBack = (Option<Generation>, Generation);

/// What became of one architecture that was taken out of use.
#[derive(Clone, Debug)]
pub(crate) struct Removed {
    /// The architecture.
    pub arch: Arch,
    /// Its generations.
    pub pruned: Pruned,
}

/// Makes the generation `to`, or the one that was live before, live again in each of `arches`; in
/// those that have an older one, when `arches` is empty. Returns what was live and what is, for each.
/// With `is_checked` only to what is as it was made: files that are damaged there are put right by
/// the live generation's, where those are right.
///
/// # Errors
/// When there is no such generation, it is damaged, or the prefix cannot be written. What is not done yet stays
/// as it was.
pub(super) fn roll_back(
    catalog: &Catalog,
    prefix: &Locked,
    arches: &[Arch],
    (to, is_checked): (Option<u32>, bool),
    reporter: &dyn Reporter,
) -> Result<Vec<WentBack>, Error> {
    let mut steps = Vec::new();
    let mut first_error = None;
    for arch in if arches.is_empty() { prefix.arches()? } else { arches.to_vec() } {
        match prefix.way_back(arch, to) {
            Ok(step) => steps.push(step),
            Err(error @ PrefixError::NoGeneration { .. }) if arches.is_empty() => {
                first_error.get_or_insert(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let (true, Some(error)) = (steps.is_empty(), first_error) {
        return Err(error.into());
    }
    // Launchers first, so that none is missing when its program is live.
    let mut receipts = launchers::live(prefix)?;
    for (_, to) in &steps {
        let receipt = prefix.receipt(to)?;
        if is_checked {
            check(prefix, to, &receipt, reporter)?;
        }
        receipts.push(receipt);
    }
    launchers::write(catalog, prefix, receipts.iter(), reporter)?;
    for (_, to) in &steps {
        let done = prefix.roll_back(to.arch, Some(to.number))?;
        tell_config(reporter, done.config);
    }
    launchers::tidy(catalog, prefix, reporter)?;
    Ok(steps)
}

/// Proves that a generation is as it was made, and puts right what another one has right.
fn check(
    prefix: &Locked,
    generation: &Generation,
    receipt: &Receipt,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    // Of a tree that was adopted nobody knows how it was made.
    if receipt.packages.is_empty() {
        return Ok(());
    }
    let files = receipt.all_files();
    let damaged = siblings::damaged(generation, &files, reporter)?;
    let rest = siblings::mend(prefix, generation, damaged, reporter)?;
    if rest.is_empty() {
        return Ok(());
    }
    let (path, arch) = (prefix.path().to_owned(), generation.arch);
    let paths = rest.iter().map(|file| file.path.to_string()).collect();
    Err(Error::DamagedGeneration { path, arch, number: generation.number, paths })
}

/// Takes `arches` out of use, and then the launchers that nothing needs any more.
///
/// # Errors
/// When the prefix cannot be written.
pub(super) fn remove(
    catalog: &Catalog,
    prefix: &Locked,
    arches: &[Arch],
    force: bool,
    reporter: &dyn Reporter,
) -> Result<Vec<Removed>, Error> {
    let mut removed = Vec::new();
    for &arch in arches {
        removed.push(Removed { arch, pruned: prefix.remove(arch, force)? });
    }
    launchers::tidy(catalog, prefix, reporter)?;
    Ok(removed)
}
