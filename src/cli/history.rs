//! `elsewhere history`: which generation was live from when, and what it changed.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::options::Output;
use super::parts::{PartOf, label};
use super::update::describe_change;
use crate::error::Error;
use crate::host::{Host, date};
use crate::lifecycle::{Change, changes_between};
use crate::model::{Arch, Nevra, PlannedRuntime, Receipt, escape};
use crate::prefix::Prefix;
use crate::terminal::Terminal;

/// Show what was installed when, package by package
///
/// Each line is a generation becoming live, by an install, an update or a rollback, with what it
/// changed. Generations that were pruned are named without their packages.
#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    part: PartOf,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix to look at
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

/// A generation became live.
#[derive(Serialize)]
struct Entry {
    arch: Arch,
    /// Where it is live: the architecture, below the prefix.
    place: String,
    generation: u32,
    /// When, in seconds since 1970.
    at: u64,
    /// Whether it is live now.
    is_live: bool,
    /// Whether it can be rolled back to.
    is_there: bool,
    runtimes: Vec<PlannedRuntime>,
    /// Against what was live before; `None` when either is not there any more.
    changes: Option<Vec<Change>>,
}

impl History {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let prefix = Prefix::open(&host.absolute(&self.prefix))?;
        let mut entries = Vec::new();
        for part in self.part.of(&prefix)? {
            for arch in Arch::ALL {
                entries.extend(of_arch(&part, arch)?);
            }
        }
        if self.output.json {
            terminal.output_json(&entries);
            return Ok(());
        }
        if entries.is_empty() {
            terminal.output(format_args!("{}: nothing was ever installed", self.prefix.display()));
        }
        entries.iter().for_each(|entry| terminal.output(describe(entry)));
        Ok(())
    }
}

/// The history of one architecture, oldest first.
fn of_arch(prefix: &Prefix, arch: Arch) -> Result<Vec<Entry>, Error> {
    let live = prefix.live(arch)?;
    let generations = prefix.generations(arch)?;
    let receipt = |number: u32| -> Option<Receipt> {
        let generation = generations.iter().find(|generation| generation.number == number)?;
        prefix.receipt(generation).ok()
    };
    let activations = prefix.history(arch)?;
    let mut entries = Vec::new();
    // Before the first there was nothing.
    let mut before = Some(Vec::new());
    for (position, activation) in activations.iter().enumerate() {
        let now = receipt(activation.generation);
        let packages: Option<Vec<(bool, Nevra)>> = now.as_ref().map(|receipt| {
            receipt.nevras().map(|(is_inside, nevra)| (is_inside, nevra.clone())).collect()
        });
        let changes = match (&before, &packages) {
            (Some(old), Some(new)) => {
                let of_old = old.iter().map(|(is_inside, nevra)| (*is_inside, nevra));
                let of_new = new.iter().map(|(is_inside, nevra)| (*is_inside, nevra));
                Some(changes_between(of_old, of_new))
            }
            _ => None,
        };
        let is_last = position + 1 == activations.len();
        entries.push(Entry {
            arch,
            place: label(prefix, arch),
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

/// An entry, for people.
fn describe(entry: &Entry) -> String {
    let state = match (entry.is_live, entry.is_there) {
        (true, _) => " (live)",
        (false, true) => "",
        (false, false) => " (no longer there)",
    };
    let runtimes: Vec<String> = entry
        .runtimes
        .iter()
        .map(|runtime| format!(" {} {}", escape(&runtime.name), escape(&runtime.version)))
        .collect();
    let (day, arch, number) = (date(entry.at), &entry.place, entry.generation);
    let mut text = format!("{day} {arch} generation {number}{state}{}", runtimes.join(","));
    for change in entry.changes.iter().flatten() {
        text.push_str("\n  ");
        text.push_str(&describe_change(change));
    }
    if entry.changes.as_ref().is_some_and(Vec::is_empty) {
        text.push_str("\n  the same packages");
    }
    text
}
