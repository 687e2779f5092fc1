//! Packages that were unpacked before come from the store below the cache: nothing is fetched or decoded for
//! them. Their signatures are verified as ever, by the keys of today; and what is wrong there is taken out,
//! and unpacked from its package.

use std::collections::HashSet;
use std::thread;

use super::due::{DuePackage, places};
use super::make::Making;
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::report::{Event, Phase};
use crate::sandbox;
use crate::store::Store;
use crate::tools::threads;
use crate::trust::{self, TrustError};
use crate::unpack::{self, Restored, Unpacked};

/// Those of `wanted` that the store has, it seems, and the others.
pub(super) fn sort_out<'a>(
    store: Option<&Store>,
    wanted: Vec<DuePackage<'a>>,
) -> (Vec<DuePackage<'a>>, Vec<DuePackage<'a>>) {
    let is_there = |wanted: &DuePackage<'_>| store.is_some_and(|store| store.has(&wanted.key()));
    wanted.into_iter().partition(is_there)
}

/// The first of each package of `absent`, and those that are the same, where they are kept for each other.
pub(super) fn set_apart<'a>(
    store: Option<&Store>,
    absent: Vec<DuePackage<'a>>,
) -> (Vec<DuePackage<'a>>, Vec<DuePackage<'a>>) {
    let mut first = HashSet::new();
    absent.into_iter().partition(|wanted| store.is_none() || first.insert(wanted.key()))
}

/// Puts those of `kept` into their trees that the store has whole. The others.
///
/// # Errors
/// When a tree cannot be written, or packages do not go together.
pub(super) fn restore<'a>(
    context: Context<'_>,
    keys: &Keys<'_>,
    trees: &[Making<'_>],
    kept: Vec<DuePackage<'a>>,
) -> Result<Vec<DuePackage<'a>>, Error> {
    let Some(store) = context.store.filter(|_| !kept.is_empty()) else { return Ok(kept) };
    // Here, because the thread that follows has no network.
    kept.iter().for_each(|wanted| keys.ensure(wanted.pins()));
    let restoring = Restoring { context, keys, store };
    let found = thread::scope(|scope| {
        let confined = |kept| {
            let _ = sandbox::confine(&places(trees));
            restoring.each(kept)
        };
        match threads::hand(scope, kept.as_slice(), confined) {
            Ok(task) => task.join().unwrap_or(Err(Error::Panicked)),
            Err(kept) => restoring.each(kept),
        }
    })?;
    let mut left = Vec::new();
    for (wanted, found) in kept.into_iter().zip(found) {
        match found {
            Found::Whole(unpacked) => wanted.tree.add(wanted.position, unpacked),
            Found::Useless { reason, is_spoilt } => {
                let name = &wanted.package.nevra;
                context.reporter.detail(format!(
                    "{name}: what was unpacked before is of no use: {reason}: it is unpacked anew"
                ));
                if is_spoilt {
                    store.discard(&wanted.key());
                }
                left.push(wanted);
            }
        }
    }
    Ok(left)
}

/// What the store has of a package.
enum Found {
    /// It is in its tree.
    Whole(Unpacked),
    /// Nothing that can be used; and whether that is for ever.
    Useless { reason: String, is_spoilt: bool },
}

#[derive(Clone, Copy)]
struct Restoring<'a> {
    context: Context<'a>,
    keys: &'a Keys<'a>,
    store: &'a Store,
}

impl Restoring<'_> {
    fn each(self, kept: &[DuePackage<'_>]) -> Result<Vec<Found>, Error> {
        let found: Vec<Found> =
            kept.iter().map(|wanted| self.one(wanted)).collect::<Result<_, Error>>()?;
        let whole = found.iter().filter(|found| matches!(found, Found::Whole(_))).count();
        if whole > 0 {
            self.context.reporter.detail(format!(
                "packages that were unpacked before, and are not decoded again: {whole}"
            ));
        }
        Ok(found)
    }

    fn one(self, wanted: &DuePackage<'_>) -> Result<Found, Error> {
        let package = wanted.package;
        let _measuring = self.context.reporter.measure_on("take from store", &package.nevra);
        let useless = |reason, is_spoilt| Ok(Found::Useless { reason, is_spoilt });
        let mut entry = match self.store.find(&wanted.key()) {
            Ok(entry) => entry,
            Err(error) => return useless(error.to_string(), true),
        };
        let proven =
            wanted.judged(self.keys, |policy| trust::open_head(entry.head(), package, policy));
        let header = match proven {
            Ok(header) => header,
            // What the package itself is judged by will say it; another run may judge otherwise.
            Err(TrustError::Package { source, .. }) if source.is_of_keys() => {
                return useless(source.to_string(), false);
            }
            Err(error) => return useless(error.to_string(), true),
        };
        let (destination, reporter) = (wanted.tree.destination(), self.context.reporter);
        let (store, only) = (self.store, &package.files);
        match unpack::restore(store, &entry, &header, only, &destination, reporter)? {
            Restored::Whole(unpacked) => {
                entry.touch();
                let (phase, by) = (Phase::Download, package.size);
                reporter.event(Event::Cached { phase, by });
                reporter.advanced(phase, by);
                Ok(Found::Whole(unpacked))
            }
            Restored::Spoilt(reason) => useless(reason, true),
        }
    }
}
