//! Which launchers a prefix has: one for every program of a runtime that some live tree holds.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::launcher;
use crate::model::Receipt;
use crate::prefix::{Lock, Prefix};

/// The receipts of what is live.
pub(super) fn live(prefix: &Prefix) -> Result<Vec<Receipt>, Error> {
    let mut receipts = Vec::new();
    for arch in prefix.arches()? {
        if let Some(generation) = prefix.live(arch)? {
            receipts.push(prefix.receipt(&generation)?);
        }
    }
    Ok(receipts)
}

/// Names and texts of the launchers of every program in `receipts`, by name.
pub(super) fn texts<'a>(
    catalog: &Catalog,
    receipts: impl Iterator<Item = &'a Receipt>,
) -> Result<Vec<(String, String)>, Error> {
    let mut launchers = BTreeMap::new();
    for receipt in receipts {
        for runtime in &receipt.runtimes {
            let runtime = catalog.runtime(&runtime.name)?;
            for command in runtime.commands.iter().filter(|command| receipt.has(&command.path)) {
                launchers.insert(command.name.clone(), launcher::text(runtime, command));
            }
        }
    }
    Ok(launchers.into_iter().collect())
}

/// Removes the launchers of programs that nothing live has any more. Called last, when no launcher
/// can be needed that is not in what is live. Returns the names of those that stay.
pub(super) fn tidy(catalog: &Catalog, prefix: &Prefix, lock: &Lock) -> Result<Vec<String>, Error> {
    let texts = match texts(catalog, live(prefix)?.iter()) {
        // Nobody knows which launchers a runtime without a definition has: they all stay.
        Err(Error::Catalog(_)) => return Ok(Vec::new()),
        texts => texts?,
    };
    let names: Vec<String> = texts.into_iter().map(|(name, _)| name).collect();
    let keep: Vec<&str> = names.iter().map(String::as_str).collect();
    prefix.remove_launchers(lock, &keep)?;
    Ok(names)
}
