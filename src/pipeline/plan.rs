//! From a request to a plan: metadata, then resolution, for each architecture side by side.

use std::collections::BTreeMap;
use std::thread;

use super::target::check_tree;
use super::{Context, Keys, local, metadata};
use crate::error::Error;
use crate::model::{
    Arch, Dist, Libc, PLAN_FORMAT, Plan, PlannedRuntime, Repository, Request, Runtime,
    RuntimeRequest, TreePlan,
};
use crate::prefix::Prefix;
use crate::resolve::{self, Target, Wanted};

/// What is installed already, per architecture: it stays, at its version where that is still to
/// be had.
pub type Present = BTreeMap<Arch, PresentTree>;

/// What one live tree holds.
#[derive(Clone, Debug)]
pub struct PresentTree {
    /// The dist that it was made from.
    pub dist: String,
    /// Its runtimes.
    pub runtimes: Vec<PlannedRuntime>,
}

/// What is live in `prefix`.
///
/// # Errors
/// When it cannot be read.
pub fn present(prefix: &Prefix) -> Result<Present, Error> {
    let mut present = Present::new();
    for arch in prefix.arches()? {
        if let Some(generation) = prefix.live(arch)? {
            let receipt = prefix.receipt(&generation)?;
            present.insert(arch, PresentTree { dist: receipt.dist, runtimes: receipt.runtimes });
        }
    }
    Ok(present)
}

/// Makes the plan for `request`.
///
/// # Errors
/// When a dist or runtime is unknown, metadata cannot be had or is not genuine, or the
/// requirements cannot be met.
pub fn plan(
    context: Context<'_>,
    keys: &Keys<'_>,
    request: &Request,
    present: &Present,
) -> Result<Plan, Error> {
    let trees: Result<Vec<TreePlan>, Error> = thread::scope(|scope| {
        let start = |&arch: &Arch| {
            let present = present.get(&arch);
            scope.spawn(move || plan_tree(context, keys, request, arch, present))
        };
        let threads: Vec<_> = request.arches.iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err(Error::Panicked))).collect()
    });
    Ok(Plan { format: PLAN_FORMAT, trees: trees? })
}

/// A runtime's versions in a dist, newest first.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Offer {
    /// The runtime's name.
    pub runtime: String,
    /// Its versions, without release, newest first; empty when the dist lacks it.
    pub versions: Vec<String>,
}

/// What `dist` offers for `arch`: every runtime of the catalog with its versions.
///
/// # Errors
/// When the metadata cannot be had.
pub fn offers(
    context: Context<'_>,
    keys: &Keys<'_>,
    dist: &Dist,
    arch: Arch,
) -> Result<Vec<Offer>, Error> {
    let index = load(context, keys, dist, arch)?.index;
    let offer = |runtime: &Runtime| Offer {
        runtime: runtime.name.clone(),
        versions: resolve::versions(&index, &runtime.package),
    };
    Ok(context.catalog.runtimes().map(offer).collect())
}

fn plan_tree(
    context: Context<'_>,
    keys: &Keys<'_>,
    request: &Request,
    arch: Arch,
    present: Option<&PresentTree>,
) -> Result<TreePlan, Error> {
    if context.target(arch).is_some_and(|target| target.libc == Libc::Musl) {
        return Err(Error::Musl);
    }
    let runtimes = with_present(&request.runtimes, present);
    let kept = present.map(|tree| tree.dist.as_str());
    let typed = request.dist.as_deref().or(kept).or(context.default_dist);
    let Some(typed) = typed.filter(|dist| *dist != "auto") else {
        return plan_default(context, keys, &runtimes, arch);
    };
    let dist = context.catalog.dist(typed)?;
    if dist.name != typed {
        context.reporter.note(format!("{typed}: packages of {} fit it", dist.name));
    }
    resolve_in(context, keys, &runtimes, dist, arch)
}

/// Tries the dists that the catalog proposes until one offers the runtimes.
fn plan_default(
    context: Context<'_>,
    keys: &Keys<'_>,
    runtimes: &[RuntimeRequest],
    arch: Arch,
) -> Result<TreePlan, Error> {
    let target = context.target(arch);
    let choices = context.catalog.choices(arch, target.as_ref(), context.today)?;
    let mut first_error = None;
    for choice in choices {
        choice.message.into_iter().for_each(|message| context.reporter.note(message));
        match resolve_in(context, keys, runtimes, choice.dist, arch) {
            Err(Error::Resolve(error)) if error.is_runtime_missing() => {
                context.reporter.detail(format!("{}: {error}", choice.dist.name));
                first_error.get_or_insert(Error::Resolve(error));
            }
            // Its packages may ask more than the dist itself does: an older one may fit.
            Err(error @ Error::TooNew { .. }) => {
                context.reporter.detail(error.to_string());
                first_error.get_or_insert(error);
            }
            outcome => return outcome,
        }
    }
    Err(first_error.unwrap_or(Error::NoDist { arch }))
}

/// The runtimes asked for, and those that the prefix has already, at their versions.
fn with_present(asked: &[RuntimeRequest], present: Option<&PresentTree>) -> Vec<RuntimeRequest> {
    let mut runtimes = asked.to_vec();
    for runtime in present.map_or(&[][..], |tree| &tree.runtimes) {
        if asked.iter().all(|asked| asked.name != runtime.name) {
            runtimes.push(RuntimeRequest {
                name: runtime.name.clone(),
                version: Some(runtime.version.clone()),
                package: None,
            });
        }
    }
    runtimes
}

fn resolve_in(
    context: Context<'_>,
    keys: &Keys<'_>,
    runtimes: &[RuntimeRequest],
    dist: &Dist,
    arch: Arch,
) -> Result<TreePlan, Error> {
    let mut loaded = load(context, keys, dist, arch)?;
    for runtime in runtimes {
        if let Some(package) = &runtime.package {
            local::append(context, package, dist, arch, &mut loaded)?;
        }
    }
    let definitions: Vec<&Runtime> = runtimes
        .iter()
        .map(|runtime| context.catalog.runtime(&runtime.name))
        .collect::<Result<_, _>>()?;
    let wanted: Vec<Wanted<'_>> = runtimes
        .iter()
        .zip(&definitions)
        .map(|(runtime, definition)| Wanted {
            runtime: definition,
            version: runtime.version.as_deref(),
            local: runtime.package.is_some(),
        })
        .collect();
    let host = context.catalog.host_gives(&definitions);
    let target = Target { arch, dist, runtimes: &wanted, host: &host, sources: loaded.sources };
    let tree = resolve::resolve(&loaded.index, &target)?;
    check_tree(context, &tree)?;
    Ok(tree)
}

fn load(
    context: Context<'_>,
    keys: &Keys<'_>,
    dist: &Dist,
    arch: Arch,
) -> Result<metadata::Loaded, Error> {
    let verify = |repository: &Repository, data: &[u8], signature: &[u8]| {
        keys.verify_detached(&repository.keys, data, signature)
            .map(drop)
            .map_err(|error| metadata::TrustFailure(Box::new(error)))
    };
    Ok(metadata::load(context.fetcher, dist, arch, &verify, context.reporter)?)
}
