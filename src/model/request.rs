//! What the user wants, validated.

use super::{Arch, UserTrust};

/// What is to be installed or planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The runtimes, at least one.
    pub runtimes: Vec<RuntimeRequest>,
    /// The dist's name as typed; `None` lets the catalog choose.
    pub dist: Option<String>,
    /// The dist of what is bound into containers: a name, or `same`; `None` for the oldest that is
    /// maintained.
    pub container_dist: Option<String>,
    /// The architectures, sorted, at least one.
    pub arches: Vec<Arch>,
    /// Whom the user trusts besides.
    pub trust: UserTrust,
}

/// A runtime and the version that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeRequest {
    /// Its name in `repos/runtimes/`.
    pub name: String,
    /// `1.4.5`, or a prefix such as `1.4`; `None` for the newest.
    pub version: Option<String>,
    /// A path or URL of the runtime's own package, instead of one from the repositories.
    pub package: Option<String>,
}

/// Versions that the user wants runtimes to stay at: runtime → `1.4.5`, or a prefix such as `1.4`.
pub type Pins = std::collections::BTreeMap<String, String>;
