//! Why it is not known what a driver needs.

use std::io;
use std::path::{Path, PathBuf};

use super::shown;

/// Why a list or a CDI specification cannot be used. Nothing was run.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A file cannot be read.
    #[error("cannot read {}", shown(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A specification makes no sense.
    #[error("{}: {why}", shown(file))]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where in it, and why.
        why: String,
    },
    /// What a specification names is not on this machine.
    #[error("{}: {field} names {}, which is not here", shown(file), shown(path))]
    Missing {
        /// The file.
        file: PathBuf,
        /// The line, where it is known, and the field.
        field: String,
        /// What it names.
        path: Box<Path>,
        /// Why it cannot be looked at.
        source: io::Error,
    },
    /// No specification has what is asked for.
    #[error("no CDI specification has {wanted}: {known}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// Two specifications have it.
    #[error("{wanted} stands in {} and in {}", shown(first), shown(second))]
    Disputed {
        /// The device, by its whole name.
        wanted: String,
        /// A file.
        first: Box<Path>,
        /// Another one of the same directory.
        second: Box<Path>,
    },
    /// What was typed names no device.
    #[error("{word:?} is neither a file nor a kind of device")]
    Word {
        /// What was typed.
        word: String,
    },
    /// There is no list of what a kind of hardware needs.
    #[error("there is no list of what programs need of this machine for {kind}: {wanted}")]
    NoList {
        /// The kind.
        kind: String,
        /// What was looked for, and where.
        wanted: String,
        /// The runtime that brings it.
        runtime: String,
    },
}

impl DriverError {
    /// What to do next, where that can be said.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some(
                "the specification is older than the machine's drivers: whoever wrote it can write it anew".to_owned(),
            ),
            Self::Unknown { .. } => Some(
                "--cdi takes VENDOR/CLASS, VENDOR/CLASS=DEVICE, FILE or FILE=DEVICE; --cdi-dir names another directory of \
                 specifications"
                    .to_owned(),
            ),
            Self::Disputed { .. } => {
                Some("name one of the two files: --cdi FILE=DEVICE".to_owned())
            }
            Self::Word { .. } => Some(
                "write VENDOR/CLASS=DEVICE, or a file's path that begins with / or ./ or ends with .json, .yaml or .yml"
                    .to_owned(),
            ),
            Self::NoList { runtime, .. } if !runtime.is_empty() => Some(format!(
                "`elsewhere install -r {runtime} PREFIX` brings one, for --prefix PREFIX; with a CDI specification of the \
                 machine's drivers, --cdi needs none"
            )),
            _ => None,
        }
    }
}
