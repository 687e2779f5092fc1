//! From a request to a plan: metadata, then resolution, for each architecture side by side.

use std::thread;

use super::answer::Answer;
use super::containers::{self, Choice, Inside};
use super::metadata::Loaded;
use super::target::check_tree;
use super::{Context, Keys, Present, definitions, local, metadata, repositories};
use crate::catalog::CatalogError;
use crate::error::Error;
use crate::model::{
    Arch, Checksum, Dist, Evr, Index, Libc, PLAN_FORMAT, Plan, PlannedPackage, PlannedRuntime,
    Receipt, Repository, Request, Runtime, RuntimeRequest, TreePlan, escape,
};
use crate::prefix::Pins;
use crate::resolve::{self, Part, Target, Wanted};
use crate::tools::threads;

/// Makes the plan for `request`.
///
/// # Errors
/// When a dist or runtime is unknown, a pin forbids what is asked, metadata cannot be had or is not
/// genuine, or the requirements cannot be met.
pub fn plan(
    context: Context<'_>,
    keys: &Keys<'_>,
    request: &Request,
    present: &Present,
) -> Result<Plan, Error> {
    let request =
        Request { runtimes: pinned(&request.runtimes, &present.pins)?, ..request.clone() };
    let trees = side_by_side(&request.arches, |arch| {
        let catalog = repositories::remembering(context.catalog, present.trees.get(&arch));
        let context = Context { catalog: &catalog, ..context };
        let mut tree = plan_tree(context, keys, &request, arch, present)?;
        repositories::record(context, &mut tree);
        Ok(tree)
    })?;
    Ok(Plan { format: PLAN_FORMAT, trees })
}

