//! A lock file says what is installed; whom to believe the definitions and the user say. It may narrow
//! that and never widen it: whoever can write the file need not be somebody to be trusted.

use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{
    Arch, DecidedBy, Dist, KeyPin, LOCAL, LockError, Plan, PlannedPackage, Repository, Sightings,
    Source, TreePlan,
};

/// What helps against a key that nobody pinned.
const KEY_HELP: &str = "if you trust that key, get it from its owner and name it with --trust-key REPO=FILE; otherwise \
                        make the lock file anew with `elsewhere plan --lock FILE`";
/// … against a repository that nobody defined.
const REPOSITORY_HELP: &str =
    "name the directory that defines it with --repos, if you trust whoever wrote that";
/// … against a package that does not come from where the lock file says.
const PACKAGE_HELP: &str = "make the lock file anew with `elsewhere plan --lock FILE`";
/// … against what a policy leaves out.
const POLICY_HELP: &str = "make the lock file anew on a machine of this site";

/// `plan`, which a lock file brought, with no other keys than the definitions pin: of these those that it
/// names.
///
/// # Errors
/// [`LockError::Widens`] where it names a key or a repository that neither the definitions nor the user do,
/// or takes a package from where the definitions take none; and when a dist or runtime is unknown.
pub(crate) fn held(context: Context<'_>, keys: &Keys<'_>, plan: &Plan) -> Result<Plan, Error> {
    let mut plan = plan.clone();
    for tree in &mut plan.trees {
        hold_tree(context, keys, tree)?;
    }
    Ok(plan)
}

/// What `plan` says that was believed of repositories.
pub(crate) fn sightings(context: Context<'_>, plan: &Plan) -> Sightings {
    let mut found = Sightings::new();
    for part in plan.trees.iter().flat_map(TreePlan::parts) {
        let Ok(dist) = context.catalog.dist(&part.dist) else { continue };
        for repository in dist.repositories_for(part.arch) {
            let source = part.source(&repository.id);
            if let Some(sighting) = source.and_then(|source| source.metadata.clone()) {
                found.insert(repository.sighting_name(&dist.name, part.arch), sighting);
            }
        }
    }
    found
}

/// The same for one tree, and those within it.
fn hold_tree(context: Context<'_>, keys: &Keys<'_>, tree: &mut TreePlan) -> Result<(), Error> {
    let dist = context.catalog.dist(&tree.dist)?;
    for package in &tree.packages {
        check_package(context.catalog, dist, tree, package)?;
    }
    for source in &mut tree.sources {
        hold_source(keys, dist, tree.arch, source)?;
        add_bases(dist, tree.arch, source);
    }
    tree.container.as_mut().map_or(Ok(()), |inner| hold_tree(context, keys, inner))
}

/// Leaves `source` those of its keys that the definitions pin for it.
fn hold_source(
    keys: &Keys<'_>,
    dist: &Dist,
    arch: Arch,
    source: &mut Source,
) -> Result<(), LockError> {
    let place = format!("{}/{}", dist.name, source.id);
    let pinned = pins(dist, arch, &source.id)?;
    let is_pinned = |key: &KeyPin| pinned.iter().any(|pin| pin.fingerprint == key.fingerprint);
    let strange = source.keys.iter().find(|key| {
        !is_pinned(key) && !keys.is_trusted_by_user((&dist.name, &source.id), &key.fingerprint)
    });
    if let Some(key) = strange {
        let what = format!(
            "has packages of {place} signed by key {}, which the definitions do not pin for it",
            key.fingerprint
        );
        return Err(LockError::Widens { what, help: KEY_HELP });
    }
    // Where a key is published the definitions say, too.
    let names = |pin: &&KeyPin| source.keys.iter().any(|key| key.fingerprint == pin.fingerprint);
    source.keys = pinned.into_iter().filter(names).cloned().collect();
    Ok(())
}

/// Lets packages come from where the definitions say that the repository is, too: the places that the lock
/// file names may be gone. Their digests say whether it is they.
fn add_bases(dist: &Dist, arch: Arch, source: &mut Source) {
    let its = dist.repositories_for(arch).filter(|repository| repository.id == source.id);
    for base in its.flat_map(|repository| repository.bases(arch)) {
        if !source.base.contains(&base) {
            source.base.push(base);
        }
    }
}

/// The keys that the definitions pin for packages of the source `id`.
fn pins<'d>(dist: &'d Dist, arch: Arch, id: &str) -> Result<Vec<&'d KeyPin>, LockError> {
    let is_its = |repository: &&Repository| id == LOCAL || repository.id == id;
    let defined: Vec<&Repository> = dist.repositories_for(arch).filter(is_its).collect();
    let allowed = || defined.iter().filter(|repository| !is_forbidden(repository));
    let place = || format!("takes packages from the repository {id} of {}", dist.name);
    if defined.is_empty() {
        let what = format!("{}, which the definitions do not have for {arch}", place());
        return Err(LockError::Widens { what, help: REPOSITORY_HELP });
    }
    if allowed().next().is_none() {
        let what = format!("{}, which this site's policy leaves out", place());
        return Err(LockError::Widens { what, help: POLICY_HELP });
    }
    let signs = |key: &&KeyPin| key.arches.is_empty() || key.arches.contains(&arch);
    Ok(allowed().flat_map(|repository| &repository.keys).filter(signs).collect())
}

fn is_forbidden(repository: &Repository) -> bool {
    !repository.enabled && repository.decided_by == DecidedBy::Policy
}

/// Refuses a package that resolving never takes from its source: of a file that the user names, only a
/// runtime's own package; of a repository that is read for some packages, only those.
fn check_package(
    catalog: &Catalog,
    dist: &Dist,
    tree: &TreePlan,
    package: &PlannedPackage,
) -> Result<(), Error> {
    let name = &package.nevra.name;
    let is_taken = match package.source == LOCAL {
        true => {
            let runtimes = tree.runtimes.iter().map(|runtime| catalog.runtime(&runtime.name));
            let runtimes = runtimes.collect::<Result<Vec<_>, _>>()?;
            runtimes.iter().any(|runtime| runtime.package == *name)
        }
        false => {
            let mut its = dist.repositories_for(tree.arch).filter(|it| it.id == package.source);
            its.all(|repository| repository.only.is_empty() || repository.only.contains(name))
        }
    };
    if is_taken {
        return Ok(());
    }
    let what = format!(
        "takes {} from {}/{}, from where the definitions take no such package",
        package.nevra, dist.name, package.source
    );
    Err(LockError::Widens { what, help: PACKAGE_HELP }.into())
}
