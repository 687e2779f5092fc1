//! `elsewhere verify`: whether a prefix or a tree is still as it was made, and putting it right.

use std::path::{Path, PathBuf};

use clap::Args;

use super::installation::{Installation, trees_of};
use super::librarian::signers;
use super::options::{Output, Sources, StoreArgs};
use super::parts::{self, PartOf};
use super::programs::ProgramArgs;
use super::session::Session;
use super::trust::TrustArgs;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::{self, CheckedTree, Extent, Look, Verification};
use crate::minisig::PublicKey;
use crate::model::{RECEIPT_NAME, escape};
use crate::publish::{self, Standing};
use crate::terminal::Terminal;
use crate::verify::{Finding, Problem};
use crate::workshop::MadeTree;

/// Check that a prefix is still as it was made, and put back what is damaged
///
/// Compares every file with the digest, mode and link target that it was installed with, looks for
/// what does not belong there, checks that programs find their libraries, and compares the
/// launchers in PREFIX/bin. Configuration that you edited and files that you added to etc/ are
/// named, and are no damage. Exit status 8 says that something is damaged, 12 that something can be
/// proved only by the version of elsewhere that made it. A tree that was copied
/// out of a prefix (the directory with .elsewhere.json) can be checked by itself, and so can a published
/// version, or the one that counts in a directory of them.
///
/// Who can change a tree can change its receipt. With --key a receipt counts only where the owner of
/// the key signed it (`elsewhere receipt sign`); one that is not signed so is damage, and what was
/// edited or added since is not proved. With --deep the packages' own signatures prove everything.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere verify ~/apptainer
  elsewhere verify --repair ~/apptainer      fetch what is damaged again, and put it back
  elsewhere verify --deep ~/apptainer        prove every package's origin once more
  elsewhere verify --key librarian.pub /cvmfs/site.example.org/apptainer")]
pub(super) struct Verify {
    /// Prove where everything came from, too: verify every package again, from the cache or its
    /// repository, make the tree anew in a temporary directory, and compare
    #[arg(long)]
    deep: bool,
    /// Believe a receipt only where this key of minisign's signed it: its file, or its line in Base64;
    /// of several keys one is enough
    #[arg(long = "key", value_name = "FILE|KEY", conflicts_with = "repair")]
    keys: Vec<PathBuf>,
    /// Put back what is damaged, from the packages that own it; nothing else is touched
    #[arg(long)]
    repair: bool,
    /// Check older generations too
    #[arg(long)]
    all: bool,
    /// With --repair: fail, rather than wait, when another run works on the prefix
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    part: PartOf,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    programs: ProgramArgs,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix, or tree, to check
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

impl Verify {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let path = host.absolute(&self.prefix);
        let signers = &signers(host, "--key", &self.keys)?;
        let whole = match Installation::at(&path)? {
            Installation::Prefix(whole) => whole,
            Installation::Tree(tree) => return self.check_tree(&tree, signers, host, terminal),
            Installation::Version(version) => {
                return self.check_version(&version, signers, host, terminal);
            }
        };
        let (running, program) = (host.executable(), host.program());
        let program = program.filter(|_| host.program_is_portable());
        let program = host.program_arch().zip(program.as_deref());
        let extent =
            Extent { all: self.all, is_deep: self.deep, signers, running: &running, program };
        let asked = (self.part.dist(), extent);
        let mut told = |place: &str, found: &Verification| {
            if !self.output.json {
                tell(found, place, terminal);
            }
        };
        let verification = if self.repair || self.deep {
            let session = Session::open(host, &self.sources, terminal)?.made_for(&[])?;
            let session = session.giving(&self.programs)?;
            let session = if self.repair { session.keeping(self.store)? } else { session };
            let whole = whole.trusting(session.owners()?);
            let (context, keys) = (session.context(), &session.keys(&self.trust)?);
            let temporary = host.temporary_dir();
            let deep = self.deep.then_some(temporary.as_path());
            let look = Look::Packages {
                context,
                keys,
                repair: self.repair.then_some(!self.no_wait),
                deep,
            };
            whole.verify(asked, look, terminal, &mut told)?
        } else {
            let catalog = self.sources.settings(host)?.catalog;
            whole.verify(asked, Look::Here(&catalog), terminal, &mut told)?
        };
        if self.output.json {
            terminal.output_json(&verification);
        } else if verification.trees.is_empty() {
            terminal.line("nothing is installed");
        }
        self.tell_limits(terminal);
        if verification.trees.is_empty() && !signers.is_empty() {
            let hint = "where something was installed, somebody took it away".to_owned();
            return Err(Error::Unproved { path, count: 1, hint });
        }
        settle(path, &verification, |damaged| match damaged {
            true => self.hint(&verification),
            false => self.unproved_hint(&verification),
        })
    }

