//! Why there is no plan.

use super::Wanted;
use crate::model::{Arch, Index, escape};

/// One step of the way from a runtime to a package: who needs what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The package that needs it, or `runtime NAME`.
    pub by: String,
    /// The requirement as RPM writes it, or what the runtime's definition says.
    pub needs: String,
}

/// Why no set of packages could be chosen.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResolveError {
    /// The repositories hold no package of the runtime.
    #[error(
        "{dist} for {arch} does not offer {runtime}: {} hold no package {}",
        list(repositories),
        escape(package)
    )]
    NotOffered {
        /// The runtime's name.
        runtime: String,
        /// The package that was looked for.
        package: String,
        /// The dist's name.
        dist: String,
        /// The architecture.
        arch: Arch,
        /// Where it was looked for.
        repositories: Vec<String>,
    },
    /// The repositories hold the runtime in other versions only.
    #[error("{dist} for {arch} holds no {runtime} {}: it holds {}", escape(wanted), list(held))]
    UnknownVersion {
        /// The runtime's name.
        runtime: String,
        /// The dist's name.
        dist: String,
        /// The architecture.
        arch: Arch,
        /// The version as it was asked for.
        wanted: String,
        /// The versions that there are, newest first.
        held: Vec<String>,
    },
    /// The repositories lack a package that the runtime's definition wants.
    #[error(
        "runtime {runtime} needs {} beside it, which no package of {} provides ({dist} for {arch})",
        escape(needs),
        list(repositories)
    )]
    ExtraMissing {
        /// The runtime's name.
        runtime: String,
        /// The package or capability.
        needs: String,
        /// The dist's name.
        dist: String,
        /// The architecture.
        arch: Arch,
        /// Where it was looked for.
        repositories: Vec<String>,
    },
    /// Two runtimes want different streams of a module.
    #[error(
        "runtime {} uses stream {} of module {module} and runtime {} stream {}: \
         they cannot share a tree",
        first.0, first.1, second.0, second.1
    )]
    Streams {
        /// The module's name.
        module: Box<str>,
        /// A runtime and its stream.
        first: (String, String),
        /// Another runtime and its stream.
        second: (String, String),
    },
    /// Something that is needed is provided by no package.
    #[error("{}: no package of {} provides it{}", chain(needed), list(repositories), near(held))]
    Missing {
        /// The way from the runtime's package to what is missing.
        needed: Vec<Link>,
        /// Where it was looked for.
        repositories: Vec<String>,
        /// Packages that have it in other versions, or that a module stream hides.
        held: Vec<String>,
    },
    /// Two packages that are both needed exclude each other.
    #[error(
        "{first} and {second} exclude each other ({why}): {}; and {}",
        chain(first_needed),
        chain(second_needed)
    )]
    Excluded {
        /// A package.
        first: String,
        /// Why it is needed.
        first_needed: Box<[Link]>,
        /// Another package.
        second: String,
        /// Why it is needed.
        second_needed: Box<[Link]>,
        /// What keeps them apart.
        why: String,
    },
    /// There is no plan, and packages that were set aside when the repositories were read might have
    /// helped.
    #[error("{source}; {}", packages.join("; "))]
    SetAside {
        /// Why there is no plan.
        source: Box<Self>,
        /// What is wrong with each package.
        packages: Vec<String>,
    },
    /// No single reason could be found.
    #[error("the dependencies of {} cannot be fulfilled together", list(runtimes))]
    Contradiction {
        /// The runtimes' packages.
        runtimes: Vec<String>,
    },
}

impl ResolveError {
    /// Whether the dist simply does not have the runtime.
    #[must_use]
    pub fn is_runtime_missing(&self) -> bool {
        matches!(self.plain(), Self::NotOffered { .. })
    }

    /// The runtime and the version of it that is not held, if that is all that is wrong.
    #[must_use]
    pub fn unknown_version(&self) -> Option<(&str, &str)> {
        match self.plain() {
            Self::UnknownVersion { runtime, wanted, .. } => Some((runtime, wanted)),
            _ => None,
        }
    }

    /// This error, with what `index` says of packages that were set aside and would have been what
    /// is missing.
    pub(super) fn with_set_aside(self, index: &Index, runtimes: &[Wanted<'_>]) -> Self {
        let missing = match &self {
            Self::NotOffered { package, .. } => Some(package.as_str()),
            Self::UnknownVersion { runtime, .. } => {
                let wanted = runtimes.iter().find(|wanted| wanted.runtime.name == *runtime);
                wanted.map(|wanted| wanted.runtime.package.as_str())
            }
            Self::ExtraMissing { needs, .. } => Some(needs.as_str()),
            Self::Missing { needed, .. } => {
                let needs = needed.last().map(|link| link.needs.as_str());
                needs.and_then(|needs| needs.split(' ').next())
            }
            _ => None,
        };
        let packages = missing.map(|missing| index.set_aside_for(missing)).unwrap_or_default();
        if packages.is_empty() { self } else { Self::SetAside { source: Box::new(self), packages } }
    }

    /// The reason itself.
    fn plain(&self) -> &Self {
        match self {
            Self::SetAside { source, .. } => source,
            error => error,
        }
    }

    /// What to type or do next, where there is something useful to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotOffered { .. } => {
                Some("`elsewhere list` shows what can be installed; `-d` chooses a dist".into())
            }
            Self::UnknownVersion { held, .. } => {
                let newest = held.first()?;
                Some(format!("install the newest with `-v {}`, or without `-v`", escape(newest)))
            }
            Self::Missing { .. } | Self::Excluded { .. } | Self::Contradiction { .. } => {
                Some("another version (`-v`) or another dist (`-d`) may be complete".into())
            }
            Self::Streams { .. } => Some("install them into different prefixes".into()),
            Self::SetAside { source, .. } => source.hint(),
            Self::ExtraMissing { .. } => None,
        }
    }
}

/// `a needs b; b needs c`
fn chain(links: &[Link]) -> String {
    let links = links.iter().map(|link| format!("{} needs {}", link.by, escape(&link.needs)));
    links.collect::<Vec<_>>().join("; ")
}

/// `a, b, c`
fn list(names: &[String]) -> String {
    names.iter().map(|name| escape(name)).collect::<Vec<_>>().join(", ")
}

/// What there is instead.
fn near(held: &[String]) -> String {
    if held.is_empty() { String::new() } else { format!(" (there is {})", list(held)) }
}
