//! Which launchers a prefix has: one for every program of a runtime that some live tree holds.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::launcher::LaunchedTrees;
use crate::making::{self, DistTrees, MadeWithReceipt};
use crate::model::Receipt;
use crate::prefix::{Generation, Locked, Prefix, PrefixError};
use crate::report::Reporter;

/// The receipts of what is live, but those that are damaged: [`has_unknown`] tells.
pub(super) fn live(prefix: &Prefix) -> Result<Vec<Receipt>, Error> {
    let mut receipts = Vec::new();
    for generation in prefix.live_generations()? {
        receipts.extend(prefix.whole_receipt(&generation)?);
    }
    Ok(receipts)
}

/// Whether something is live of which nobody knows what it is.
fn has_unknown(prefix: &Prefix) -> Result<bool, Error> {
    for generation in prefix.live_generations()? {
        if prefix.whole_receipt(&generation)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Names and texts of the launchers of every program in `receipts`, by name; in a prefix of several
/// dists also of those in its members.
fn texts<'a>(
    catalog: &Catalog,
    prefix: &Prefix,
    receipts: impl Iterator<Item = &'a Receipt>,
) -> Result<BTreeMap<String, String>, Error> {
    texts_by(catalog, prefix, receipts, &|member, generation| Ok(member.receipt(generation)?))
}

/// The same, where `read` says what is installed in a generation of a member.
pub(super) fn texts_by<'a>(
    catalog: &Catalog,
    prefix: &Prefix,
    receipts: impl Iterator<Item = &'a Receipt>,
    read: &dyn Fn(&Prefix, &Generation) -> Result<Receipt, Error>,
) -> Result<BTreeMap<String, String>, Error> {
    let own = receipts.map(|receipt| MadeWithReceipt::new(catalog, receipt.clone()));
    let own = own.collect::<Result<Vec<_>, Error>>()?;
    let mut parts = vec![DistTrees { directory: String::new(), trees: own }];
    for (_, member) in prefix.members()? {
        let mut trees = Vec::new();
        for generation in member.live_generations()? {
            // Not without it: its launchers would go.
            trees.push(MadeWithReceipt::new(catalog, read(&member, &generation)?)?);
        }
        parts.push(DistTrees { directory: member.place(), trees });
    }
    Ok(making::launchers(&parts, LaunchedTrees::Own))
}

/// Writes the launchers of every program in `receipts`. Those that are there stay as they are, which is
/// told, where a member's receipt is damaged: nobody knows what they must choose from.
pub(super) fn write<'a>(
    catalog: &Catalog,
    prefix: &Locked,
    receipts: impl Iterator<Item = &'a Receipt>,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    if let Some(texts) = unless_damaged(texts(catalog, prefix, receipts), reporter)? {
        prefix.write_launchers(&texts)?;
    }
    Ok(())
}

/// `texts`; none, which is told, where a member's receipt is damaged.
fn unless_damaged<T>(texts: Result<T, Error>, reporter: &dyn Reporter) -> Result<Option<T>, Error> {
    match texts {
        Err(Error::Prefix(error @ PrefixError::Damaged { .. })) => {
            reporter.warning(format!("{error}: the launchers stay as they are until it is mended"));
            Ok(None)
        }
        texts => texts.map(Some),
    }
}

/// Removes the launchers of programs that nothing live has any more. Called last, when no launcher
/// can be needed that is not in what is live. Returns the names of those that stay. The launchers of
/// the whole prefix, where `prefix` is a part of one, follow.
pub(super) fn tidy(
    catalog: &Catalog,
    prefix: &Locked,
    reporter: &dyn Reporter,
) -> Result<Vec<String>, Error> {
    let known = unless_damaged(texts(catalog, prefix, live(prefix)?.iter()), reporter);
    let texts = match known {
        // Nobody knows which launchers a runtime without a definition has, or a tree without a receipt:
        // they all stay.
        Err(Error::Undefined { .. }) => BTreeMap::new(),
        Ok(_) if has_unknown(prefix)? => BTreeMap::new(),
        known => {
            let texts = known?;
            if let Some(texts) = &texts {
                let keep: Vec<&str> = texts.keys().map(String::as_str).collect();
                prefix.remove_launchers(&keep)?;
                // Of several dists, what they choose from may have changed; and after a way back, what
                // the older tree was made with counts again.
                prefix.write_launchers(texts)?;
            }
            texts.unwrap_or_default()
        }
    };
    let names = texts.into_keys().collect();
    if let Some(whole) = prefix.whole() {
        // Not without waiting: its launchers must follow what was done to its part.
        let whole = whole.lock(true, reporter)?;
        whole.clean(reporter)?;
        tidy(catalog, &whole, reporter)?;
    }
    Ok(names)
}
