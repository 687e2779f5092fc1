//! `elsewhere status`: what is installed.

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;

use super::options::Output;
use super::parts::{self, PartOf};
use crate::error::Error;
use crate::model::{Receipt, escape};
use crate::prefix::{Generation, Prefix};
use crate::terminal::Terminal;

/// Show what is installed in a prefix
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    part: PartOf,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix to look at
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

/// One live tree, as `--json` shows it.
#[derive(Serialize)]
struct Tree {
    generation: u32,
    size: u64,
    #[serde(flatten)]
    receipt: Receipt,
}

impl Status {
    /// Runs the command.
    pub(super) fn execute(&self, terminal: &Terminal) -> Result<(), Error> {
        let prefix = Prefix::open(&self.prefix)?;
        let mut trees = Vec::new();
        for part in self.part.of(&prefix)? {
            let tree = |(generation, receipt): (Generation, Receipt)| Tree {
                generation: generation.number,
                size: receipt.size(),
                receipt,
            };
            trees.extend(parts::live(&part)?.into_iter().map(tree));
        }
        if self.output.json {
            terminal.output_json(&trees);
            return Ok(());
        }
        if trees.is_empty() {
            terminal.output(format_args!("{}: nothing is installed", self.prefix.display()));
        }
        for tree in &trees {
            terminal.output(describe(tree));
        }
        Ok(())
    }
}

/// A tree, for people.
fn describe(tree: &Tree) -> String {
    let receipt = &tree.receipt;
    let names: Vec<String> = receipt
        .runtimes
        .iter()
        .map(|runtime| format!("{} {}", escape(&runtime.name), escape(&runtime.version)))
        .collect();
    let mut lines = vec![format!(
        "{}: {} from {}; generation {}, {}, installed {}",
        receipt.arch,
        names.join(", "),
        receipt.dist,
        tree.generation,
        HumanBytes(tree.size),
        crate::host::date(receipt.installed_at)
    )];
    for package in &receipt.packages {
        let signer = match &package.signed_by {
            Some(key) => format!("signed by {key}"),
            None => "UNSIGNED".to_owned(),
        };
        let dist = package.dist.as_ref();
        let dist = dist.map_or(String::new(), |dist| format!("  from {dist}, for containers"));
        lines.push(format!("  {}  {signer}{dist}", package.nevra));
    }
    lines.join("\n")
}
