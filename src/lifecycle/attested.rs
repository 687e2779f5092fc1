//! Receipts that somebody signed: proving one by its signature, and what is signed with it.
//!
//! What is signed are the receipt's bytes and a comment of `name:value` fields, which is for people and,
//! in part, for [`receipt`] and [`hold_edits`]: the generation that the receipt belongs to, and a digest of
//! the configuration that was edited by then, which no receipt knows.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;
use crate::minisig::{MinisigProblem, PublicKey};
use crate::model::{
    Algorithm, CONFIG_DIRECTORY, Checksum, PackageReceipt, PlannedRuntime, RECEIPT_NAME, Receipt,
    SIGNATURE_NAME, escape,
};
use crate::owned::open_to_read;
use crate::prefix::{Generation, Prefix, PrefixError};
use crate::verify::{Finding, Problem};
use crate::workshop::{WorkshopError, parse_receipt, read_receipt_bytes, read_signature};

/// The field with the number of the generation.
const GENERATION: &str = "generation";

/// The field with the digest of what was edited.
const EDITS: &str = "edits";

/// By whose key a receipt is signed, and what was signed with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Attestation {
    /// The number of the key.
    pub key: String,
    /// The comment.
    pub comment: String,
}

impl Attestation {
    /// What the field `name` of the comment says.
    fn field(&self, name: &str) -> Option<&str> {
        let fields = self.comment.split('\t').filter_map(|field| field.split_once(':'));
        fields.into_iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }
}

/// What is installed in `generation`, and who signed that: one of `signers` did. A finding where the
/// receipt is not proved, or is damaged. The bytes that are read as a receipt are those that were proved.
///
/// # Errors
/// When it cannot be read, or a newer version of this program wrote it.
pub(super) fn receipt(
    prefix: &Prefix,
    generation: &Generation,
    signers: &[PublicKey],
) -> Result<Result<(Receipt, Attestation), Finding>, Error> {
    let (bytes, attestation) = match proved(&generation.path, signers)? {
        Ok(proved) => proved,
        Err(reason) => return Ok(Err(unsigned(reason))),
    };
    let receipt = match prefix.receipt_of(generation, &bytes) {
        Err(PrefixError::Damaged { problem: reason, .. }) => {
            let path = RECEIPT_NAME.to_owned();
            return Ok(Err(Finding { path, problem: Problem::Unreadable { reason } }));
        }
        receipt => receipt?,
    };
    let number = generation.number.to_string();
    if let Some(signed) = attestation.field(GENERATION).filter(|signed| *signed != number) {
        return Ok(Err(unsigned(format!("it was signed as generation {signed}"))));
    }
    // A member of several dists is called by its own.
    let member = prefix.whole().and_then(|_| prefix.path().file_name());
    if member.is_some_and(|member| member != receipt.dist.as_str()) {
        return Ok(Err(unsigned(format!("it is for {}", receipt.dist))));
    }
    Ok(Ok((receipt, attestation)))
}

/// The same for the tree at `path`, which lies by itself.
///
/// # Errors
/// When the receipt cannot be read or is damaged, or a newer version of this program wrote it.
pub(super) fn receipt_at(
    path: &Path,
    signers: &[PublicKey],
) -> Result<Result<(Receipt, Attestation), Finding>, Error> {
    match proved(path, signers)? {
        Ok((bytes, attestation)) => Ok(Ok((parse_receipt(path, &bytes)?, attestation))),
        Err(reason) => Ok(Err(unsigned(reason))),
    }
}

fn unsigned(reason: String) -> Finding {
    Finding { path: RECEIPT_NAME.to_owned(), problem: Problem::Signature { reason } }
}

/// The bytes of the receipt of the tree at `path`, and who signed them; or why nobody of `signers` did.
fn proved(
    path: &Path,
    signers: &[PublicKey],
) -> Result<Result<(Vec<u8>, Attestation), String>, WorkshopError> {
    let read = read_receipt_bytes(path).and_then(|bytes| Ok((bytes, read_signature(path)?)));
    let (bytes, signature) = match read {
        Ok((Some(bytes), Some(signature))) => (bytes, signature),
        Ok((None, _)) => return Ok(Err("there is no receipt".to_owned())),
        Ok((_, None)) => return Ok(Err(format!("there is no {SIGNATURE_NAME}"))),
        Err(WorkshopError::Damaged { path, problem }) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            return Ok(Err(format!("{name}: {problem}")));
        }
        Err(error) => return Err(error),
    };
    let mut problem = None;
    for key in signers {
        match key.verify(&bytes, &signature) {
            Ok(comment) => return Ok(Ok((bytes, Attestation { key: key.id(), comment }))),
            // What is wrong by the key that it names says more.
            Err(MinisigProblem::OtherKey { .. }) if problem.is_some() => {}
            Err(other) => problem = Some(other),
        }
    }
    Ok(Err(problem.map_or_else(String::new, |problem| problem.to_string())))
}

