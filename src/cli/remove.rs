//! `elsewhere remove`: an architecture, a runtime, or everything goes.

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::doctor;
use super::install::sentence;
use super::options::{Output, Sources, StoreArgs, Turn};
use super::owners;
use super::parts::{self, PartOf};
use super::prune;
use super::session::Session;
use super::trust::TrustArgs;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::{
    Gone, InstallOptions, Makers, Member, Removal, Removed, What as Asked, Whole,
};
use crate::model::{Arch, Plan, escape};
use crate::terminal::Terminal;

/// Remove an architecture, a runtime, or everything from a prefix
///
/// Removing one of several runtimes makes a new generation without it; the others stay at their
/// versions. An architecture goes out of use at once; its generations that something runs from here,
/// or that were live in the last seven days, stay for containers that may still run, here or on other
/// machines, until `elsewhere prune` finds them unused. Files that elsewhere did not make stay.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere remove -r crun ~/apptainer
  elsewhere remove -a aarch64 ~/apptainer
  elsewhere remove --all -d el7 ~/apptainer    of several dists, one
  elsewhere remove --all --force ~/apptainer   nothing runs from it anywhere: delete it now")]
pub(super) struct Remove {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    part: PartOf,
    /// Delete generations at once, also those that something may still run
    #[arg(long, conflicts_with = "runtime")]
    force: bool,
    #[command(flatten)]
    turn: Turn,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix to remove from
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

/// What to remove: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Architecture to remove
    #[arg(short, long, value_name = "ARCH")]
    arch: Option<Arch>,
    /// Runtime to remove, on every architecture
    #[arg(short, long, value_name = "NAME")]
    runtime: Option<String>,
    /// Remove everything
    #[arg(long)]
    all: bool,
}

impl Remove {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let whole = Whole::open(&host.absolute(&self.prefix))?.trusting(owners::by_files(host)?);
        let what = match (&self.what.runtime, self.what.arch) {
            (Some(name), _) => Asked::Runtime(name),
            (None, Some(arch)) => Asked::Arch(arch),
            (None, None) => Asked::All,
        };
        let wait = self.turn.waits();
        let removal = Removal { what, dist: self.part.dist(), force: self.force, wait };
        let mut entries = Vec::new();
        let mut told =
            |member: &Member, gone: Gone| self.tell(member, gone, &mut entries, terminal);
        if whole.needs_making(removal)? {
            let session = Session::open(host, &self.sources, terminal)?.made_for(&[])?;
            let session = session.keeping(self.store)?;
            let context = session.context();
            let keys = session.keys(&self.trust)?;
            let subject = doctor::subject(host, context.catalog, whole.prefix().path());
            let options =
                InstallOptions { wait, now: host.now()?, program: None, subject: subject.as_ref() };
            let check = |plan: &Plan| session.check_policy(plan);
            let makers = Some(Makers { context, keys: &keys, options, check: &check });
            whole.remove(context.catalog, removal, makers, terminal, &mut told)?;
        } else {
            let catalog = self.sources.settings(host)?.catalog;
            whole.remove(&catalog, removal, None, terminal, &mut told)?;
        }
        if self.output.json {
            terminal.output_json(&json!({ "trees": entries }));
        }
        Ok(())
    }

    /// Says what became of something.
    fn tell(&self, member: &Member, gone: Gone, entries: &mut Vec<Value>, terminal: &Terminal) {
        match gone {
            Gone::Arch(removed) => {
                entries.push(prune::entry(member, removed.arch, &removed.pruned));
                terminal.line(self.sentence(&removed, member));
            }
            Gone::Runtime(tree) => {
                let name = self.what.runtime.as_deref().unwrap_or_default();
                entries.push(json!({
                    "arch": tree.arch, "place": member.label(tree.arch), "runtime": name,
                    "generation": tree.generation
                }));
                terminal.line(format_args!("{}: {} removed", tree.arch, escape(name)));
                terminal.line(sentence(&tree));
            }
            Gone::Nothing => terminal.line(match self.what.arch {
                Some(arch) => format!("{arch}: not installed: nothing to do"),
                None => "nothing is installed: nothing to do".to_owned(),
            }),
        }
    }

    /// What became of an architecture, for people: what stays of it, and how to be rid of that.
    fn sentence(&self, removed: &Removed, member: &Member) -> String {
        let Removed { arch, pruned } = removed;
        let mut text = format!("{}: removed", member.label(*arch));
        for (number, reason) in &pruned.spared {
            text.push_str(&format!("\n  generation {number} stays on disk: {reason}"));
        }
        if pruned.spared.is_empty() {
            return text;
        }
        let path = parts::typed(&self.prefix.join(member.place()));
        let what = if self.what.all { "--all".to_owned() } else { format!("-a {arch}") };
        text.push_str(&format!(
            "\n  {} stay for what may still run from there, here or on other machines\n  \
             to delete them when the time is over: elsewhere prune {path}\n  \
             now, if nothing runs from there: elsewhere remove {what} --force {path}",
            HumanBytes(pruned.spared_size)
        ));
        text
    }
}
