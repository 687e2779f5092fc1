//! What a closure is asked for.

use crate::model::{Arch, Dist, Extra, HostGives, Runtime, Source};

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
    /// Where the repositories were found, in the dist's order; [`LOCAL`](crate::model::LOCAL) among them if it is used.
    pub sources: Vec<Source>,
}

/// A runtime that is to be in the tree.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its definition.
    pub runtime: &'a Runtime,
    /// `1.4.5`, `1.4.5-1.el8`, or a prefix such as `1.4`; `None` for the newest.
    pub version: Option<&'a str>,
    /// Whether its own package comes from the repository [`LOCAL`](crate::model::LOCAL) instead of the dist's.
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
    pub(super) fn has(self, runtime: &Runtime, extra: &Extra) -> bool {
        match self {
            Self::Whole => true,
            Self::Outside => !runtime.faces_containers(extra),
            Self::InContainers(_) => runtime.faces_containers(extra),
        }
    }
}