/// The comment that is signed with the `bytes` of `receipt`, of that generation where it is one, at
/// `now`, when what was edited had this digest.
pub(super) fn comment(
    (receipt, bytes): (&Receipt, &[u8]),
    generation: Option<u32>,
    edits: Option<&Checksum>,
    now: u64,
) -> String {
    let mut comment = format!("timestamp:{now}\tfile:{RECEIPT_NAME}\thashed");
    let runtimes: Vec<String> = receipt.runtimes.iter().map(|it| called(receipt, it)).collect();
    let mut add = |name: &str, value: &str| {
        // A line's end would end the comment, and a tab the field.
        let _ = write!(comment, "\t{name}:{}", escape(value));
    };
    add("arch", receipt.arch.as_str());
    add("dist", &receipt.dist);
    add("runtimes", &runtimes.join(","));
    if let Some(generation) = generation {
        add(GENERATION, &generation.to_string());
    }
    if let Some(edits) = edits {
        add(EDITS, &edits.to_string());
    }
    add("receipt", &Checksum::of(bytes).to_string());
    comment
}

/// A runtime by its own package, or else by its name and version.
fn called(receipt: &Receipt, runtime: &PlannedRuntime) -> String {
    let by = format!("runtime {}", runtime.name);
    let is_own = |package: &&PackageReceipt| {
        package.reason.by == by && package.nevra.evr.version == runtime.version
    };
    match receipt.packages.iter().find(is_own) {
        Some(package) => package.nevra.to_string(),
        None => format!("{}-{}", runtime.name, runtime.version),
    }
}

/// Of `findings` about the tree at `path`, what was edited and added there is proved where it is what it
/// was when the receipt was signed. What is not becomes unproved.
pub(super) fn hold_edits(path: &Path, attestation: &Attestation, findings: &mut Vec<Finding>) {
    let now = edits(path, findings).map(|edits| edits.map(|digest| digest.to_string()));
    let signed = attestation.field(EDITS).map(str::to_owned);
    if now.is_ok_and(|now| now == signed) {
        return;
    }
    let mut is_told = false;
    for finding in findings.iter_mut().filter(|finding| is_edit(finding)) {
        let what = if finding.problem == Problem::Added { "added" } else { "edited" };
        let reason = format!("{what}, and not so when the receipt was signed");
        finding.problem = Problem::Unproved { reason };
        is_told = true;
    }
    if !is_told {
        let reason = "what was edited when the receipt was signed is not so any more".to_owned();
        let path = CONFIG_DIRECTORY.to_owned();
        findings.push(Finding { path, problem: Problem::Unproved { reason } });
    }
}

/// A digest of what was edited and added in the tree at `tree`, by `findings`; `None` where nothing was.
///
/// # Errors
/// When something of it cannot be read, or is neither a file, nor a directory, nor a symlink.
pub(super) fn edits(tree: &Path, findings: &[Finding]) -> io::Result<Option<Checksum>> {
    let mut text = String::new();
    for finding in findings.iter().filter(|finding| is_edit(finding)) {
        let may_lack = finding.problem == Problem::Edited;
        describe(tree, Path::new(&finding.path), may_lack, &mut text)?;
    }
    Ok((!text.is_empty()).then(|| Checksum::of(text.as_bytes())))
}

fn is_edit(finding: &Finding) -> bool {
    matches!(finding.problem, Problem::Edited | Problem::Added)
}

/// Adds a line about what is at `path` of `tree`, and about all that is in it.
fn describe(tree: &Path, path: &Path, may_lack: bool, text: &mut String) -> io::Result<()> {
    let place = tree.join(path);
    let metadata = match fs::symlink_metadata(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_lack => None,
        metadata => Some(metadata?),
    };
    let mut within = Vec::new();
    let what = match metadata {
        None => "missing".to_owned(),
        Some(metadata) if metadata.is_symlink() => format!("link {:?}", fs::read_link(&place)?),
        Some(metadata) if metadata.is_dir() => {
            for entry in fs::read_dir(&place)? {
                within.push(path.join(entry?.file_name()));
            }
            within.sort();
            "directory".to_owned()
        }
        // Fails for what is no file.
        Some(_) => {
            let file = open_to_read(&place)?;
            Checksum::of_reader(Algorithm::Sha256, file)?.0.to_string()
        }
    };
    // In the writing for programmers no name holds the end of its line.
    let _ = writeln!(text, "{path:?} {what}");
    within.iter().try_for_each(|path: &PathBuf| describe(tree, path, false, text))
}
