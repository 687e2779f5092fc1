//! `elsewhere sbom`: a bill of materials.

use std::path::PathBuf;

use clap::Args;

use super::document;
use super::installation::{Installation, trees_of};
use super::options::Output;
use super::parts::PartOf;
use crate::error::Error;
use crate::host;
use crate::sbom::{self, Format};
use crate::terminal::Terminal;

/// Write a bill of materials (SBOM) of a prefix, or of a tree that was copied out of one
///
/// Lists the runtimes and every package with its version, package URL, licence, digest, source and
/// signer, as the receipts of the live trees tell. The same prefix gives the same file.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere sbom ~/apptainer > apptainer.cdx.json
  elsewhere sbom --format spdx -o apptainer.spdx.json ~/apptainer")]
pub(super) struct Sbom {
    /// Which format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    part: PartOf,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix, or tree, to describe
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

impl Sbom {
    /// Runs the command.
    pub(super) fn execute(&self, terminal: &Terminal) -> Result<(), Error> {
        let mut receipts = Vec::new();
        match Installation::at(&self.prefix)? {
            Installation::Prefix(whole) => {
                let trees = whole.trees(self.part.dist())?.into_iter();
                receipts.extend(trees.map(|(_, receipt)| receipt));
            }
            Installation::Tree(tree) => {
                self.part.check(&tree.receipt)?;
                receipts.push(tree.receipt);
            }
            Installation::Version(version) => {
                let trees = trees_of(&version, &self.part)?.into_iter();
                receipts.extend(trees.map(|(_, tree)| tree.receipt));
            }
        }
        let made = receipts.iter().map(|receipt| receipt.installed_at).max().unwrap_or(0);
        let document = sbom::write(&receipts, &host::timestamp(made), self.format);
        let file = self.file.as_ref().filter(|path| !document::is_standard_output(path));
        let Some(path) = file else {
            terminal.output_json(&document);
            return Ok(());
        };
        document::write(path, &format!("{document:#}\n"), terminal)
    }
}
