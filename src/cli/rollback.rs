//! `elsewhere rollback`: an older generation becomes live again.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::options::{Definitions, Output, Turn};
use super::owners;
use super::parts::{self, PartOf};
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::{Member, WayBack, Whole};
use crate::model::Arch;
use crate::prefix::Generation;
use crate::report::Reporter;
use crate::terminal::Terminal;

/// Make the version that was live before live again
///
/// Nothing is downloaded, and nothing is deleted: rolling back twice returns to where it began. The
/// older generation comes with its own configuration; what you changed since the newer one became
/// live is carried along. It is compared with its receipt first: files that are damaged in it are put
/// right by those of the live one, or it stays out of use.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere rollback ~/apptainer
  elsewhere rollback -a x86_64 --to 3 ~/apptainer   see `elsewhere history` for the numbers")]
pub(super) struct Rollback {
    /// Architecture [default: every one that has an older generation]
    #[arg(short, long, value_name = "ARCH")]
    arch: Option<Arch>,
    /// Number of the generation [default: the one that was live before]
    #[arg(long, value_name = "N")]
    to: Option<u32>,
    /// Do not look whether what is gone back to is as it was made
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    turn: Turn,
    #[command(flatten)]
    part: PartOf,
    #[command(flatten)]
    definitions: Definitions,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix to roll back
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

impl Rollback {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let whole = Whole::open(&host.absolute(&self.prefix))?.trusting(owners::by_files(host)?);
        let catalog = self.definitions.catalog(host)?;
        let way = WayBack { arch: self.arch, to: self.to, is_checked: !self.no_verify };
        let mut entries = Vec::new();
        let asked = (self.part.dist(), way);
        whole.roll_back(&catalog, asked, self.turn.waits(), terminal, &mut |member, done| {
            for (from, to) in done {
                entries.push(json!({
                    "arch": to.arch, "place": member.label(to.arch),
                    "from": from.as_ref().map(|from| from.number), "to": to.number
                }));
                if !self.output.json {
                    terminal.line(self.sentence(member, from.as_ref(), to));
                }
            }
        })?;
        if self.output.json {
            terminal.output_json(&json!({ "trees": entries }));
        } else if entries.is_empty() {
            terminal.note(format!("{}: nothing is installed", self.prefix.display()));
        }
        Ok(())
    }

    /// What is live now, and how to return.
    fn sentence(&self, member: &Member, from: Option<&Generation>, to: &Generation) -> String {
        let (arch, number) = (to.arch, to.number);
        let text = format!("{}: generation {number} is live", member.label(arch));
        let Some(from) = from else { return text };
        let path = parts::typed(&self.prefix.join(member.place()));
        format!("{text}; to return: elsewhere rollback -a {arch} --to {} {path}", from.number)
    }
}