    /// Says what no signature proves, where one was asked for.
    fn tell_limits(&self, terminal: &Terminal) {
        if !self.keys.is_empty() && !self.output.json {
            terminal.line(
                "no signature proves that nothing newer was signed, that no tree was taken away, and what \
                 else lies beside these trees",
            );
        }
    }

    /// Checks a tree that lies anywhere.
    fn check_tree(
        &self,
        tree: &MadeTree,
        signers: &[PublicKey],
        host: &Host,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        self.part.check(&tree.receipt)?;
        self.refuse_to_repair(&tree.path, "is a tree by itself and no prefix: copy it anew")?;
        let verification = self.look(&[tree], signers, host, terminal)?.pop().unwrap_or_default();
        match self.output.json {
            true => terminal.output_json(&verification),
            false => tell(&verification, "", terminal),
        }
        self.settle_trees(tree.path.clone(), &verification, terminal)
    }

    /// Checks a published version: each of its trees, and its launchers.
    fn check_version(
        &self,
        version: &Standing,
        signers: &[PublicKey],
        host: &Host,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        self.refuse_to_repair(&version.path, "was published, and never changes: publish it anew")?;
        let trees = trees_of(version, &self.part)?;
        let alone: Vec<&MadeTree> = trees.iter().map(|(_, tree)| tree).collect();
        let found = self.look(&alone, signers, host, terminal)?;
        let mut verification = Verification::default();
        for ((path, _), found) in trees.iter().zip(found) {
            verification.add(found, &publish::directory_of(path));
        }
        if self.part.dist().is_none() {
            let receipts: Vec<_> =
                trees.into_iter().map(|(path, tree)| (path, tree.receipt)).collect();
            let catalog = self.sources.settings(host)?.catalog;
            let wrong = publish::wrong_launchers(&catalog, version, &receipts)?;
            verification.launchers.extend(wrong);
        }
        match self.output.json {
            true => terminal.output_json(&verification),
            false => tell_version(&verification, terminal),
        }
        self.settle_trees(version.path.clone(), &verification, terminal)
    }

    fn refuse_to_repair(&self, path: &Path, why: &str) -> Result<(), Error> {
        match self.repair {
            false => Ok(()),
            true => Err(Error::Usage(format!(
                "{} {why} instead of repairing it",
                escape(&path.to_string_lossy())
            ))),
        }
    }

    /// What is found in each of `trees`, which lie anywhere.
    fn look(
        &self,
        trees: &[&MadeTree],
        signers: &[PublicKey],
        host: &Host,
        terminal: &Terminal,
    ) -> Result<Vec<Verification>, Error> {
        if !self.deep {
            let catalog = self.sources.settings(host)?.catalog;
            let look = |tree: &&MadeTree| lifecycle::verify_tree(&catalog, tree, signers, terminal);
            return trees.iter().map(look).collect();
        }
        let session = Session::open(host, &self.sources, terminal)?.made_for(&[])?;
        let session = session.giving(&self.programs)?;
        let context = session.context();
        let keys = session.keys(&self.trust)?;
        let temporary = host.temporary_dir();
        let look = |tree: &&MadeTree| {
            let mut found = lifecycle::verify_tree(context.catalog, tree, signers, terminal)?;
            lifecycle::verify_tree_origin(context, &keys, tree, &temporary, &mut found)?;
            Ok(found)
        };
        trees.iter().map(look).collect()
    }

    /// Says what no signature proves, and ends with what was found in trees of which none is a prefix's.
    fn settle_trees(
        &self,
        path: PathBuf,
        verification: &Verification,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        self.tell_limits(terminal);
        let hint = |damaged| match (damaged, has_origin(verification)) {
            (false, _) if !self.keys.is_empty() => UNSIGNED_EDITS,
            (false, _) => "prove it with the version of elsewhere that made it",
            (true, true) => "do not use this tree: get another one from where it was made",
            (true, false) => "copy it anew from where it was made",
        };
        settle(path, verification, |damaged| hint(damaged).to_owned())
    }

    /// What to type next.
    fn hint(&self, verification: &Verification) -> String {
        let prefix = parts::typed(&self.prefix);
        if has(verification, |problem| matches!(problem, Problem::Signature { .. })) {
            return "do not use it unless whoever signs it can tell why: what is new is signed by \
                    elsewhere receipt sign"
                .to_owned();
        }
        if has_origin(verification) {
            return "do not use this prefix: install into a new directory".to_owned();
        }
        let is_receipt = |finding: &Finding| {
            let is_unreadable = matches!(finding.problem, Problem::Unreadable { .. });
            is_unreadable && finding.path == RECEIPT_NAME
        };
        if verification.trees.iter().flat_map(|tree| &tree.findings).any(is_receipt) {
            return format!(
                "a receipt cannot be repaired: elsewhere install {prefix}, with the -d and every -r \
                 that was there, makes the tree anew"
            );
        }
        if has(verification, |problem| matches!(problem, Problem::LinkUnknown { .. })) {
            return format!(
                "if you know which generation was live: elsewhere rollback -a ARCH --to N {prefix}"
            );
        }
        if !self.repair {
            return format!("to put it right: elsewhere verify --repair {prefix}");
        }
        match has(verification, |problem| matches!(problem, Problem::Extra)) {
            true => "what does not belong there was left: remove it yourself".to_owned(),
            false => "this cannot be repaired: install into a new directory".to_owned(),
        }
    }

