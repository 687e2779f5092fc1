//! What is to be done in a base, decided before anything is touched.

use std::collections::BTreeSet;
use std::fs;

use serde::Serialize;

use super::base::{Base, Standing};
use super::edition::Edition;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::{Evr, escape};

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// Which older versions stay, beside those that are wanted and the one that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Keeping {
    /// So many of the newest.
    pub(crate) versions: Option<usize>,
    /// Those that were published, or counted, within so many days.
    pub(crate) days: Option<u64>,
}

/// Which version is to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Current {
    /// The edition at this position.
    Edition(usize),
    /// Whichever does now.
    AsItIs,
}

/// A version that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct Addition {
    /// What it is called.
    pub(crate) name: String,
    /// Which content of its version it is.
    pub(crate) number: u32,
    /// Its place among versions.
    pub(crate) order: (Evr, u32),
    /// The position of its edition.
    pub(crate) edition: usize,
}

/// The link `current`, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Switch {
    /// The version that counts now, where there is one.
    pub(crate) from: Option<String>,
    /// The version that is to count.
    pub(crate) to: String,
}

/// All that is to be done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Versions that are to be made.
    pub(crate) added: Vec<Addition>,
    /// Where `current` is to lead elsewhere.
    pub(crate) switched: Option<Switch>,
    /// Versions that go.
    pub(crate) dropped: Vec<String>,
    /// Whether the link `bin` is to be made.
    pub(crate) makes_bin: bool,
    /// The names of the wanted versions, by their editions.
    pub(crate) names: Vec<String>,
}

impl Changes {
    /// What brings `base` to have `editions`, of which `current` counts.
    ///
    /// # Errors
    /// When something else has the place of one, or what stands cannot be read.
    pub(crate) fn between(
        catalog: &Catalog,
        base: &Base,
        editions: &[Edition],
        (current, keeping): (&Current, Keeping),
        now: u64,
    ) -> Result<Self, Error> {
        base.check()?;
        let mut changes = Self::default();
        for (position, edition) in editions.iter().enumerate() {
            check_neighbours(base, edition)?;
            let name = match same(catalog, base, edition)? {
                Some(standing) => standing.name.clone(),
                None => {
                    let (name, number) = free_name(base, edition, &changes.added)?;
                    let order = (Evr::parse(&edition.version), number);
                    let addition =
                        Addition { name: name.clone(), number, order, edition: position };
                    changes.added.push(addition);
                    name
                }
            };
            changes.names.push(name);
        }
        let wanted = match current {
            Current::Edition(position) => changes.names.get(*position),
            Current::AsItIs => None,
        };
        if let Some(to) = wanted.filter(|to| base.current.as_ref() != Some(to)) {
            changes.switched = Some(Switch { from: base.current.clone(), to: to.clone() });
        }
        let counts = wanted.or(base.current.as_ref());
        changes.makes_bin = counts.is_some() && !base.has_bin;
        changes.dropped = dropped(base, &changes, counts, keeping, now);
        Ok(changes)
    }

    /// Whether everything is as it is wanted.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.switched.is_none()
            && self.dropped.is_empty()
            && !self.makes_bin
    }
}

/// Refuses to put versions of different runtimes beside each other: nobody could say what `current` is of. A
/// name that was given says it.
fn check_neighbours(base: &Base, edition: &Edition) -> Result<(), Error> {
    let runtimes = edition.runtimes();
    let stranger = base.versions.iter().find(|standing| standing.about.runtimes != runtimes);
    match stranger.filter(|_| !edition.is_named) {
        None => Ok(()),
        Some(stranger) => Err(Error::Usage(format!(
            "{} has versions of {}: publish {} in a directory of its own, or name its versions with --name",
            escape(&base.root.to_string_lossy()),
            escape(&stranger.about.runtimes.join(", ")),
            escape(&runtimes.join(", "))
        ))),
    }
}

/// The version that has just the content of `edition`: the newest, where several have.
fn same<'b>(
    catalog: &Catalog,
    base: &'b Base,
    edition: &Edition,
) -> Result<Option<&'b Standing>, Error> {
    for standing in base.versions.iter().rev() {
        if standing.about.version == edition.version && edition.is(catalog, standing)? {
            return Ok(Some(standing));
        }
    }
    Ok(None)
}

/// A name for `edition` that no version has.
fn free_name(base: &Base, edition: &Edition, added: &[Addition]) -> Result<(String, u32), Error> {
    let version = &edition.version;
    let its = base.versions.iter().filter(|standing| standing.about.version == *version);
    let mut number = its.map(|standing| standing.about.number).max().unwrap_or(0) + 1;
    loop {
        let name = match number {
            1 => version.clone(),
            number => format!("{version}-{number}"),
        };
        let path = base.root.join(&name);
        if added.iter().all(|addition| addition.name != name) {
            if fs::symlink_metadata(&path).is_err() {
                return Ok((name, number));
            }
            if base.version(&name).is_none() {
                return Err(Error::Usage(format!(
                    "{} is there, and no published version: remove it, or name another directory",
                    escape(&path.to_string_lossy())
                )));
            }
        }
        number += 1;
    }
}

/// The versions that go by `keeping`.
fn dropped(
    base: &Base,
    changes: &Changes,
    counts: Option<&String>,
    keeping: Keeping,
    now: u64,
) -> Vec<String> {
    if keeping == Keeping::default() {
        return Vec::new();
    }
    let mut stays: BTreeSet<&String> = changes.names.iter().chain(counts).collect();
    let standing = base.versions.iter().map(|version| (version.about.order(), &version.name));
    let added = changes.added.iter().map(|addition| (addition.order.clone(), &addition.name));
    let mut all: Vec<_> = standing.chain(added).collect();
    all.sort();
    stays.extend(all.iter().rev().take(keeping.versions.unwrap_or(0)).map(|(_, name)| *name));
    let since = now.saturating_sub(keeping.days.unwrap_or(0).saturating_mul(DAY));
    let is_young =
        |name: &str| {
            keeping.days.is_some()
                && base.record.versions.get(name).is_none_or(|times| {
                    times.published.max(times.current_until.unwrap_or(0)) >= since
                })
        };
    // What counts until this run ends was current just now.
    let is_just_over =
        |name: &String| keeping.days.is_some() && base.current.as_ref() == Some(name);
    let names = base.versions.iter().map(|version| &version.name);
    let goes = |name: &&String| !stays.contains(name) && !is_young(name) && !is_just_over(name);
    names.filter(goes).cloned().collect()
}