/// Does `work` for each architecture at the same time.
pub(super) fn side_by_side<T: Send>(
    arches: &[Arch],
    work: impl Fn(Arch) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    thread::scope(|scope| {
        let work = &work;
        let spawn = |&arch: &Arch| threads::spawn(scope, move || work(arch));
        let tasks: Vec<_> = arches.iter().map(spawn).collect();
        tasks.into_iter().map(|thread| thread.join().unwrap_or(Err(Error::Panicked))).collect()
    })
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
pub fn check_pins(plan: &Plan, pins: &Pins) -> Result<(), Error> {
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
    repositories::tell(context, &dist.name, arch);
    let index = load(context, keys, dist, arch, None)?.index;
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
    present: &Present,
) -> Result<TreePlan, Error> {
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
    kept: &[(RuntimeRequest, bool)],
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

/// The runtimes that the tree has beside those that are asked for, at their versions.
fn kept(
    asked: &[RuntimeRequest],
    tree: Option<&Receipt>,
    pins: &Pins,
) -> Vec<(RuntimeRequest, bool)> {
    let present = tree.map_or(&[][..], |tree| &tree.runtimes);
    let others = present.iter().filter(|runtime| asked.iter().all(|it| it.name != runtime.name));
    let keep = |runtime: &PlannedRuntime| {
        let version = Some(runtime.version.clone());
        let request = RuntimeRequest { name: runtime.name.clone(), version, package: None };
        (request, pins.contains_key(&runtime.name))
    };
    others.map(keep).collect()
}

/// Resolves what is asked together with what is kept. What the repositories no longer hold in the
/// version that is installed moves to the newest, unless it is pinned.
fn resolve_with(
    context: Context<'_>,
    keys: &Keys<'_>,
    asked: &[RuntimeRequest],
    mut kept: Vec<(RuntimeRequest, bool)>,
    (dist, inside): (&Dist, Inside<'_>),
    arch: Arch,
) -> Result<TreePlan, Error> {
    repositories::tell(context, &dist.name, arch);
    loop {
        let all = asked.iter().chain(kept.iter().map(|(request, _)| request)).cloned();
        let all: Vec<RuntimeRequest> = all.collect();
        let outcome = resolve_in(context, keys, &all, (dist, inside), arch);
        let unknown = match &outcome {
            Err(Error::Resolve(error)) => error.unknown_version(),
            _ => None,
        };
        let Some((runtime, wanted)) = unknown else { return outcome };
        let movable = kept.iter_mut().find(|(request, is_pinned)| {
            request.name == *runtime && request.version.is_some() && !is_pinned
        });
        let Some((request, _)) = movable else { return outcome };
        context.reporter.note(format!(
            "{arch}: {} no longer holds {runtime} {}, which is installed: it moves to the newest",
            dist.name,
            escape(wanted)
        ));
        request.version = None;
    }
}

/// Resolves `runtimes` in `dist`, and what they have bound into containers where `inside` says.
pub(super) fn resolve_in(
    context: Context<'_>,
    keys: &Keys<'_>,
    runtimes: &[RuntimeRequest],
    (dist, inside): (&Dist, Inside<'_>),
    arch: Arch,
) -> Result<TreePlan, Error> {
    let definitions = target_runtimes(context, runtimes)?;
    let choice = containers::choose(context, inside, &definitions, dist, arch)?;
    let answer = Answer::to(context, runtimes, dist, &choice.dists, arch)?;
    let known = answer.as_ref().and_then(|answer| answer.recall(context));
    let contents = known.as_ref().map_or(&[][..], |known| known.contents.as_slice());
    let (mut loaded, mut first) = load_both(context, keys, dist, &choice, arch, contents)?;
    if let Some(known) = known {
        if known.contents == contents_of(&loaded, first.as_ref()) {
            let tree = known.with_sources(loaded, first.and_then(Result::ok));
            check_tree(context, &tree)?;
            return Ok(tree);
        }
        // Of what did not change nothing was read.
        (loaded, first) = load_both(context, keys, dist, &choice, arch, &[])?;
    }
    for runtime in runtimes {
        if let Some(package) = &runtime.package {
            local::append(context, package, dist, arch, &mut loaded)?;
        }
    }
    let contents = contents_of(&loaded, first.as_ref());
    let tree = resolve_parts(context, keys, runtimes, &choice, (&loaded, first), (dist, arch))?;
    if let Some(answer) = answer
        && tree.container_dist.as_ref() == choice.dists.first().map(|dist| &dist.name)
    {
        answer.remember(context, contents, &tree);
    }
    Ok(tree)
}

/// Resolves what runs outside containers and what runs inside from two dists, or all from one.
fn resolve_parts(
    context: Context<'_>,
    keys: &Keys<'_>,
    runtimes: &[RuntimeRequest],
    choice: &Choice<'_>,
    (loaded, first): (&Loaded, Option<Result<Loaded, Error>>),
    (dist, arch): (&Dist, Arch),
) -> Result<TreePlan, Error> {
    if !choice.dists.is_empty() {
        let outside = resolve_loaded(context, loaded, runtimes, dist, arch, Part::Outside)?;
        let whole = containers::complete(context, keys, choice, first, runtimes, &outside)?;
        if let Some(tree) = whole {
            check_tree(context, &tree)?;
            return Ok(tree);
        }
    }
    resolve_loaded(context, loaded, runtimes, dist, arch, Part::Whole)
}

/// The metadata of `dist`, and beside it that of the first dist for containers. `known` are the
/// contents that need not be read again.
fn load_both(
    context: Context<'_>,
    keys: &Keys<'_>,
    dist: &Dist,
    choice: &Choice<'_>,
    arch: Arch,
    known: &[Vec<Checksum>],
) -> Result<(Loaded, Option<Result<Loaded, Error>>), Error> {
    let known = |place| known.get(place).map(Vec::as_slice);
    thread::scope(|scope| {
        let load_first =
            |&dist| threads::spawn(scope, move || load(context, keys, dist, arch, known(1)));
        let first = choice.dists.first().map(load_first);
        let loaded = load(context, keys, dist, arch, known(0))?;
        Ok((loaded, first.map(|thread| thread.join().unwrap_or(Err(Error::Panicked)))))
    })
}

fn contents_of(loaded: &Loaded, first: Option<&Result<Loaded, Error>>) -> Vec<Vec<Checksum>> {
    let first = first.and_then(|first| first.as_ref().ok());
    let all = [Some(loaded), first].into_iter().flatten();
    all.map(|loaded| loaded.contents.clone()).collect()
}

/// The definitions of `runtimes`.
pub(super) fn target_runtimes<'a>(
    context: Context<'a>,
    runtimes: &[RuntimeRequest],
) -> Result<Vec<&'a Runtime>, Error> {
    let definition = |runtime: &RuntimeRequest| Ok(context.catalog.runtime(&runtime.name)?);
    runtimes.iter().map(definition).collect()
}

/// Resolves `part` of `runtimes` in repositories that are at hand.
pub(super) fn resolve_loaded(
    context: Context<'_>,
    loaded: &metadata::Loaded,
    runtimes: &[RuntimeRequest],
    dist: &Dist,
    arch: Arch,
    part: Part<'_>,
) -> Result<TreePlan, Error> {
    let definitions = target_runtimes(context, runtimes)?;
    let wanted: Vec<Wanted<'_>> = runtimes
        .iter()
        .zip(&definitions)
        .map(|(runtime, definition)| Wanted {
            runtime: definition,
            version: runtime.version.as_deref(),
            local: runtime.package.is_some(),
            part,
        })
        .collect();
    let mut host = context.catalog.host_gives(&definitions);
    if part == Part::Outside {
        containers::count_as_given(&mut host, &definitions);
    }
    let sources = loaded.sources.clone();
    let target = Target { arch, dist, runtimes: &wanted, host: &host, sources };
    let tree = resolve::resolve(&loaded.index, &target)?;
    check_tree(context, &tree)?;
    warn_of_newer(context, &loaded.index, &wanted, &tree);
    Ok(tree)
}

/// Says which newer package of a runtime was passed over because its repository lists it in a way
/// that cannot be used.
fn warn_of_newer(context: Context<'_>, index: &Index, wanted: &[Wanted<'_>], tree: &TreePlan) {
    for wanted in wanted.iter().filter(|wanted| wanted.version.is_none() && !wanted.local) {
        let name = &wanted.runtime.package;
        let chosen = tree.packages.iter().find(|package| package.nevra.name == *name);
        let newer = |evr: &Evr| chosen.is_some_and(|chosen| *evr > chosen.nevra.evr);
        let mut passed = index.set_aside.iter().filter(|it| it.name == *name && newer(&it.evr));
        if let Some(passed) = passed.next() {
            context.reporter.warning(passed.describe(index));
        }
    }
}

pub(super) fn load(
    context: Context<'_>,
    keys: &Keys<'_>,
    dist: &Dist,
    arch: Arch,
    known: Option<&[Checksum]>,
) -> Result<metadata::Loaded, Error> {
    let verify = |repository: &Repository, data: &[u8], signature: &[u8]| {
        keys.verify_detached(&repository.keys, data, signature)
            .map(drop)
            .map_err(|error| metadata::TrustFailure(Box::new(error)))
    };
    thread::scope(|scope| {
        // Packages need the keys, and so may metadata: asked for at once, they cost no time.
        threads::spawn(scope, || keys.ensure(&local::keys(dist, arch)));
        Ok(metadata::load(context.fetcher, dist, arch, &verify, context.reporter, known)?)
    })
}