    /// What to type next where nothing is damaged and not all is proved.
    fn unproved_hint(&self, verification: &Verification) -> String {
        let prefix = parts::typed(&self.prefix);
        let is_unproved = |finding: &Finding| finding.problem.is_unproved();
        if !self.keys.is_empty()
            && verification.trees.iter().any(|it| it.findings.iter().any(is_unproved))
        {
            return UNSIGNED_EDITS.to_owned();
        }
        let mut of_trees = verification.trees.iter().flat_map(|tree| &tree.findings);
        match of_trees.any(|finding| finding.problem.is_unproved()) {
            true => format!(
                "prove it with the version of elsewhere that made it, or let this one make it anew: \
                 elsewhere update {prefix}"
            ),
            false if self.repair => {
                "a program for another architecture is kept anew where elsewhere runs there"
                    .to_owned()
            }
            false => {
                format!("to write it anew, from what runs here: elsewhere verify --repair {prefix}")
            }
        }
    }
}

/// What to do about what was edited or added since a receipt was signed.
const UNSIGNED_EDITS: &str = "whoever signs it can look at that and sign it anew, where it is meant so: elsewhere \
                              receipt sign";

/// That `path` is damaged, or not proved, where something was found that says so. `hint` is told whether
/// it is damaged.
fn settle(
    path: PathBuf,
    verification: &Verification,
    hint: impl Fn(bool) -> String,
) -> Result<(), Error> {
    match (verification.damage(), verification.unproved()) {
        (0, 0) => Ok(()),
        (0, count) => Err(Error::Unproved { path, count, hint: hint(false) }),
        (count, _) => Err(Error::Damaged { path, count, hint: hint(true) }),
    }
}

/// Whether anything has such a problem.
fn has(verification: &Verification, is_it: fn(&Problem) -> bool) -> bool {
    verification.findings().any(|finding| is_it(&finding.problem))
}

/// Whether a tree is not what its packages make, or nobody signed that it is.
fn has_origin(verification: &Verification) -> bool {
    has(verification, |problem| {
        matches!(problem, Problem::Origin { .. } | Problem::Signature { .. })
    })
}

/// One line per finding, and one about each tree.
fn tell(verification: &Verification, part: &str, terminal: &Terminal) {
    for tree in &verification.trees {
        let place = match tree.generation.filter(|_| !tree.live) {
            None => format!("{part}{}", tree.arch),
            Some(generation) => format!("{part}{} generation {generation}", tree.arch),
        };
        // In a tree by itself paths begin at its root.
        let above = if tree.generation.is_some() { place.as_str() } else { "" };
        tell_tree(tree, &place, above, terminal);
    }
    let bin = format!("{part}bin");
    verification.launchers.iter().for_each(|finding| tell_finding(&bin, finding, terminal));
    let place = part.trim_end_matches('/');
    verification.programs.iter().for_each(|finding| tell_finding(place, finding, terminal));
}

/// The same of a published version, at which all paths begin.
fn tell_version(verification: &Verification, terminal: &Terminal) {
    for tree in &verification.trees {
        let place = format!("{}{}", tree.part, tree.arch);
        tell_tree(tree, &place, &place, terminal);
    }
    verification.launchers.iter().for_each(|finding| tell_finding("", finding, terminal));
}

/// The tree at `place`, whose findings are told below `above`.
fn tell_tree(tree: &CheckedTree, place: &str, above: &str, terminal: &Terminal) {
    tree.findings.iter().for_each(|finding| tell_finding(above, finding, terminal));
    let is_doubtful =
        |finding: &Finding| finding.problem.is_damage() || finding.problem.is_unproved();
    let state = match tree.findings.iter().any(is_doubtful) {
        true => "compared",
        false => "as they were made",
    };
    terminal
        .line(format_args!("{place}: {} files of {} packages {state}", tree.files, tree.packages));
    if let Some(signature) = &tree.signature {
        let comment = parts::comment(&signature.comment);
        terminal.line(format_args!("{place}: signed by {}: {comment}", signature.key));
    }
    if !tree.shares_damage_with.is_empty() {
        let numbers: Vec<String> =
            tree.shares_damage_with.iter().map(ToString::to_string).collect();
        terminal.line(format_args!(
            "{place}: generation {} shares damaged files, and is damaged too",
            numbers.join(", ")
        ));
    }
}

fn tell_finding(place: &str, finding: &Finding, terminal: &Terminal) {
    let slash = if place.is_empty() || finding.path.is_empty() { "" } else { "/" };
    let path = escape(&finding.path);
    terminal.output(format_args!("{place}{slash}{path}: {}", finding.problem));
}
