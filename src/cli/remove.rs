//! `elsewhere remove`: an architecture, a runtime, or everything goes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::doctor;
use super::install::sentence;
use super::options::{Output, Sources, TrustKeys, Turn};
use super::parts::{self, PartOf};
use super::prune;
use super::session::Session;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::{self, Options, Removed};
use crate::model::{Arch, PLAN_FORMAT, Plan, escape};
use crate::planning::{self, Present};
use crate::prefix::Prefix;
use crate::report::Silent;
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
    /// With -r: let packages in that carry no signature, where the rest must be unpacked anew
    #[arg(long)]
    allow_unsigned: bool,
    #[command(flatten)]
    trust: TrustKeys,
    #[command(flatten)]
    sources: Sources,
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
        let path = host.absolute(&self.prefix);
        let prefix = Prefix::open(&path)?;
        let mut parts = self.part.of(&prefix)?;
        if let (Some(name), true) = (&self.what.runtime, parts.len() > 1) {
            let mut having = Vec::new();
            for part in &parts {
                if trees_with(&lifecycle::present(part, terminal)?, name).is_ok() {
                    having.push(part.clone());
                }
            }
            parts = if having.is_empty() { parts } else { having };
        }
        let mut entries = Vec::new();
        for part in &parts {
            let removed = parts::replanned(terminal, || self.remove_from(part, host, terminal))?;
            entries.extend(removed);
        }
        self.forget_pins(&prefix, terminal)?;
        parts::drop_empty(&prefix, self.turn.waits(), terminal)?;
        if self.output.json {
            terminal.output_json(&json!({ "trees": entries }));
        }
        Ok(())
    }

    /// Drops the pins of what is no longer in any part.
    fn forget_pins(&self, prefix: &Prefix, terminal: &Terminal) -> Result<(), Error> {
        let mut left = BTreeSet::new();
        for part in parts::all(prefix)? {
            for tree in lifecycle::present(&part, &Silent::default())?.trees.into_values() {
                left.extend(tree.runtimes.into_iter().map(|runtime| runtime.name));
            }
        }
        let is_over = |name: &str| match &self.what.runtime {
            Some(removed) => removed == name && !left.contains(name),
            None => self.what.all && !left.contains(name),
        };
        for part in parts::whole_and_members(prefix)? {
            let pins = part.pins()?;
            if pins.keys().any(|name| is_over(name)) {
                let part = part.lock(self.turn.waits(), terminal)?;
                let mut pins = part.pins()?;
                pins.retain(|name, _| !is_over(name));
                part.set_pins(&pins)?;
            }
        }
        Ok(())
    }

    /// Removes what is asked from a prefix of one dist. Returns what became of it.
    fn remove_from(
        &self,
        prefix: &Prefix,
        host: &Host,
        terminal: &Terminal,
    ) -> Result<Vec<Value>, Error> {
        let mut entries = Vec::new();
        self.finish_killed_run(prefix, host, terminal)?;
        let Some(name) = &self.what.runtime else {
            let arches = self.what.arch.map_or(Arch::ALL.to_vec(), |arch| vec![arch]);
            self.remove_arches(prefix, &arches, &mut entries, host, terminal)?;
            return Ok(entries);
        };
        let present = lifecycle::present(prefix, terminal)?;
        let (only, shared) = trees_with(&present, name)?;
        if !shared.is_empty() {
            self.remove_runtime(prefix, (name, &shared), &present, &mut entries, host, terminal)?;
        }
        if !only.is_empty() {
            self.remove_arches(prefix, &only, &mut entries, host, terminal)?;
        }
        Ok(entries)
    }

    /// Removes what a killed run left, such as one that had removed the same, also when there is
    /// nothing else to remove.
    fn finish_killed_run(
        &self,
        prefix: &Prefix,
        host: &Host,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        let catalog = self.sources.settings(host)?.catalog;
        let prefix = &prefix.lock(self.turn.waits(), terminal)?;
        prefix.clean(terminal)?;
        lifecycle::remove(&catalog, prefix, &[], false, terminal)?;
        Ok(())
    }

    fn remove_arches(
        &self,
        prefix: &Prefix,
        arches: &[Arch],
        entries: &mut Vec<Value>,
        host: &Host,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        let catalog = self.sources.settings(host)?.catalog;
        let prefix = &prefix.lock(self.turn.waits(), terminal)?;
        let arches: Vec<Arch> = arches
            .iter()
            .copied()
            .filter(|&arch| prefix.generations(arch).is_ok_and(|there| !there.is_empty()))
            .collect();
        if arches.is_empty() {
            terminal.line(match self.what.arch {
                Some(arch) => format!("{arch}: not installed: nothing to do"),
                None => "nothing is installed: nothing to do".to_owned(),
            });
        }
        let removed = lifecycle::remove(&catalog, prefix, &arches, self.force, terminal)?;
        for arch in &removed {
            entries.push(prune::entry(prefix, arch.arch, &arch.pruned));
            terminal.line(self.tell(arch, prefix));
        }
        Ok(())
    }

    /// What became of an architecture, for people: what stays of it, and how to be rid of that.
    fn tell(&self, removed: &Removed, part: &Prefix) -> String {
        let Removed { arch, pruned } = removed;
        let mut text = format!("{}: removed", parts::label(part, *arch));
        for (number, reason) in &pruned.spared {
            text.push_str(&format!("\n  generation {number} stays on disk: {reason}"));
        }
        if pruned.spared.is_empty() {
            return text;
        }
        let path = parts::typed(&self.prefix.join(part.place()));
        let what = if self.what.all { "--all".to_owned() } else { format!("-a {arch}") };
        text.push_str(&format!(
            "\n  {} stay for what may still run from there, here or on other machines\n  \
             to delete them when the time is over: elsewhere prune {path}\n  \
             now, if nothing runs from there: elsewhere remove {what} --force {path}",
            HumanBytes(pruned.spared_size)
        ));
        text
    }

    /// Makes new generations without a runtime, on the architectures that have others too.
    fn remove_runtime(
        &self,
        prefix: &Prefix,
        (name, arches): (&str, &[Arch]),
        present: &Present,
        entries: &mut Vec<Value>,
        host: &Host,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        let session = Session::open(host, &self.sources, terminal)?.made_for(&[])?;
        let context = parts::context(session.context(), prefix)?;
        let keys = session.keys(&self.trust, self.allow_unsigned)?;
        let mut trees = Vec::new();
        for tree in arches.iter().filter_map(|arch| present.trees.get(arch)) {
            trees.push(planning::without(context, &keys, tree, name)?);
        }
        let plan = Plan { format: PLAN_FORMAT, trees };
        session.check_policy(&plan)?;
        let subject = doctor::subject(host, context.catalog, prefix.path());
        let options = Options {
            wait: self.turn.waits(),
            allow_unsigned: self.allow_unsigned,
            now: host.now()?,
            program: None,
            subject: subject.as_ref(),
        };
        let installed = lifecycle::install(context, &keys, (&plan, present), prefix, options)?;
        for tree in &installed.trees {
            let place = parts::label(prefix, tree.arch);
            entries.push(json!({
                "arch": tree.arch, "place": place, "runtime": name, "generation": tree.generation
            }));
            terminal.line(format_args!("{}: {} removed", tree.arch, escape(name)));
            terminal.line(sentence(tree));
        }
        Ok(())
    }
}

/// The architectures that have nothing but the runtime, and those that have others too.
fn trees_with(present: &Present, name: &str) -> Result<(Vec<Arch>, Vec<Arch>), Error> {
    let with = present
        .trees
        .values()
        .filter(|tree| tree.runtimes.iter().any(|runtime| runtime.name == name));
    let (only, shared): (Vec<_>, Vec<_>) = with.partition(|tree| tree.runtimes.len() == 1);
    if only.is_empty() && shared.is_empty() {
        let mut names: Vec<_> = present
            .trees
            .values()
            .flat_map(|tree| &tree.runtimes)
            .map(|runtime| escape(&runtime.name))
            .collect();
        names.sort_unstable();
        names.dedup();
        let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        let name = escape(name);
        return Err(Error::Usage(format!("{name} is not installed here: there is {there}")));
    }
    let arches = |trees: Vec<&crate::model::Receipt>| trees.iter().map(|tree| tree.arch).collect();
    Ok((arches(only), arches(shared)))
}
