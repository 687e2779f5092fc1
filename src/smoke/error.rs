//! Why a tree must not go live.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::model::{RelPath, escape};
use crate::tools::limits;

/// How long a test may take.
pub(super) const TEST_LIMIT: Duration = Duration::from_secs(30);

/// Why a tree must not go live.
#[derive(Debug, thiserror::Error)]
pub enum SmokeError {
    /// The loader does not find a library, or a version of a symbol.
    #[error("{path} cannot be loaded on this machine:{}", indented(.output))]
    Unloadable {
        /// The program or library.
        path: RelPath,
        /// What the loader said.
        output: String,
        /// What is to blame.
        fault: Fault,
    },
    /// A test failed.
    #[error("`{command}` failed ({status}):{}", indented(.output))]
    Failed {
        /// The command line, for people.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        output: String,
    },
    /// A test took too long.
    #[error("`{command}` did not end within {} seconds:{}", TEST_LIMIT.as_secs(), indented(.output))]
    TimedOut {
        /// The command line, for people.
        command: String,
        /// The end of its output.
        output: String,
    },
    /// A test ended well and did not say what it should.
    #[error("`{command}` did not say {expected:?}:{}", indented(.output))]
    Unexpected {
        /// The command line, for people.
        command: String,
        /// What was expected.
        expected: String,
        /// The end of its output.
        output: String,
    },
    /// A program could not be started.
    #[error("cannot start `{command}`")]
    Start {
        /// The command line, for people.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// No program can be run from where trees are to be.
    #[error("no program can be run from {}", escape(&.path.to_string_lossy()))]
    NoExec {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the tree or of the scratch directory could not be read or written.
    #[error("cannot {action} {}", escape(&.path.to_string_lossy()))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
}

const NOEXEC_HINT: &str = "its file system may be mounted noexec, or a security module forbids it: \
    choose a directory where programs may run";

impl SmokeError {
    /// What to type or do next, where there is something useful to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let is_runs = matches!(
            self,
            Self::Unloadable { fault: Fault::TooOld, .. }
                | Self::Failed { .. }
                | Self::TimedOut { .. }
                | Self::Unexpected { .. }
        );
        if let Some(low) = limits::low().filter(|_| is_runs) {
            return Some(format!(
                "what is tried may need more than this shell's limits give, {low}: raise them; \
                 what was installed before is untouched"
            ));
        }
        match self {
            Self::Unloadable { fault, .. } => Some(fault.hint()),
            Self::Failed { .. } | Self::TimedOut { .. } | Self::Unexpected { .. } => {
                Some("what was installed before is untouched; --verbose shows every step".to_owned())
            }
            Self::NoExec { .. } => Some(NOEXEC_HINT.to_owned()),
            Self::Start { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(NOEXEC_HINT.to_owned())
            }
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "EL's programs need glibc, which this machine may not have: --for makes trees for others"
                    .to_owned(),
            ),
            Self::Start { .. } | Self::Io { .. } | Self::Cancelled => None,
        }
    }
}

/// What is to blame for a program or library that cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The tree has the library, which is not found there.
    Tree(RelPath),
    /// The host lacks a library that the tree leaves to it.
    Host(String),
    /// The host's C library or processor lacks something.
    TooOld,
}

impl Fault {
    /// What to do next.
    fn hint(&self) -> String {
        match self {
            Self::Tree(path) => format!(
                "the tree has {path}, and what needs it must not look elsewhere: that is no fault of this \
                 machine, but one of elsewhere or of the runtime's definition; please report it"
            ),
            Self::Host(library) => format!(
                "no package of the tree brings {0}, and this machine does not have it: install it here, or \
                 name the package that has it as an `extra` in a definition of your own (--repos)",
                escape(library)
            ),
            Self::TooOld => {
                "this machine's C library or processor may be too old for these packages: try an \
                             older dist with -d"
                    .to_owned()
            }
        }
    }
}

/// Output below a message, a little to the right; nothing when there is none.
fn indented(output: &str) -> String {
    match output.is_empty() {
        true => " it said nothing".to_owned(),
        false => output.lines().map(|line| format!("\n    {line}")).collect(),
    }
}
