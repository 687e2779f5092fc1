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
mod tree;
mod universe;
mod wishes;

use crate::model::{Arch, Dist, Evr, Extra, HostGives, Index, Runtime, Source, TreePlan};

pub use error::{HiddenPackage, Link, ResolveError, WhyHidden};

/// Id of the repository that holds packages which the user named by path or URL.
pub const LOCAL: &str = "local";

/// What a tree is made for, and of what.
#[derive(Debug)]
pub struct Target<'a> {
    /// The tree's architecture.
    pub arch: Arch,
    /// The dist that the index was read from: its name, and its repositories' priorities.
    pub dist: &'a Dist,
    /// The runtimes, at least one.
    pub runtimes: &'a [Wanted<'a>],
    /// What is on every host: `repos/host.toml` and the runtimes' own, merged.
    pub host: &'a HostGives,
    /// Where the repositories were found, in the dist's order; [`LOCAL`] among them if it is used.
    pub sources: Vec<Source>,
}

/// A runtime that is to be in the tree.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its definition.
    pub runtime: &'a Runtime,
    /// `1.4.5`, `1.4.5-1.el8`, or a prefix such as `1.4`; `None` for the newest.
    pub version: Option<&'a str>,
    /// Whether its own package comes from the repository [`LOCAL`] instead of the dist's.
    pub local: bool,
    /// Which part of it is wanted.
    pub part: Part<'a>,
}

/// Which part of a runtime is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// All of it.
    Whole,
    /// All but what is bound into containers, which counts as being there.
    Outside,
    /// Only the extras that are bound into containers, beside this version of the runtime.
    InContainers(&'a str),
}

impl Part<'_> {
    /// Whether it has this extra of `runtime`.
    fn has(self, runtime: &Runtime, extra: &Extra) -> bool {
        match self {
            Self::Whole => true,
            Self::Outside => !runtime.faces_containers(extra),
            Self::InContainers(_) => runtime.faces_containers(extra),
        }
    }
}

/// The versions of the packages called `name`, without epoch and release, newest first.
#[must_use]
pub fn versions(index: &Index, name: &str) -> Vec<String> {
    let mut found: Vec<&Evr> = index
        .packages
        .iter()
        .filter(|package| index.text(package.name) == name)
        .map(|package| &package.evr)
        .collect();
    found.sort();
    let mut versions: Vec<String> = found.iter().rev().map(|evr| evr.version.clone()).collect();
    versions.dedup();
    versions
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
