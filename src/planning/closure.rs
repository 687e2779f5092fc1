//! The packages of a tree: what runs outside of containers and what is bound into them, of one dist or of
//! two.

use std::thread;

use super::answer::AnswerKey;
use super::containers::{self, Choice, Inside};
use super::load::{load, target_runtimes};
use super::local;
use super::target::check_tree;
use crate::context::Context;
use crate::error::Error;
use crate::metadata::{Keys, Loaded};
use crate::model::{Arch, Checksum, Dist, Evr, Index, RuntimeRequest, TreePlan};
use crate::resolve::{self, Part, Target, Wanted};
use crate::tools::threads;

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
    let answer = AnswerKey::to(context, runtimes, dist, &choice.dists, arch)?;
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
        && tree.container_dist() == choice.dists.first().map(|dist| dist.name.as_str())
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

/// Resolves `part` of `runtimes` in repositories that are at hand.
pub(super) fn resolve_loaded(
    context: Context<'_>,
    loaded: &Loaded,
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
    let measuring = context.reporter.measure_on("resolve", &dist.name);
    let tree = resolve::resolve(&loaded.index, &target)?;
    drop(measuring);
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
