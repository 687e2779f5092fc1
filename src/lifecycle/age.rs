//! Nothing goes back in time unless the user says so: neither the metadata that a plan was made from, nor the
//! packages of a tree.

use crate::context::Context;
use crate::error::Error;
use crate::model::{Nevra, Plan, Receipt, Request, Sightings};
use crate::planning::Present;

/// Whether the user asks for a version, or for a package: then what is older is wanted.
pub(super) fn names_versions(request: &Request) -> bool {
    let mut runtimes = request.runtimes.iter();
    runtimes.any(|runtime| runtime.version.is_some() || runtime.package.is_some())
}

/// Refuses a lock file that was made from older metadata than the prefix knows.
///
/// # Errors
/// [`Error::Older`], where the user did not allow it.
pub(super) fn check_metadata(
    context: Context<'_>,
    known: &Sightings,
    locked: &Sightings,
) -> Result<(), Error> {
    let is_older =
        |name: &String, timestamp| known.get(name).is_some_and(|known| timestamp < known.timestamp);
    match locked.iter().find(|(name, sighting)| is_older(name, sighting.timestamp)) {
        Some((name, _)) if !context.allows_downgrade => {
            Err(Error::Older { what: format!("the lock file's metadata of {name}") })
        }
        _ => Ok(()),
    }
}

/// Refuses a plan that takes a package of a live tree back to an older version.
///
/// # Errors
/// [`Error::Older`], where the user did not allow it.
pub(super) fn check_packages(
    context: Context<'_>,
    plan: &Plan,
    present: &Present,
) -> Result<(), Error> {
    if context.allows_downgrade {
        return Ok(());
    }
    for tree in &plan.trees {
        let Some(receipt) = present.trees.get(&tree.arch) else { continue };
        for (receipt, part) in receipt.parts().zip(tree.parts()) {
            // Another dist's versions have nothing to do with these.
            if receipt.dist != part.dist {
                break;
            }
            let older = part.packages.iter().find_map(|planned| older(receipt, &planned.nevra));
            if let Some((now, before)) = older {
                let what = format!("{now} from {}, before which {before} was there,", part.dist);
                return Err(Error::Older { what });
            }
        }
    }
    Ok(())
}

/// The package, and what the tree has of it, where that is newer.
fn older<'a>(receipt: &'a Receipt, planned: &'a Nevra) -> Option<(&'a Nevra, &'a Nevra)> {
    let is_same = |other: &Nevra| (&other.name, &other.arch) == (&planned.name, &planned.arch);
    let mut installed = receipt.packages.iter().map(|package| &package.nevra);
    let before = installed.find(|other| is_same(other))?;
    (planned.evr < before.evr).then_some((planned, before))
}
