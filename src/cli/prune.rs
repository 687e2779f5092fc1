//! `elsewhere prune`: old generations, and what killed runs left, are deleted.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::options::{Output, Turn};
use super::owners;
use super::parts::PartOf;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::{Member, Whole};
use crate::model::Arch;
use crate::prefix::Pruned;
use crate::terminal::Terminal;

/// Delete old generations, and what killed runs left
///
/// The live generation always stays. Of the others the newest --keep stay, to roll back to, and so
/// do those that something runs from on this machine, or that were live in the last seven days:
/// containers may still run from them on other machines.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere prune ~/apptainer
  elsewhere prune --keep 0 ~/apptainer           nothing to roll back to
  elsewhere prune --keep 0 --force ~/apptainer   nothing runs from it on any machine")]
pub(super) struct Prune {
    /// How many generations to keep beside the live one
    #[arg(long, value_name = "N", default_value_t = 2)]
    keep: usize,
    /// Also delete generations that something may still run
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    turn: Turn,
    #[command(flatten)]
    part: PartOf,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix to prune
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

impl Prune {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let whole = Whole::open(&host.absolute(&self.prefix))?.trusting(owners::by_files(host)?);
        let mut all = Vec::new();
        let (dist, how) = (self.part.dist(), (self.keep, self.force));
        whole.prune(dist, how, self.turn.waits(), terminal, &mut |member, arch, pruned| {
            let place = member.label(arch);
            if !self.output.json {
                for number in &pruned.removed {
                    terminal.line(format_args!("{place}: generation {number} deleted"));
                }
                for (number, reason) in &pruned.spared {
                    terminal.line(format_args!("{place}: generation {number} stays: {reason}"));
                }
            }
            if !(pruned.removed.is_empty() && pruned.spared.is_empty()) {
                all.push(entry(member, arch, &pruned));
            }
        })?;
        match (self.output.json, all.is_empty()) {
            (true, _) => terminal.output_json(&json!({ "trees": all })),
            (false, true) => terminal.line("nothing to prune"),
            (false, false) => {}
        }
        Ok(())
    }
}

/// What became of an architecture's generations, as `--json` tells it.
pub(super) fn entry(member: &Member, arch: Arch, pruned: &Pruned) -> Value {
    let spared = pruned.spared.iter();
    let spared: Vec<_> =
        spared.map(|(number, why)| json!({"generation": number, "why": why})).collect();
    let place = member.label(arch);
    let mut entry =
        json!({"arch": arch, "place": place, "removed": pruned.removed, "spared": spared});
    if !pruned.spared.is_empty() {
        entry["spared_size"] = pruned.spared_size.into();
    }
    entry
}
