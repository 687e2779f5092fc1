//! Why a release cannot be used, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::fetch::FetchError;
use crate::minisig::MinisigProblem;
use crate::model::Arch;

/// A release cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// One of its files could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// This program was built without a key.
    #[error("this build of elsewhere knows no key that releases are signed by")]
    NoKey,
    /// The signature is not good.
    #[error("the release is not signed by the key that this program knows")]
    Signature {
        /// What is wrong.
        source: MinisigProblem,
    },
    /// The list is signed, and not understood.
    #[error("the release's list of files is not one that this version reads")]
    Malformed,
    /// There is nothing for this machine.
    #[error("release {version} has no program for {arch}")]
    NoProgram {
        /// The release.
        version: String,
        /// The architecture.
        arch: Arch,
    },
    /// It is a downgrade.
    #[error("release {offered} is older than this program, which is {running}")]
    Older {
        /// The release.
        offered: String,
        /// The program.
        running: String,
    },
    /// The program's own path or architecture is not known.
    #[error("it is not known which file this program is")]
    Unknown,
    /// The new program is not what it should be.
    #[error("the program of release {version} does not run here: {said}")]
    DoesNotRun {
        /// The release.
        version: String,
        /// What it said, escaped.
        said: String,
    },
    /// The program cannot be replaced.
    #[error("cannot replace {}", path.display())]
    Write {
        /// The program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ReleaseError {
    /// What to type or do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Fetch(error) => return error.hint(),
            Self::NoKey | Self::NoProgram { .. } => {
                "fetch install.sh of the release that you want and run it"
            }
            Self::Signature { .. } | Self::Malformed => {
                "do not work around this: try again later, or another --from"
            }
            Self::Older { .. } => "to go back, run install.sh of that release",
            Self::Write { .. } => "run this as the user who installed elsewhere",
            Self::Unknown | Self::DoesNotRun { .. } => return None,
        };
        Some(text.to_owned())
    }
}
