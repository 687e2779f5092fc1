//! `elsewhere status`: what is installed.

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;

use super::installation::Installation;
use super::options::Output;
use super::parts::PartOf;
use crate::error::Error;
use crate::model::{Receipt, escape};
use crate::prefix::Generation;
use crate::terminal::Terminal;

/// Show what is installed in a prefix, or in a tree that was copied out of one
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    part: PartOf,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix, or tree, to look at
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

/// One live tree, or one that lies elsewhere, as `--json` shows it.
#[derive(Serialize)]
struct ShownTree {
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    size: u64,
    #[serde(flatten)]
    receipt: Receipt,
}

impl Status {
    /// Runs the command.
    pub(super) fn execute(&self, terminal: &Terminal) -> Result<(), Error> {
        let mut trees = Vec::new();
        match Installation::at(&self.prefix)? {
            Installation::Prefix(whole) => {
                let tree = |(generation, receipt): (Generation, Receipt)| {
                    ShownTree::new(Some(generation.number), receipt)
                };
                trees.extend(whole.trees(self.part.dist())?.into_iter().map(tree));
            }
            Installation::Tree(tree) => {
                self.part.check(&tree.receipt)?;
                trees.push(ShownTree::new(None, tree.receipt));
            }
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

impl ShownTree {
    fn new(generation: Option<u32>, receipt: Receipt) -> Self {
        Self { generation, size: receipt.size(), receipt }
    }
}

/// A tree, for people.
fn describe(tree: &ShownTree) -> String {
    let receipt = &tree.receipt;
    let names: Vec<String> = receipt
        .runtimes
        .iter()
        .map(|runtime| format!("{} {}", escape(&runtime.name), escape(&runtime.version)))
        .collect();
    let generation = tree.generation;
    let generation = generation.map_or(String::new(), |number| format!("generation {number}, "));
    let mut lines = vec![format!(
        "{}: {} from {}; {generation}{}, installed {}",
        receipt.arch,
        names.join(", "),
        escape(&receipt.dist),
        HumanBytes(tree.size),
        crate::host::date(receipt.installed_at)
    )];
    for (part, package) in
        receipt.parts().flat_map(|part| part.packages.iter().map(move |it| (part, it)))
    {
        let signer = match &package.signed_by {
            Some(key) => format!("signed by {key}"),
            None => "UNSIGNED".to_owned(),
        };
        let dist = Some(&part.dist).filter(|dist| **dist != receipt.dist);
        let dist =
            dist.map_or(String::new(), |dist| format!("  from {}, for containers", escape(dist)));
        lines.push(format!("  {}  {signer}{dist}", package.nevra));
    }
    lines.join("\n")
}
