//! Definitions of what is installed. To judge a tree and to write its launchers, its receipt says
//! enough. Where packages may come from only the definitions themselves say: a receipt gives no trust.

use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::Error;
use crate::model::{KeyPin, LOCAL, MadeWith, Receipt, Repository, Runtime, TreePlan};

/// What a tree was made with: as its receipt says, or, where an older version of this program wrote
/// that, as the definitions do.
///
/// # Errors
/// [`Error::Undefined`] when neither says it.
pub(crate) fn made_with(catalog: &Catalog, receipt: &Receipt) -> Result<MadeWith, Error> {
    if let Some(made_with) = &receipt.made_with {
        return Ok(made_with.clone());
    }
    let names = || receipt.runtimes.iter().map(|runtime| runtime.name.as_str());
    check_runtimes(catalog, names())?;
    let known: Vec<&Runtime> = names().filter_map(|name| catalog.runtime(name).ok()).collect();
    Ok(of_definitions(catalog, &receipt.dist, &known))
}

/// What a tree of `runtimes` from `dist` is made with now.
pub(crate) fn of_definitions(catalog: &Catalog, dist: &str, runtimes: &[&Runtime]) -> MadeWith {
    MadeWith::of(catalog.dist(dist).ok(), runtimes, &catalog.host_gives(runtimes))
}

/// What `tree` would be made with now; `None` where a runtime has no definition.
#[must_use]
pub(crate) fn planned_with(catalog: &Catalog, tree: &TreePlan) -> Option<MadeWith> {
    let names = tree.runtimes.iter().map(|runtime| catalog.runtime(&runtime.name));
    let runtimes: Vec<&Runtime> = names.collect::<Result<_, _>>().ok()?;
    Some(of_definitions(catalog, &tree.dist, &runtimes))
}

/// Refuses to go on where one of these runtimes, which are installed, has no definition.
///
/// # Errors
/// [`Error::Undefined`], which names all that are missing.
pub(crate) fn check_runtimes<'a>(
    catalog: &Catalog,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), Error> {
    unless_missing(missing_runtimes(catalog, names))
}

/// Refuses to go on where definitions are not at hand that tell how a tree of these runtimes is made
/// from the dists of `receipt`.
///
/// # Errors
/// [`Error::Undefined`], which names all that are missing.
pub(crate) fn check<'a>(
    catalog: &Catalog,
    receipt: &Receipt,
    runtimes: impl Iterator<Item = &'a str>,
) -> Result<(), Error> {
    let mut missing = missing_runtimes(catalog, runtimes);
    let names = receipt.parts().map(|part| part.dist.as_str());
    let unknown = names.filter(|name| catalog.dist(name).is_err());
    missing.extend(unknown.map(|name| format!("dists/{name}.toml")));
    unless_missing(missing)
}

/// The same for all that `receipt` names: making the tree anew needs it.
///
/// # Errors
/// [`Error::Undefined`], which names all that are missing.
pub(crate) fn check_all(catalog: &Catalog, receipt: &Receipt) -> Result<(), Error> {
    check(catalog, receipt, receipt.runtimes.iter().map(|runtime| runtime.name.as_str()))
}

/// Refuses to go on where no definition says whose signatures the packages of `receipt` must have: the
/// keys that it names itself are no proof.
///
/// # Errors
/// [`Error::Undefined`], which names the repositories.
pub(crate) fn check_origins(catalog: &Catalog, receipt: &Receipt) -> Result<(), Error> {
    let of_source = |name: &str, id: &str| {
        let repositories = catalog.dist(name).map(|dist| dist.repositories_for(receipt.arch));
        let mut known = repositories.into_iter().flatten();
        let is_there = known.any(|repository| id == LOCAL || repository.id == id);
        (!is_there).then(|| format!("the repository {id} in dists/{name}.toml"))
    };
    let ids = |part: &'_ Receipt| {
        part.sources.iter().filter_map(|source| of_source(&part.dist, &source.id)).collect()
    };
    unless_missing(receipt.parts().flat_map::<Vec<String>, _>(ids).collect())
}

/// The definitions of these runtimes that are missing.
fn missing_runtimes<'a>(catalog: &Catalog, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let missing = names.filter(|name| catalog.runtime(name).is_err());
    missing.map(|name| format!("runtimes/{name}.toml")).collect()
}

fn unless_missing(mut missing: Vec<String>) -> Result<(), Error> {
    missing.sort();
    missing.dedup();
    if missing.is_empty() { Ok(()) } else { Err(Error::Undefined { missing }) }
}

/// The receipt's plan, with the keys that the definitions pin: whoever changed a tree may have
/// changed its receipt too.
///
/// # Errors
/// [`Error::Undefined`] where definitions are missing that pin some.
pub(crate) fn pinned(context: Context<'_>, receipt: &Receipt) -> Result<TreePlan, Error> {
    check_origins(context.catalog, receipt)?;
    let mut plan = receipt.plan();
    pin(context.catalog, &mut plan);
    Ok(plan)
}

/// Replaces the keys of `tree`, and of those within it, by those that the definitions pin.
fn pin(catalog: &Catalog, tree: &mut TreePlan) {
    for source in &mut tree.sources {
        let dist = catalog.dist(&tree.dist).ok();
        let is_its = |repository: &&Repository| source.id == LOCAL || source.id == repository.id;
        let repositories = dist.into_iter().flat_map(|dist| dist.repositories_for(tree.arch));
        let signs = |key: &&KeyPin| key.arches.is_empty() || key.arches.contains(&tree.arch);
        let keys = repositories.filter(is_its).flat_map(|repository| &repository.keys);
        source.keys = keys.filter(signs).cloned().collect();
    }
    if let Some(inner) = &mut tree.container {
        pin(catalog, inner);
    }
}
