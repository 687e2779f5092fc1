//! An [`Index`] and the wanted runtimes → a [`TreePlan`]: the set of packages that dnf would
//! choose, with the host's packages as installed. Pure: no input but its arguments.
//!
//! 1. `streams`, `modules` and `universe` say which packages there are, and what each provides.
//! 2. `roots` turns the runtimes' definitions into packages that must be in.
//! 3. `rules` turns a package's dependencies into rules, `rich` those in parentheses;
//!    `policy` says which of several providers is preferred.
//! 4. `solve` gives the rules to the solver, through `provider`; `wishes` says which of several
//!    providers those that are in would like.
//! 5. `tree` says why each package is in and writes the plan; where there is none, `explain`
//!    says why.

mod capability;
mod error;
mod explain;
mod modules;
mod policy;
mod provider;
mod rich;
mod roots;
mod rules;
mod solve;
mod streams;
mod target;
mod tree;
mod universe;
mod wishes;

use crate::model::{EvrRef, Index, Package, TreePlan};

pub use error::ResolveError;
pub(crate) use error::{HiddenPackage, WhyHidden};
pub(crate) use roots::is_version;
pub use target::{Part, Target, Wanted};

/// The versions of the packages called `name`, without epoch and release, newest first.
#[must_use]
pub(crate) fn versions(index: &Index, name: &str) -> Vec<String> {
    let mut found: Vec<EvrRef<'_>> = index
        .packages
        .iter()
        .filter(|package| index.text(package.name) == name)
        .map(|package| index.evr(package))
        .collect();
    found.sort();
    let mut versions: Vec<String> = found.iter().rev().map(|evr| evr.version.to_owned()).collect();
    versions.dedup();
    versions
}

/// The packages of `index` that a tree for `target` could have.
///
/// # Errors
/// When two runtimes want different streams of one module.
pub(crate) fn eligible<'i>(
    index: &'i Index,
    target: &Target,
) -> Result<Vec<&'i Package>, ResolveError> {
    let hiding = modules::Hiding::new(index, target)?;
    let ids = universe::let_in(index, target).into_iter().map(|id| id as usize);
    let visible = ids.filter(|&position| !hiding.is_hidden(position));
    Ok(visible.filter_map(|position| index.packages.get(position)).collect())
}

/// Chooses the packages of a tree. The same arguments give the same plan.
///
/// # Errors
/// When a runtime, its version or a package that it wants is not in the repositories, or when
/// its dependencies cannot be fulfilled together.
pub fn resolve(index: &Index, target: &Target) -> Result<TreePlan, ResolveError> {
    choose(index, target).map_err(|error| error.with_set_aside(index, target.runtimes))
}

fn choose(index: &Index, target: &Target) -> Result<TreePlan, ResolveError> {
    let hiding = modules::Hiding::new(index, target)?;
    let universe = universe::Universe::new(index, target, hiding);
    let roots = roots::choose(&universe, target)?;
    let rules = rules::Rules::new(&universe);
    let Some(chosen) = solve::solve(&rules, &roots.rules) else {
        return Err(explain::explain(&rules, &roots.rules));
    };
    Ok(tree::plan(&rules, &roots, &chosen, target))
}
