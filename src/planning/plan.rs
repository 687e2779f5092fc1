//! From a request to a plan: metadata, then resolution, for each architecture side by side.

use super::archives::resolve_with_archives;
use super::closure::resolve_in;
use super::containers::Inside;
use super::load::side_by_side;
use super::{Present, definitions, repositories};
use crate::catalog::CatalogError;
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{
    Arch, Dist, Evr, Libc, Pins, Plan, PlannedPackage, PlannedRuntime, Receipt, Request,
    RuntimeRequest, TreePlan, escape,
};

/// Makes the plan for `request`.
///
/// # Errors
/// When a dist or runtime is unknown, a pin forbids what is asked, metadata cannot be had or is not
/// genuine, or the requirements cannot be met.
pub(crate) fn plan(
    context: Context<'_>,
    keys: &Keys<'_>,
    request: &Request,
    present: &Present,
) -> Result<Plan, Error> {
    let request =
        Request { runtimes: pinned(&request.runtimes, &present.pins)?, ..request.clone() };
    let trees = side_by_side(&request.arches, |arch| {
        let catalog =
            repositories::remembering(context.catalog, present.trees.get(&arch), &request.runtimes);
        let context = Context { catalog: &catalog, ..context };
        let mut tree = plan_tree(context, keys, &request, arch, present)?;
        repositories::record(context, &mut tree);
        Ok(tree)
    })?;
    Ok(Plan::of(trees))
}

/// The runtimes as asked for, held to their pins.
fn pinned(asked: &[RuntimeRequest], pins: &Pins) -> Result<Vec<RuntimeRequest>, Error> {
    let hold = |runtime: &RuntimeRequest| {
        let Some(pin) = pins.get(&runtime.name) else { return Ok(runtime.clone()) };
        match runtime.version.as_deref().or(runtime.package.as_deref()) {
            None => Ok(RuntimeRequest { version: Some(pin.clone()), ..runtime.clone() }),
            Some(version) => check_pin(&runtime.name, version, pin).map(|()| runtime.clone()),
        }
    };
    asked.iter().map(hold).collect()
}

/// Refuses a plan that moves a runtime out of its pin: one that was not made for this prefix may.
///
/// # Errors
/// When it does.
pub(crate) fn check_pins(plan: &Plan, pins: &Pins) -> Result<(), Error> {
    for tree in &plan.trees {
        for runtime in &tree.runtimes {
            let Some(pin) = pins.get(&runtime.name) else { continue };
            // A pin may have a release.
            let full = |package: &PlannedPackage| {
                let Evr { version, release, .. } = &package.nevra.evr;
                *version == runtime.version && format!("{version}-{release}") == *pin
            };
            if !tree.packages.iter().any(full) {
                check_pin(&runtime.name, &runtime.version, pin)?;
            }
        }
    }
    Ok(())
}

fn check_pin(name: &str, version: &str, pin: &str) -> Result<(), Error> {
    if is_within(version, pin) {
        return Ok(());
    }
    let (pin, version) = (escape(pin), escape(version));
    Err(Error::Usage(format!(
        "{name} is pinned at {pin} in this prefix, and {version} is asked for: first type \
         `elsewhere unpin PREFIX {name}`"
    )))
}

