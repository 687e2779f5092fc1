//! Plans that start from what is installed: the newest of everything, or one runtime less.

use super::closure::{resolve_in, resolve_loaded};
use super::containers::{self, Inside};
use super::definitions::pinned;
use super::load::{load, side_by_side, target_runtimes};
use super::{Present, definitions, repositories};
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{Evr, Pins, Plan, PlannedRuntime, Receipt, RuntimeRequest, TreePlan, escape};
use crate::resolve::{Part, ResolveError};

/// The newest allowed version of everything that is installed. A tree that would go back to an older
/// version of a runtime, or whose version is not to be had any more, is left out, and that is told.
///
/// # Errors
/// When definitions are missing, metadata cannot be had or is not genuine, or the requirements cannot be
/// met.
pub(crate) fn update_plan(
    context: Context<'_>,
    keys: &Keys<'_>,
    present: &Present,
) -> Result<Plan, Error> {
    for tree in present.trees.values() {
        definitions::check_all(context.catalog, tree)?;
    }
    let arches: Vec<_> = present.trees.keys().copied().collect();
    let trees = side_by_side(&arches, |arch| match present.trees.get(&arch) {
        Some(tree) => update_tree(context, keys, tree, &present.pins),
        None => Ok(None),
    })?;
    Ok(Plan::of(trees.into_iter().flatten().collect()))
}

fn update_tree(
    context: Context<'_>,
    keys: &Keys<'_>,
    tree: &Receipt,
    pins: &Pins,
) -> Result<Option<TreePlan>, Error> {
    let catalog = repositories::remembering(context.catalog, Some(tree), &[]);
    let context = Context { catalog: &catalog, ..context };
    repositories::tell(context, &tree.dist, tree.arch);
    let dist = context.catalog.dist(&tree.dist)?;
    let newest = |runtime: &PlannedRuntime| RuntimeRequest {
        name: runtime.name.clone(),
        version: pins.get(&runtime.name).cloned(),
        package: None,
    };
    let runtimes: Vec<_> = tree.runtimes.iter().map(newest).collect();
    let inside = Inside { asked: None, tree: Some(tree) };
    let stays = |why: String| {
        context.reporter.note(format!("{}: {why}: it stays as it is", tree.arch));
        Ok(None)
    };
    let mut plan = match resolve_in(context, keys, &runtimes, (dist, inside), tree.arch) {
        Err(Error::Resolve(
            error @ (ResolveError::UnknownVersion { .. } | ResolveError::NotOffered { .. }),
        )) => return stays(error.to_string()),
        plan => plan?,
    };
    match tree.runtimes.iter().find_map(|runtime| older_in(&plan, runtime)) {
        Some(older) => stays(format!(
            "{} holds {} {} at most, which is older than what is installed",
            dist.name,
            older.name,
            escape(&older.version)
        )),
        None => {
            repositories::record(context, &mut plan);
            Ok(Some(plan))
        }
    }
}

/// What the plan has of `runtime`, where that is older.
fn older_in<'a>(plan: &'a TreePlan, runtime: &PlannedRuntime) -> Option<&'a PlannedRuntime> {
    plan.runtimes.iter().find(|planned| {
        planned.name == runtime.name && Evr::parse(&planned.version) < Evr::parse(&runtime.version)
    })
}

/// The tree without the runtime `name`, and nothing else changed: of the packages that are installed
/// those that the other runtimes need. Where the repositories cannot be asked, or no longer hold
/// what is installed, all packages stay but the runtime's commands go; the next update drops the rest.
///
/// # Errors
/// When a definition is missing, or the user stops the run.
pub(crate) fn without(
    context: Context<'_>,
    keys: &Keys<'_>,
    tree: &Receipt,
    name: &str,
) -> Result<TreePlan, Error> {
    let others: Vec<PlannedRuntime> =
        tree.runtimes.iter().filter(|runtime| runtime.name != name).cloned().collect();
    definitions::check(context.catalog, tree, others.iter().map(|it| it.name.as_str()))?;
    let catalog = repositories::remembering(context.catalog, Some(tree), &[]);
    let context = Context { catalog: &catalog, ..context };
    match resolve_installed(context, keys, tree, &others) {
        Ok(mut plan) => {
            repositories::record(context, &mut plan);
            Ok(plan)
        }
        Err(error) if error.is_cancelled() => Err(error),
        Err(error) => {
            context.reporter.detail(format!("{}: {error}", tree.arch));
            context.reporter.note(format!(
                "{}: which packages only {name} needs cannot be found out now: they stay until the \
                 next update",
                tree.arch
            ));
            Ok(TreePlan { runtimes: others, ..pinned(context, tree)? })
        }
    }
}

/// Resolves `runtimes` among the packages that are installed.
fn resolve_installed(
    context: Context<'_>,
    keys: &Keys<'_>,
    tree: &Receipt,
    runtimes: &[PlannedRuntime],
) -> Result<TreePlan, Error> {
    let dist = context.catalog.dist(&tree.dist)?;
    let mut loaded = load(context, keys, dist, tree.arch, None)?;
    loaded.index.packages.retain(|package| {
        tree.packages.iter().any(|installed| installed.checksum == package.checksum)
    });
    let keep = |runtime: &PlannedRuntime| RuntimeRequest {
        name: runtime.name.clone(),
        version: Some(runtime.version.clone()),
        package: None,
    };
    let runtimes: Vec<_> = runtimes.iter().map(keep).collect();
    let definitions = target_runtimes(context, &runtimes)?;
    let needs_inside = definitions.iter().any(|runtime| containers::has_inside(runtime));
    let part = match tree.container_dist() {
        Some(_) if needs_inside => Part::Outside,
        _ => Part::Whole,
    };
    let mut plan = resolve_loaded(context, &loaded, &runtimes, dist, tree.arch, part)?;
    if part == Part::Outside {
        plan.container = pinned(context, tree)?.container;
        plan.glibc = plan.glibc.max(plan.container.as_ref().and_then(|part| part.glibc));
    }
    Ok(plan)
}
