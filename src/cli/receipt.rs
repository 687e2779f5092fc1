//! `elsewhere receipt sign`: a librarian's signature on what is installed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::installation::Installation;
use super::options::{Definitions, Output, Turn};
use super::owners;
use super::parts::{self, PartOf};
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::{self, SignedTree, Signing};
use crate::minisig::SecretKey;
use crate::terminal::Terminal;

/// Most bytes of a file with a key or a password.
const LIMIT: u64 = 64 << 10;

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
    /// The file of the secret key, as minisign -G makes it [default: ~/.minisign/minisign.key]
    #[arg(short, long, value_name = "FILE")]
    secret_key: Option<PathBuf>,
    /// The file with the secret key's password in its first line; - is standard input
    /// [default: MINISIGN_PASSWORD, or what is typed at the terminal]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
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
        let (key_file, key) = self.key(host, terminal)?;
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

    /// The secret key, and its file.
    fn key(&self, host: &Host, terminal: &Terminal) -> Result<(PathBuf, SecretKey), Error> {
        let named = self.secret_key.as_deref().map(|path| host.absolute(path));
        let path = named.or_else(|| host.secret_key()).ok_or_else(|| {
            Error::Usage("name the secret key with --secret-key: there is no home".to_owned())
        })?;
        let text = read(&path, File::open(&path))?;
        let password = match SecretKey::is_protected(&text) {
            true => self.password(host, &path, terminal)?,
            false => None,
        };
        match SecretKey::read(&text, password.as_deref()) {
            Ok(key) => Ok((path, key)),
            Err(source) => Err(Error::SecretKey { path, source }),
        }
    }

    /// The password of the key at `path`; `None` where nobody says it.
    fn password(
        &self,
        host: &Host,
        path: &Path,
        terminal: &Terminal,
    ) -> Result<Option<String>, Error> {
        let text = match self.password_file.as_deref() {
            Some(file) if file == Path::new("-") => read(file, Ok(io::stdin()))?,
            Some(file) => read(file, File::open(file))?,
            None => match host.secret_key_password() {
                Some(password) => return Ok(Some(password)),
                None => {
                    let question = format!("Password of {}", path.display());
                    return terminal.ask_secret(&question).map_err(|source| match source.kind() {
                        io::ErrorKind::Interrupted => Error::Cancelled,
                        _ => Error::File { path: PathBuf::from("/dev/tty"), source },
                    });
                }
            },
        };
        Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
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

/// The text of a small file.
fn read(path: &Path, file: io::Result<impl Read>) -> Result<String, Error> {
    let mut text = String::new();
    let read = file.and_then(|file| file.take(LIMIT).read_to_string(&mut text));
    read.map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(text)
}
