//! `elsewhere history`: which generation was live from when, and what it changed.

use std::path::PathBuf;

use clap::Args;

use super::options::Output;
use super::parts::PartOf;
use super::update::describe_change;
use crate::error::Error;
use crate::host::{Host, date};
use crate::lifecycle::{HistoryEntry, Whole};
use crate::model::escape;
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

impl History {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let whole = Whole::open(&host.absolute(&self.prefix))?;
        let entries = whole.history(self.part.dist())?;
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

/// An entry, for people.
fn describe(entry: &HistoryEntry) -> String {
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
