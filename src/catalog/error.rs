//! What can be wrong with definitions and with names of them.

use std::io;
use std::path::PathBuf;

use crate::model::{Arch, GlibcVersion, RelPath, escape};
use crate::tools::nearest::nearest;

/// Why a definition cannot be read or found.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A file or directory of definitions cannot be read.
    #[error("cannot read definitions from {}", escape(&path.to_string_lossy()))]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that no definition is called.
    #[error("{} is no definition: {expected}", escape(&path.to_string_lossy()))]
    UnexpectedFile {
        /// The file.
        path: PathBuf,
        /// What may be there.
        expected: &'static str,
    },
    /// A file is no TOML, or has a field that its format does not know, or lacks one.
    #[error("{}, line {line}: {}", escape(file), escape(message))]
    Syntax {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A definition is well-formed and makes no sense.
    #[error("{}: {}", escape(file), escape(problem))]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two definitions that stand beside each other give one name to commands of different runtimes.
    #[error("{} and {} both have the command {command:?}", escape(first), escape(second))]
    CommandTwice {
        /// The command.
        command: String,
        /// The file of one runtime.
        first: String,
        /// The file of the other.
        second: String,
    },
    /// Two runtimes that would be in one prefix, and one of them says that they cannot be.
    #[error("one prefix cannot have both {first} and {second}: they conflict")]
    Conflict {
        /// The runtime that comes first, or is there already.
        first: String,
        /// The other.
        second: String,
    },
    /// Two runtimes that would be in one prefix have commands of the same name.
    #[error(
        "one prefix cannot have both: {} and {} have the command {command:?}",
        escape(first),
        escape(second)
    )]
    CommandTaken {
        /// The command.
        command: String,
        /// The file of the runtime that comes first, or is there already.
        first: String,
        /// The file of the other.
        second: String,
    },
    /// Two runtimes that would be in one prefix want different files in one place.
    #[error(
        "one prefix cannot have both: {} and {} have different texts for {path}",
        escape(first),
        escape(second)
    )]
    FileTaken {
        /// The place in the tree.
        path: RelPath,
        /// The file of the runtime that comes first, or is there already.
        first: String,
        /// The file of the other.
        second: String,
    },
    /// No runtime has this name.
    #[error("unknown runtime {:?}: there are {}", name, known.join(", "))]
    UnknownRuntime {
        /// As it was typed.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// None, or several, of the runtimes say that they are meant where none is named.
    #[error("no one runtime is the default: name one of {} with --runtime", known.join(", "))]
    NoDefault {
        /// Those that exist.
        known: Vec<String>,
    },
    /// What `--for` names is no machine.
    #[error("{name:?} is no machine: write glibc=2.28, x86-64-v2, or a distribution's name")]
    UnknownHost {
        /// As it was typed.
        name: String,
    },
    /// No dist has this name, and no distribution of this name is known.
    #[error(
        "unknown dist {:?}: choose from {}, or name a distribution such as {}",
        name,
        known.join(", "),
        examples.join(", ")
    )]
    UnknownDist {
        /// As it was typed.
        name: String,
        /// Those that exist.
        known: Vec<String>,
        /// Names of distributions that would do.
        examples: Vec<String>,
    },
    /// No repository has this name.
    #[error(
        "no repository{} is called {name:?}: there are {}",
        of(dists),
        escape(&known.join(", "))
    )]
    UnknownRepository {
        /// As it was typed.
        name: String,
        /// The dists that were looked at; all where empty.
        dists: Vec<String>,
        /// Those that exist.
        known: Vec<String>,
    },
    /// A distribution that nothing here can run on.
    #[error("no dist fits {:?}: {because}", name)]
    RefusedDist {
        /// As it was typed.
        name: String,
        /// Why.
        because: String,
    },
    /// No dist suits a machine.
    #[error("no dist has packages for {arch}{}", on_glibc(*glibc))]
    NothingSuits {
        /// The architecture.
        arch: Arch,
        /// The machine's glibc, where known.
        glibc: Option<GlibcVersion>,
    },
}

impl CatalogError {
    /// What to type or do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownRuntime { name, known } => Some(match nearest(name, known) {
                Some(near) => format!("did you mean `-r {near}`?"),
                None => format!("see elsewhere list{OWN}"),
            }),
            Self::UnknownDist { name, known, examples } => {
                match nearest(name, known).or_else(|| nearest(name, examples)) {
                    Some(near) => Some(format!("did you mean `-d {near}`?")),
                    None => Some(format!("leave `-d` out to let elsewhere choose{OWN}")),
                }
            }
            Self::UnknownRepository { name, known, .. } => Some(match nearest(name, known) {
                Some(near) => format!("did you mean {near}?"),
                None => "an id, or DIST/ID; `*` stands for any characters".to_owned(),
            }),
            Self::UnexpectedFile { .. } | Self::Syntax { .. } | Self::Invalid { .. } => {
                Some("docs/definitions.md describes the format of definitions".to_owned())
            }
            Self::CommandTwice { .. } => Some(
                "rename the command in one of them, or keep them in two directories (--repos): \
                 then each can be installed into a prefix of its own"
                    .to_owned(),
            ),
            Self::Conflict { .. } | Self::CommandTaken { .. } | Self::FileTaken { .. } => {
                Some("install one of them into another prefix".to_owned())
            }
            Self::RefusedDist { .. } | Self::NothingSuits { .. } => Some(
                "name a dist with `-d` to make a tree for other machines than this one".to_owned(),
            ),
            Self::Unreadable { .. } | Self::UnknownHost { .. } | Self::NoDefault { .. } => None,
        }
    }
}

/// What helps with names from definitions of the user's own.
const OWN: &str =
    "; where definitions of your own have that name, give their directory with --repos";

fn of(dists: &[String]) -> String {
    if dists.is_empty() { String::new() } else { format!(" of {}", dists.join(" or ")) }
}

fn on_glibc(glibc: Option<GlibcVersion>) -> String {
    glibc.map_or_else(String::new, |version| format!(" that run on this machine's glibc {version}"))
}
