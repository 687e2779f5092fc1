//! Why there is no plan.

use std::fmt;

use super::Wanted;
use crate::model::{Arch, Index, escape};

/// One step of the way from a runtime to a package: who needs what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLink {
    /// The package that needs it, or `runtime NAME`.
    pub by: String,
    /// The requirement as RPM writes it, or what the runtime's definition says.
    pub needs: String,
}

/// A package that modules hide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenPackage {
    /// Its full name.
    pub nevra: String,
    /// Why it is hidden.
    pub why: WhyHidden,
}

/// Why modules hide a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyHidden {
    /// It belongs to a stream that is not active.
    Inactive {
        /// The stream's module.
        module: String,
        /// The stream.
        stream: String,
    },
    /// A package of an active stream takes its place.
    Replaced,
    /// It is modular, and belongs to no stream of a module list.
    Unlisted {
        /// The first document of a list that made no sense, if there are such.
        set_aside: Option<String>,
    },
}

impl fmt::Display for HiddenPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, ", escape(&self.nevra))?;
        match &self.why {
            WhyHidden::Inactive { module, stream } => {
                let (module, stream) = (escape(module), escape(stream));
                write!(f, "which belongs to stream {stream} of module {module}, not active here")
            }
            WhyHidden::Replaced => f.write_str("whose place a package of an active module takes"),
            WhyHidden::Unlisted { set_aside: None } => {
                f.write_str("which is modular, and which no module list names")
            }
            WhyHidden::Unlisted { set_aside: Some(document) } => write!(
                f,
                "which is modular, and which no module list names, as far as the lists could be \
                 read: {}",
                escape(document)
            ),
        }
    }
}

impl HiddenPackage {
    /// What lets it be seen.
    fn hint(&self) -> Option<String> {
        match &self.why {
            WhyHidden::Inactive { module, stream } => {
                let (module, stream) = (escape(module), escape(stream));
                Some(format!(
                    "a definition of the runtime with `streams = {{ {module} = \"{stream}\" }}` \
                     (`--repos`) makes that stream active"
                ))
            }
            WhyHidden::Replaced => None,
            WhyHidden::Unlisted { .. } => Some(
                "packages of a module need its module list, which is missing in the repository's \
                 metadata or incomplete; `module_hotfixes = true` in a definition of the repository \
                 (`--repos`) takes them without, as dnf's option of that name does"
                    .into(),
            ),
        }
    }
}

/// Why no set of packages could be chosen.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResolveError {
    /// The repositories hold no package of the runtime.
    #[error(
        "{dist} for {arch} does not offer {runtime}: {} hold no package {}{}",
        list(repositories),
        escape(package),
        but_hidden(hidden)
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
        /// Those that there are, and that modules hide.
        hidden: Box<[HiddenPackage]>,
    },
    /// The repositories hold the runtime in other versions only.
    #[error(
        "{dist} for {arch} holds no {runtime} {}{}: it holds {}",
        escape(wanted),
        but_hidden(hidden),
        list(held)
    )]
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
        /// Those of the version that there are, and that modules hide.
        hidden: Box<[HiddenPackage]>,
    },
    /// The repositories lack a package that the runtime's definition wants.
    #[error(
        "runtime {runtime} needs {} beside it, which no package of {} provides ({dist} for {arch}){}",
        escape(needs),
        list(repositories),
        but_hidden(hidden)
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
        /// Packages that would, and that modules hide.
        hidden: Box<[HiddenPackage]>,
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
    #[error(
        "{}: no package of {} provides it{}{}",
        chain(needed),
        list(repositories),
        near(held),
        but_hidden(hidden)
    )]
    Missing {
        /// The way from the runtime's package to what is missing.
        needed: Vec<ChainLink>,
        /// Where it was looked for.
        repositories: Vec<String>,
        /// Packages that have it in other versions.
        held: Vec<String>,
        /// Packages that have it, and that modules hide.
        hidden: Box<[HiddenPackage]>,
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
        first_needed: Box<[ChainLink]>,
        /// Another package.
        second: String,
        /// Why it is needed.
        second_needed: Box<[ChainLink]>,
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
        let hidden = match self {
            Self::NotOffered { hidden, .. }
            | Self::UnknownVersion { hidden, .. }
            | Self::ExtraMissing { hidden, .. }
            | Self::Missing { hidden, .. } => &hidden[..],
            _ => &[],
        };
        hidden.iter().find_map(HiddenPackage::hint).or_else(|| self.plain_hint())
    }

    /// The hint where no package is hidden.
    fn plain_hint(&self) -> Option<String> {
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
fn chain(links: &[ChainLink]) -> String {
    let links = links.iter().map(|link| format!("{} needs {}", link.by, escape(&link.needs)));
    links.collect::<Vec<_>>().join("; ")
}

/// `a, b, c`
fn list(names: &[String]) -> String {
    names.iter().map(|name| escape(name)).collect::<Vec<_>>().join(", ")
}

/// What there is and cannot be seen.
fn but_hidden(hidden: &[HiddenPackage]) -> String {
    let all: Vec<String> = hidden.iter().map(ToString::to_string).collect();
    if all.is_empty() { String::new() } else { format!(" (hidden: {})", all.join("; ")) }
}

/// What there is instead.
fn near(held: &[String]) -> String {
    if held.is_empty() { String::new() } else { format!(" (there is {})", list(held)) }
}
