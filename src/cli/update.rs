//! `elsewhere update`: the newest allowed version of everything that is installed.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::doctor;
use super::install::sentence;
use super::options::{AgeArgs, Output, Sources, StoreArgs, Turn};
use super::parts::{self, PartOf};
use super::programs::ProgramArgs;
use super::session::Session;
use super::trust::TrustArgs;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::{Change, InstallOptions, Steps, TreeChange, Whole};
use crate::model::escape;
use crate::terminal::Terminal;

/// Bring everything that is installed in a prefix to its newest allowed version
///
/// Pinned runtimes stay at their version (see `elsewhere pin`), and every tree stays with its dist.
/// Only packages that changed are fetched. What is live stays live until the new tree is whole;
/// running containers keep theirs, and `elsewhere rollback` goes back.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere update ~/apptainer
  elsewhere update --check ~/apptainer   tell only; exit status 10 when there is an update")]
pub(super) struct Update {
    /// Tell what an update would change, and change nothing: exit status 10 when there is something,
    /// 0 when not
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    turn: Turn,
    #[command(flatten)]
    age: AgeArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    part: PartOf,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    programs: ProgramArgs,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix to update
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

impl Update {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let whole = Whole::open(&host.absolute(&self.prefix))?;
        let session = Session::open(host, &self.sources, terminal)?.made_for(&[])?;
        let session = session.keeping(self.store)?.giving(&self.programs)?;
        let whole = whole.trusting(session.owners()?);
        let context = self.age.apply(session.context());
        let keys = session.keys(&self.trust)?;
        // What is updated comes from repositories.
        self.trust.check_without_file()?;
        let check = |steps: &Steps<'_>| {
            session.check_policy(&steps.plan())?;
            let dists = steps.dists();
            let dists = dists.iter().map(String::as_str);
            self.sources.repositories.check_for(context.catalog, dists)
        };
        let dist = self.part.dist();
        if self.check {
            let steps = whole.plan_update(context, &keys, dist)?;
            check(&steps)?;
            return self.tell_changes(&steps.changes()?, terminal);
        }
        let subject = doctor::subject(host, context.catalog, whole.prefix().path());
        let options = InstallOptions {
            wait: self.turn.waits(),
            now: host.now()?,
            program: None,
            subject: subject.as_ref(),
        };
        let (installed, changes) = whole.update(context, &keys, dist, &check, options)?;
        if self.output.json {
            terminal.output_json(&installed);
            return Ok(());
        }
        changes.iter().for_each(|tree| terminal.line(describe(tree)));
        installed.trees.iter().for_each(|tree| terminal.line(sentence(tree)));
        if !changes.is_empty() {
            let prefix = parts::typed(&self.prefix);
            terminal.line(format_args!("to go back: elsewhere rollback {prefix}"));
        }
        Ok(())
    }

    fn tell_changes(&self, changes: &[TreeChange], terminal: &Terminal) -> Result<(), Error> {
        if self.output.json {
            terminal.output_json(&json!({ "trees": changes }));
        } else if changes.is_empty() {
            terminal.output(format_args!("{}: nothing to update", self.prefix.display()));
        } else {
            changes.iter().for_each(|tree| terminal.output(describe(tree)));
        }
        if changes.is_empty() { Ok(()) } else { Err(Error::UpdateAvailable) }
    }
}

/// What changes in a tree, for people.
fn describe(tree: &TreeChange) -> String {
    let runtimes: Vec<String> = tree
        .runtimes
        .iter()
        .map(|runtime| format!("{} {}", escape(&runtime.name), escape(&runtime.version)))
        .collect();
    let mut text = format!("{}: {} from {}", tree.arch, runtimes.join(", "), escape(&tree.dist));
    if tree.packages.is_empty() {
        text.push_str("\n  the same packages, made anew by this version of elsewhere");
    }
    for change in &tree.packages {
        text.push_str("\n  ");
        text.push_str(&describe_change(change));
    }
    text
}

/// One package's change, for people.
pub(super) fn describe_change(change: &Change) -> String {
    let name = escape(&change.package);
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{name} {} -> {}", escape(from), escape(to)),
        (None, Some(to)) => format!("{name} {} (new)", escape(to)),
        (Some(from), None) => format!("{name} {} (gone)", escape(from)),
        (None, None) => name.into_owned(),
    }
}
