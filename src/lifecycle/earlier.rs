//! The tree that was there before, from which the next one takes what stays the same.
//!
//! A receipt says which files are a package's and by whom that was signed, and whoever prepared a prefix, or an
//! archive that was unpacked into one, can write anything into it. So files are taken over by those receipts
//! alone of which the cache, which is this user's alone, knows that a run of this user's wrote them. All
//! else is made of packages, whose signatures say whose they are.

use crate::context::Context;
use crate::error::Error;
use crate::fetch::MADE;
use crate::model::Checksum;
use crate::prefix::{Generation, Prefix, PrefixError};
use crate::release::RUNNING;
use crate::workshop::{MadeTree, WorkshopError, read_receipt_bytes};

/// Notes that this run wrote the receipt with this digest.
pub(super) fn note(context: Context<'_>, receipt: &Checksum) {
    // Without it the next tree is made of packages alone.
    if let Err(error) = context.fetcher.remember(&key(receipt), RUNNING) {
        context.reporter.detail(format!("nothing will be taken over from this tree: {error}"));
    }
}

/// The tree of `live`, where a run of this user's wrote its receipt.
///
/// # Errors
/// When it cannot be read, or a newer version of this program wrote it.
pub(super) fn tree(
    context: Context<'_>,
    prefix: &Prefix,
    live: Generation,
) -> Result<Option<MadeTree>, Error> {
    let bytes = match read_receipt_bytes(&live.path) {
        Err(WorkshopError::Damaged { .. }) => None,
        bytes => bytes?,
    };
    let Some(bytes) = bytes else { return Ok(None) };
    if context.fetcher.recall(&key(&Checksum::of(&bytes))).is_none() {
        context.reporter.detail(format!(
            "{}: nothing is taken over from generation {}: no run with this cache made it",
            live.arch, live.number
        ));
        return Ok(None);
    }
    match prefix.receipt_of(&live, &bytes) {
        Err(PrefixError::Damaged { .. }) => Ok(None),
        receipt => Ok(Some(MadeTree { path: live.path, receipt: receipt? })),
    }
}

/// What the cache calls the note by.
fn key(receipt: &Checksum) -> String {
    format!("{MADE}{}", receipt.hex())
}
