//! No launcher is ever another runtime's: what has a command of the same name goes into another prefix.

use crate::catalog::CatalogError;
use crate::context::Context;
use crate::error::Error;
use crate::model::{Arch, Plan, Receipt};
use crate::planning::definitions::made_with;
use crate::prefix::Prefix;

/// Refuses `plan` where a tree that stays live in `prefix`, of another architecture or dist, has a
/// command of the same name from another runtime, or a runtime that conflicts with one of the plan.
///
/// # Errors
/// [`CatalogError::CommandTaken`], [`CatalogError::Conflict`], or when the prefix cannot be read.
pub(super) fn check(context: Context<'_>, plan: &Plan, prefix: &Prefix) -> Result<(), Error> {
    let goes = |arch: Arch| plan.trees.iter().any(|tree| tree.arch == arch);
    check_part(context, plan, prefix, &goes)?;
    let whole = prefix.whole();
    if let Some(whole) = &whole {
        check_part(context, plan, whole, &|_| false)?;
    }
    for (_, member) in whole.as_ref().unwrap_or(prefix).members()? {
        if member.path() != prefix.path() {
            check_part(context, plan, &member, &|_| false)?;
        }
    }
    Ok(())
}

/// The same for the live trees of `part` but those of architectures that go.
fn check_part(
    context: Context<'_>,
    plan: &Plan,
    part: &Prefix,
    goes: &dyn Fn(Arch) -> bool,
) -> Result<(), Error> {
    let live = part.live_generations()?;
    for generation in live.iter().filter(|generation| !goes(generation.arch)) {
        if let Some(receipt) = part.whole_receipt(generation)? {
            check_receipt(context, plan, &receipt)?;
        }
    }
    Ok(())
}

fn check_receipt(context: Context<'_>, plan: &Plan, receipt: &Receipt) -> Result<(), Error> {
    let with = made_with(context.catalog, receipt)?;
    for planned in plan.trees.iter().flat_map(|tree| &tree.runtimes) {
        let wanted = context.catalog.runtime(&planned.name)?;
        for owner in with.runtimes.iter().filter(|owner| owner.name != wanted.name) {
            let known = context.catalog.runtime(&owner.name).ok();
            if known.is_some_and(|known| known.conflicts_with(wanted)) {
                return Err(Error::Catalog(CatalogError::Conflict {
                    first: owner.name.clone(),
                    second: wanted.name.clone(),
                }));
            }
            let is_owned = |name: &str| {
                let mut its = owner.commands.iter().filter(|command| command.name == name);
                its.any(|command| receipt.has(&command.path))
            };
            if let Some(command) = wanted.commands.iter().find(|command| is_owned(&command.name)) {
                let file = known.map(|runtime| runtime.file.clone());
                return Err(Error::Catalog(CatalogError::CommandTaken {
                    command: command.name.clone(),
                    first: file.unwrap_or_else(|| format!("runtimes/{}.toml", owner.name)),
                    second: wanted.file.clone(),
                }));
            }
        }
    }
    Ok(())
}
