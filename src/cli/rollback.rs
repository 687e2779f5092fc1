//! `elsewhere rollback`: an older generation becomes live again.

use std::path::PathBuf;

use clap::Args;

use super::options::{Definitions, Output, Turn};
use super::parts::{self, PartOf, label};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle;
use crate::model::Arch;
use crate::prefix::{Prefix, PrefixError};
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
        let prefix = Prefix::open(&host.absolute(&self.prefix))?;
        let catalog = self.definitions.catalog(host)?;
        let parts = self.part.of(&prefix)?;
        if self.to.is_some() && parts.len() > 1 {
            return Err(Error::Usage(
                "each dist counts its own generations: name one with --dist".to_owned(),
            ));
        }
        let mut entries = Vec::new();
        for part in &parts {
            self.roll_back(part, &catalog, parts.len() > 1, &mut entries, terminal)?;
        }
        if self.output.json {
            terminal.output_json(&serde_json::json!({ "trees": entries }));
        } else if entries.is_empty() {
            terminal.note(format!("{}: nothing is installed", self.prefix.display()));
        }
        Ok(())
    }

    /// Rolls one part back; among several, one that has nothing to go back to stays as it is.
    fn roll_back(
        &self,
        part: &Prefix,
        catalog: &Catalog,
        is_one_of_several: bool,
        entries: &mut Vec<serde_json::Value>,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        if self.to.is_some() && self.arch.is_none() && part.arches()?.len() > 1 {
            return Err(Error::Usage(
                "each architecture counts its own generations: name one with --arch".to_owned(),
            ));
        }
        let part = &part.lock(self.turn.waits(), terminal)?;
        part.clean(terminal)?;
        let arches: Vec<Arch> = self.arch.into_iter().collect();
        let way = (self.to, !self.no_verify);
        let done = match lifecycle::roll_back(catalog, part, &arches, way, terminal) {
            Err(Error::Prefix(error @ PrefixError::NoGeneration { .. })) if is_one_of_several => {
                terminal.note(format!("{}: {error}: it stays as it is", part.place()));
                return Ok(());
            }
            done => done?,
        };
        for (from, to) in &done {
            entries.push(serde_json::json!({
                "arch": to.arch, "place": label(part, to.arch),
                "from": from.as_ref().map(|from| from.number), "to": to.number
            }));
            if !self.output.json {
                let mut text =
                    format!("{}: generation {} is live", label(part, to.arch), to.number);
                if let Some(from) = from {
                    text.push_str(&format!(
                        "; to return: elsewhere rollback -a {} --to {} {}",
                        to.arch,
                        from.number,
                        parts::typed(&self.prefix.join(part.place()))
                    ));
                }
                terminal.line(text);
            }
        }
        Ok(())
    }
}