/// Whether `version` is `pin`, or a version that `pin` is a prefix of.
fn is_within(version: &str, pin: &str) -> bool {
    version.strip_prefix(pin).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn plan_tree(
    context: Context<'_>,
    keys: &Keys<'_>,
    request: &Request,
    arch: Arch,
    present: &Present,
) -> Result<TreePlan, Error> {
    let _measuring = context.reporter.measure_on("plan", arch);
    if context.target(arch).is_some_and(|target| target.libc == Libc::Musl) {
        return Err(Error::Musl);
    }
    let tree = present.trees.get(&arch);
    if let Some(tree) = tree {
        let names = tree.runtimes.iter().map(|runtime| runtime.name.as_str());
        let stays = |name: &&str| request.runtimes.iter().all(|asked| asked.name != *name);
        definitions::check_runtimes(context.catalog, names.filter(stays))?;
    }
    let kept = kept(&request.runtimes, tree, &present.pins);
    let inside = Inside { asked: request.container_dist.as_deref(), tree };
    let kept_dist = tree.map(|tree| tree.dist.as_str());
    let typed = request.dist.as_deref().or(kept_dist);
    let typed = typed.or_else(|| neighbour(context, arch, present)).or(context.default_dist);
    let Some(typed) = typed.filter(|dist| *dist != "auto") else {
        return plan_default(context, keys, &request.runtimes, &kept, arch, inside);
    };
    let dist = match context.catalog.dist(typed) {
        // A distribution that no table knows: what its glibc runs suits it.
        Err(CatalogError::UnknownDist { name, .. })
            if context.catalog.is_name_of(&name, &context.host.distribution) =>
        {
            context
                .reporter
                .note(format!("{typed} is this machine: what its glibc runs is chosen"));
            return plan_default(context, keys, &request.runtimes, &kept, arch, inside);
        }
        dist => dist?,
    };
    if dist.name != typed {
        context.reporter.note(format!("{typed}: packages of {} fit it", dist.name));
    }
    resolve_with(context, keys, &request.runtimes, kept, (dist, inside), arch)
}

/// The dist of another architecture of the prefix, where it has packages for this one too.
fn neighbour<'a>(context: Context<'_>, arch: Arch, present: &'a Present) -> Option<&'a str> {
    let mut dists = present.trees.values().map(|tree| tree.dist.as_str());
    dists.find(|name| {
        let dist = context.catalog.dist(name);
        dist.is_ok_and(|dist| dist.repositories_for(arch).next().is_some())
    })
}

/// Tries the dists that the catalog proposes until one offers the runtimes.
fn plan_default(
    context: Context<'_>,
    keys: &Keys<'_>,
    asked: &[RuntimeRequest],
    kept: &[Staying],
    arch: Arch,
    inside: Inside<'_>,
) -> Result<TreePlan, Error> {
    let target = context.target(arch);
    let choices = context.catalog.choices(arch, target.as_ref(), context.today)?;
    // Where a policy leaves none, it is what refuses them.
    let is_any_allowed = choices.iter().any(|choice| context.allows(choice.dist));
    let mut first_error = None;
    for choice in choices.into_iter().filter(|it| !is_any_allowed || context.allows(it.dist)) {
        choice.message.into_iter().for_each(|message| context.reporter.note(message));
        match resolve_with(context, keys, asked, kept.to_vec(), (choice.dist, inside), arch) {
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

/// A runtime that the tree has and nobody asked for now.
#[derive(Clone)]
struct Staying {
    request: RuntimeRequest,
    is_pinned: bool,
}

/// The runtimes that the tree has beside those that are asked for, at their versions.
fn kept(asked: &[RuntimeRequest], tree: Option<&Receipt>, pins: &Pins) -> Vec<Staying> {
    let present = tree.map_or(&[][..], |tree| &tree.runtimes);
    let others = present.iter().filter(|runtime| asked.iter().all(|it| it.name != runtime.name));
    let keep = |runtime: &PlannedRuntime| {
        let version = Some(runtime.version.clone());
        let request = RuntimeRequest { name: runtime.name.clone(), version, package: None };
        Staying { request, is_pinned: pins.contains_key(&runtime.name) }
    };
    others.map(keep).collect()
}

/// Resolves what is asked together with what is kept. What the repositories no longer hold in the
/// version that is installed moves to the newest, unless it is pinned.
fn resolve_with(
    context: Context<'_>,
    keys: &Keys<'_>,
    asked: &[RuntimeRequest],
    mut kept: Vec<Staying>,
    (dist, inside): (&Dist, Inside<'_>),
    arch: Arch,
) -> Result<TreePlan, Error> {
    repositories::tell(context, &dist.name, arch);
    loop {
        let all = asked.iter().chain(kept.iter().map(|it| &it.request)).cloned();
        let all: Vec<RuntimeRequest> = all.collect();
        let outcome = resolve_in(context, keys, &all, (dist, inside), arch);
        let unknown = match &outcome {
            Err(Error::Resolve(error)) => error.unknown_version(),
            _ => None,
        };
        let Some((runtime, wanted)) = unknown else { return outcome };
        let movable = kept.iter_mut().find(|Staying { request, is_pinned }| {
            request.name == *runtime && request.version.is_some() && !is_pinned
        });
        let Some(Staying { request, .. }) = movable else {
            let place = (dist, inside);
            return outcome
                .or_else(|lacks| resolve_with_archives(context, keys, &all, place, arch, lacks));
        };
        context.reporter.note(format!(
            "{arch}: {} no longer holds {runtime} {}, which is installed: it moves to the newest",
            dist.name,
            escape(wanted)
        ));
        request.version = None;
    }
}
