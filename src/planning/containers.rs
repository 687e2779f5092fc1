//! Where what is bound into containers comes from. It runs on the container's C library, so an older
//! dist than the rest's is better for it. Its closure is resolved for itself, and has a directory of its
//! own in the tree: neither part finds the other's libraries.

use super::load::{load, target_runtimes};
use crate::context::Context;
use crate::error::Error;
use crate::metadata::{Keys, Loaded};
use crate::model::{Arch, Dist, HostGives, Receipt, Runtime, RuntimeRequest, TreePlan};
use crate::resolve::{self, Part, Target, Wanted};

/// Says "no other dist" in the place of a dist's name.
const SAME: &str = "same";

/// What decides about the dist.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inside<'a> {
    /// What the user asks for.
    pub(super) asked: Option<&'a str>,
    /// The tree that is there.
    pub(super) tree: Option<&'a Receipt>,
}

/// The dists to try, the best first; none where everything comes from one.
#[derive(Debug, Default)]
pub(super) struct Choice<'a> {
    pub(super) dists: Vec<&'a Dist>,
    /// Whether it is these or nothing.
    is_settled: bool,
}

/// The dists for what `runtimes` have bound into containers, when the rest comes from `dist`: the one
/// that is asked for, the one of the tree that is there, or those older ones that are maintained.
pub(super) fn choose<'a>(
    context: Context<'a>,
    inside: Inside<'_>,
    runtimes: &[&Runtime],
    dist: &Dist,
    arch: Arch,
) -> Result<Choice<'a>, Error> {
    let faces = |runtime: &&Runtime| has_inside(runtime);
    if !runtimes.iter().any(faces) || inside.asked == Some(SAME) {
        return Ok(Choice::default());
    }
    let stays = |tree: &&Receipt| {
        let definitions =
            tree.runtimes.iter().filter_map(|it| context.catalog.runtime(&it.name).ok());
        tree.dist == dist.name && definitions.into_iter().any(has_inside)
    };
    let named = match (inside.asked, inside.tree.filter(stays)) {
        (Some(asked), _) => Some(asked),
        (None, Some(tree)) => match tree.container_dist() {
            Some(name) => Some(name),
            None => return Ok(Choice::default()),
        },
        (None, None) => None,
    };
    if let Some(name) = named {
        let named = context.catalog.dist(name)?;
        let dists = if named.name == dist.name { Vec::new() } else { vec![named] };
        return Ok(Choice { dists, is_settled: true });
    }
    let choices = context.catalog.choices(arch, None, context.today).unwrap_or_default();
    let maintained = choices.into_iter().filter(|choice| choice.message.is_none());
    let older = maintained.map(|choice| choice.dist).filter(|older| older.glibc < dist.glibc);
    let older = older.filter(|older| context.allows(older));
    Ok(Choice { dists: older.collect(), is_settled: false })
}

/// Whether something of the runtime is bound into containers.
pub(super) fn has_inside(runtime: &Runtime) -> bool {
    runtime.extras.iter().any(|extra| runtime.faces_containers(extra))
}

/// Adds to `host` what the rest need not hold, because it is in the containers' part.
pub(super) fn count_as_given(host: &mut HostGives, runtimes: &[&Runtime]) {
    let is_own = |name: &&String| runtimes.iter().any(|runtime| runtime.package == **name);
    let facing = runtimes.iter().flat_map(|runtime| &runtime.container_facing);
    host.packages.extend(facing.filter(|name| !is_own(name)).cloned());
}

/// `outside` together with what is bound into containers, of the first of the chosen dists that has it;
/// `first` is the first one's metadata. `None` where none has it: then all comes from one dist.
///
/// # Errors
/// When the dist is settled and does not have it, or the user stops the run.
pub(super) fn complete(
    context: Context<'_>,
    keys: &Keys<'_>,
    choice: &Choice<'_>,
    mut first: Option<Result<Loaded, Error>>,
    runtimes: &[RuntimeRequest],
    outside: &TreePlan,
) -> Result<Option<TreePlan>, Error> {
    for &dist in &choice.dists {
        let loaded = first.take().unwrap_or_else(|| load(context, keys, dist, outside.arch, None));
        let inside = loaded.and_then(|loaded| resolve(context, &loaded, runtimes, outside, dist));
        match inside {
            Ok(inside) => return Ok(Some(join(outside, inside))),
            Err(error) if choice.is_settled || error.is_cancelled() => return Err(error),
            Err(error) => context.reporter.note(format!(
                "{}: what is bound into containers is not taken from {}: {error}",
                outside.arch, dist.name
            )),
        }
    }
    Ok(None)
}

/// What `runtimes` have bound into containers, from `dist`.
fn resolve(
    context: Context<'_>,
    loaded: &Loaded,
    runtimes: &[RuntimeRequest],
    outside: &TreePlan,
    dist: &Dist,
) -> Result<TreePlan, Error> {
    let definitions = target_runtimes(context, runtimes)?;
    let version = |runtime: &Runtime| {
        let planned = outside.runtimes.iter().find(|planned| planned.name == runtime.name);
        planned.map_or("", |planned| planned.version.as_str())
    };
    let wanted: Vec<Wanted<'_>> = definitions
        .iter()
        .map(|&runtime| Wanted {
            runtime,
            version: None,
            local: false,
            part: Part::InContainers(version(runtime)),
        })
        .collect();
    let host = context.catalog.host_gives(&definitions);
    let (arch, sources) = (outside.arch, loaded.sources.clone());
    let target = Target { arch, dist, runtimes: &wanted, host: &host, sources };
    Ok(resolve::resolve(&loaded.index, &target)?)
}

/// Both parts as one plan.
fn join(outside: &TreePlan, inside: TreePlan) -> TreePlan {
    let glibc = outside.glibc.max(inside.glibc);
    TreePlan { glibc, container: Some(Box::new(inside)), ..outside.clone() }
}
