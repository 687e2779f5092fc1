//! `elsewhere receipt sign`: a librarian's signature on what is installed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::installation::{Installation, trees_of};
use super::librarian::SecretKeyArgs;
use super::options::{Definitions, Output, Turn};
use super::owners;
use super::parts::{self, PartOf};
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::{self, SignedTree, Signing};
use crate::terminal::Terminal;

/// Sign the receipts of what is installed
#[derive(Debug, Args)]
pub(super) struct ReceiptCommand {
    #[command(subcommand)]
    command: Inner,
}

#[derive(Debug, Subcommand)]
enum Inner {
    Sign(Sign),
}

/// Sign the receipts of what is live, so that others can prove it by your public key
///
/// Each tree is compared with its receipt, and the receipt signed with a secret key of minisign's:
/// the signature lies beside it as .elsewhere.json.minisig, and says what is installed and when it
/// was signed. `elsewhere verify --key` then proves the tree to whoever has the public key, and need
/// not trust who can write there. Configuration that is edited by then is signed with it. What a
/// later install or update makes is not signed; sign it again.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere verify --deep /sw/apptainer              prove first what you sign
  elsewhere receipt sign /sw/apptainer
  elsewhere receipt sign -s librarian.key /srv/tree  a tree that was copied out of a prefix
  elsewhere verify --key librarian.pub /sw/apptainer")]
struct Sign {
    #[command(flatten)]
    secret: SecretKeyArgs,
    /// Sign older generations too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    turn: Turn,
    #[command(flatten)]
    part: PartOf,
    #[command(flatten)]
    definitions: Definitions,
    #[command(flatten)]
    output: Output,
    /// Prefix, or tree, whose receipts to sign
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

impl ReceiptCommand {
    /// What is shown, and how.
    pub(super) fn output(&self) -> &Output {
        let Inner::Sign(sign) = &self.command;
        &sign.output
    }

    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let Inner::Sign(sign) = &self.command;
        sign.execute(host, terminal)
    }
}

impl Sign {
    fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let path = host.absolute(&self.prefix);
        let (owners, catalog) = (owners::by_files(host)?, self.definitions.catalog(host)?);
        let installation = Installation::at(&path)?;
        let (key_file, key) = self.secret.key(host, terminal)?;
        let signing =
            Signing { key: &key, key_file: &key_file, now: host.now()?, catalog: &catalog };
        let mut trees = Vec::new();
        match installation {
            Installation::Prefix(whole) => {
                let asked = (self.part.dist(), self.all);
                let wait = self.turn.waits();
                whole.trusting(owners).sign(
                    asked,
                    signing,
                    wait,
                    terminal,
                    &mut |member, all| {
                        trees
                            .extend(all.iter().map(|tree| (member.label(tree.arch), tree.clone())));
                    },
                )?;
            }
            Installation::Tree(tree) => {
                self.part.check(&tree.receipt)?;
                let signed = lifecycle::sign_tree(signing, &path, &owners, terminal)?;
                trees.push((signed.arch.to_string(), signed));
            }
            Installation::Version(version) => {
                for (place, tree) in trees_of(&version, &self.part)? {
                    let signed = lifecycle::sign_tree(signing, &tree.path, &owners, terminal)?;
                    trees.push((place.to_string(), signed));
                }
            }
        }
        self.tell(&trees, terminal);
        Ok(())
    }

    fn tell(&self, trees: &[(String, SignedTree)], terminal: &Terminal) {
        if self.output.json {
            let trees: Vec<Value> = trees.iter().map(entry).collect();
            terminal.output_json(&json!({ "trees": trees }));
            return;
        }
        for (place, tree) in trees {
            let (number, signature) = (tree.generation, &tree.signature);
            let number = number.map_or_else(String::new, |number| format!(" generation {number}"));
            let comment = parts::comment(&signature.comment);
            terminal.line(format_args!("{place}{number}: signed by {}: {comment}", signature.key));
        }
        if trees.is_empty() {
            terminal.line("nothing is installed");
        }
    }
}

/// A receipt that was signed, as `--json` tells it.
fn entry((place, tree): &(String, SignedTree)) -> Value {
    let mut entry = json!({ "arch": tree.arch, "place": place, "signature": tree.signature });
    if let Some(generation) = tree.generation {
        entry["generation"] = generation.into();
    }
    entry
}
