//! Signing the receipts of what is installed, so that others can prove it by a librarian's key.

use std::path::Path;

use super::attested::{self, Attestation};
use super::verify::{check_tree, generations};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::minisig::SecretKey;
use crate::model::{Arch, RECEIPT_NAME, Receipt};
use crate::owned::Owners;
use crate::prefix::{Locked, PrefixError};
use crate::report::Reporter;
use crate::workshop::{MadeTree, parse_receipt, read_receipt_bytes};

/// With what, and when, receipts are signed.
#[derive(Clone, Copy)]
pub(crate) struct Signing<'a> {
    /// The key.
    pub key: &'a SecretKey,
    /// The file that it is from, for messages.
    pub key_file: &'a Path,
    /// The time that signatures carry, in seconds since 1970.
    pub now: u64,
    /// For trees whose receipts do not say what they were made with.
    pub catalog: &'a Catalog,
}

/// A receipt that was signed.
#[derive(Clone, Debug)]
pub(crate) struct SignedTree {
    /// The architecture of its tree.
    pub arch: Arch,
    /// The generation; of a tree that is no prefix's there is none.
    pub generation: Option<u32>,
    /// By whom, and what was signed with it.
    pub signature: Attestation,
}

/// Signs the receipts of what is live in `prefix`; with `all`, of older generations too.
///
/// # Errors
/// When one has no receipt or is not as that says, or the prefix cannot be written. What was signed before
/// is signed then.
pub(super) fn sign(
    signing: Signing<'_>,
    prefix: &Locked,
    all: bool,
    reporter: &dyn Reporter,
) -> Result<Vec<SignedTree>, Error> {
    let mut signed = Vec::new();
    for (generation, _) in generations(prefix, all)? {
        let Some(bytes) = read_receipt_bytes(&generation.path).map_err(PrefixError::from)? else {
            let (path, problem) = (generation.path.join(RECEIPT_NAME), "it is missing".to_owned());
            return Err(PrefixError::Damaged { path, problem }.into());
        };
        let receipt = prefix.receipt_of(&generation, &bytes)?;
        let tree = MadeTree { path: generation.path.clone(), receipt };
        let keeps_modes = || prefix.keeps_modes();
        let number = Some(generation.number);
        let (text, tree) = signing.sign(&tree, &bytes, number, &keeps_modes, reporter)?;
        prefix.write_signature(&generation, &text)?;
        signed.push(tree);
    }
    Ok(signed)
}

/// Signs the receipt of the tree at `path`, which lies by itself and belongs to this user or one of `owners`.
///
/// # Errors
/// When it is not as its receipt says, or cannot be written.
pub(crate) fn sign_tree(
    signing: Signing<'_>,
    path: &Path,
    owners: &Owners,
    reporter: &dyn Reporter,
) -> Result<SignedTree, Error> {
    owners.check_root(path).map_err(PrefixError::from)?;
    let bytes = read_receipt_bytes(path)?.unwrap_or_default();
    let tree = MadeTree { path: path.to_owned(), receipt: parse_receipt(path, &bytes)? };
    let (text, signed) = signing.sign(&tree, &bytes, None, &|| None, reporter)?;
    tree.write_signature(&text)?;
    Ok(signed)
}

impl Signing<'_> {
    /// The text of a signature over `bytes`, the receipt of `tree`, if that is as it says.
    fn sign(
        self,
        tree: &MadeTree,
        bytes: &[u8],
        generation: Option<u32>,
        keeps_modes: &dyn Fn() -> Option<bool>,
        reporter: &dyn Reporter,
    ) -> Result<(String, SignedTree), Error> {
        let receipt: &Receipt = &tree.receipt;
        let findings = check_tree(self.catalog, tree, keeps_modes, reporter)?;
        let count = findings.iter().filter(|finding| finding.problem.is_damage()).count();
        if count > 0 {
            let hint = "elsewhere verify names what; sign what is as it was made".to_owned();
            return Err(Error::Damaged { path: tree.path.clone(), count, hint });
        }
        let edits = attested::edits(&tree.path, &findings)
            .map_err(|source| Error::File { path: tree.path.clone(), source })?;
        let comment = attested::comment((receipt, bytes), generation, edits.as_ref(), self.now);
        let unusable = |source| Error::SecretKey { path: self.key_file.to_owned(), source };
        let text = self.key.sign(bytes, &comment).map_err(unusable)?;
        let key = self.key.public().map_err(unusable)?.id();
        let signature = Attestation { key, comment };
        Ok((text, SignedTree { arch: receipt.arch, generation, signature }))
    }
}
