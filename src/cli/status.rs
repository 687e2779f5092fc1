//! `elsewhere status`: what is installed.

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;

use super::installation::{Installation, trees_of};
use super::options::Output;
use super::parts::PartOf;
use crate::error::Error;
use crate::lifecycle::KeyAges;
use crate::model::{Fingerprint, Receipt, escape};
use crate::prefix::Generation;
use crate::terminal::Terminal;

/// Show what is installed in a prefix, in a published version, or in a tree that was copied out of one
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
    /// How old what is known of the keys is that signed its packages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<ShownKey>,
    #[serde(flatten)]
    receipt: Receipt,
}

/// A key, and when one of its places was asked for it the last time and had it.
#[derive(Serialize)]
struct ShownKey {
    fingerprint: Fingerprint,
    asked_at: Option<u64>,
}

impl Status {
    /// Runs the command.
    pub(super) fn execute(&self, terminal: &Terminal) -> Result<(), Error> {
        let mut trees = Vec::new();
        match Installation::at(&self.prefix)? {
            Installation::Prefix(whole) => {
                let ages = whole.key_ages()?;
                let tree = |(generation, receipt): (Generation, Receipt)| {
                    ShownTree::new(Some(generation.number), receipt, &ages)
                };
                trees.extend(whole.trees(self.part.dist())?.into_iter().map(tree));
            }
            Installation::Tree(tree) => {
                self.part.check(&tree.receipt)?;
                trees.push(ShownTree::new(None, tree.receipt, &KeyAges::new()));
            }
            Installation::Version(version) => {
                let all = trees_of(&version, &self.part)?.into_iter();
                let ages = KeyAges::new();
                trees.extend(all.map(|(_, tree)| ShownTree::new(None, tree.receipt, &ages)));
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
    fn new(generation: Option<u32>, receipt: Receipt, ages: &KeyAges) -> Self {
        let is_signer = |print: &Fingerprint| {
            receipt.all_packages().any(|package| package.signed_by.as_ref() == Some(print))
        };
        let signers = ages.iter().filter(|(print, _)| is_signer(print));
        let key = |(fingerprint, asked_at): (&Fingerprint, &Option<u64>)| ShownKey {
            fingerprint: fingerprint.clone(),
            asked_at: *asked_at,
        };
        let keys = signers.map(key).collect();
        Self { generation, size: receipt.size(), keys, receipt }
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
    for ShownKey { fingerprint, asked_at } in &tree.keys {
        let age = match asked_at {
            Some(time) => format!("as it was published on {}", crate::host::date(*time)),
            None => "of unknown age".to_owned(),
        };
        lines.push(format!("  key {fingerprint}  {age}"));
    }
    lines.join("\n")
}
