//! Plans for several dists, each for the machines that run it, and for no prefix that there is.

use super::{Present, plan};
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{Aim, Dist, Plan, Request};

/// A plan for no prefix that there is; of several dists, each for the machines that run it.
///
/// # Errors
/// As [`plan()`].
pub(crate) fn plan_for(
    context: Context<'_>,
    keys: &Keys<'_>,
    request: &Request,
    dists: &[&Dist],
) -> Result<Plan, Error> {
    if dists.len() < 2 {
        return plan(context, keys, request, &Present::default());
    }
    plan_each(context, keys, request, dists)
}

/// A plan for each of `dists`, for the machines that run it, whatever machine this is.
///
/// # Errors
/// As [`plan()`].
pub(crate) fn plan_each(
    context: Context<'_>,
    keys: &Keys<'_>,
    request: &Request,
    dists: &[&Dist],
) -> Result<Plan, Error> {
    let present = Present::default();
    let mut trees = Vec::new();
    for dist in dists {
        let request = Request { dist: Some(dist.name.clone()), ..request.clone() };
        trees.extend(plan(for_dist(context, dist), keys, &request, &present)?.trees);
    }
    trees.sort_by_key(|tree| tree.arch);
    Ok(Plan::of(trees))
}

/// `context` for trees that run wherever `dist` does.
#[must_use]
pub(crate) fn for_dist<'a>(context: Context<'a>, dist: &Dist) -> Context<'a> {
    // What its packages ask of glibc is the launchers' business, and nobody's reason to refuse them.
    let aim = Aim { glibc: None, x86_64_level: dist.x86_64_level };
    Context { aim: Some(aim), ..context }
}
