//! `elsewhere rollback`: an older generation becomes live again.

use std::path::PathBuf;

use clap::Args;

use super::options::{Definitions, Output};
use crate::error::Error;
use crate::host::Host;
use crate::model::Arch;
use crate::pipeline;
use crate::prefix::Prefix;
use crate::report::Reporter;
use crate::terminal::Terminal;

/// Make the version that was live before live again
///
/// Nothing is downloaded, and nothing is deleted: rolling back twice returns to where it began. The
/// older generation comes with its own configuration; what you changed since the newer one became
/// live is carried along.
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
    /// Fail, rather than wait, when another run works on the prefix
    #[arg(long)]
    no_wait: bool,
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
        let prefix = Prefix::open(&host.absolute(&self.prefix))?;
        let catalog = self.definitions.catalog(host)?;
        if self.to.is_some() && self.arch.is_none() && prefix.arches()?.len() > 1 {
            return Err(Error::Usage(
                "each architecture counts its own generations: name one with --arch".to_owned(),
            ));
        }
        let lock = prefix.lock(!self.no_wait, terminal)?;
        prefix.clean(&lock, terminal)?;
        let arches: Vec<Arch> = self.arch.into_iter().collect();
        let done = pipeline::roll_back(&catalog, &prefix, &lock, &arches, self.to, terminal)?;
        if self.output.json {
            let entry = |(from, to): &(crate::prefix::Generation, crate::prefix::Generation)| serde_json::json!({"arch": to.arch, "from": from.number, "to": to.number});
            terminal.output_json(&done.iter().map(entry).collect::<Vec<_>>());
            return Ok(());
        }
        for (from, to) in &done {
            terminal.line(format_args!(
                "{}: generation {} is live; to return: elsewhere rollback -a {} --to {} {}",
                to.arch,
                to.number,
                to.arch,
                from.number,
                self.prefix.display()
            ));
        }
        if done.is_empty() {
            terminal.note(format!("{}: nothing is installed", self.prefix.display()));
        }
        Ok(())
    }
}
