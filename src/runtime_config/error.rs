//! Why settings could not be read or changed.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::escape;
use crate::owned::OwnedError;
use crate::tools::nearest::nearest;

/// Why settings could not be read or changed. The file is what it was.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeConfigError {
    /// Nothing there has settings that a definition describes.
    #[error("{} has no runtime whose settings are known", shown(path))]
    None {
        /// The prefix.
        path: PathBuf,
    },
    /// The runtime's program does not say which settings there are.
    #[error("{} does not say which settings it has: {said}", shown(program))]
    Unlearned {
        /// The program.
        program: PathBuf,
        /// What it said.
        said: String,
    },
    /// There is no such setting.
    #[error("there is no setting `{}`", escape(key))]
    Unknown {
        /// What was named.
        key: String,
        /// All that there are.
        known: Vec<String>,
    },
    /// The runtime's program does not take the value.
    #[error("{} does not take that: {said}", shown(program))]
    Refused {
        /// The program.
        program: PathBuf,
        /// What it said.
        said: String,
    },
    /// What was checked is not all well.
    #[error("{count} of what is set there means nothing to the runtime")]
    Faults {
        /// How much of it.
        count: usize,
    },
    /// Somebody else could have prepared the place of the file.
    #[error(transparent)]
    Owned(#[from] OwnedError),
    /// The operating system refused something.
    #[error("cannot {action} {}", shown(path))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl RuntimeConfigError {
    /// What to do next, where that can be said.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { key, known } => Some(match nearest(key, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`elsewhere runtime-config get PREFIX` shows all that there are".to_owned(),
            }),
            Self::Faults { .. } => Some(
                "mend these lines; what is unknown to the runtime is passed over by it".to_owned(),
            ),
            Self::Unlearned { .. } => Some(
                "it must run on this machine: `elsewhere doctor PREFIX` says what is in its way"
                    .to_owned(),
            ),
            Self::Owned(error) => error.hint(),
            Self::None { .. } | Self::Refused { .. } | Self::Io { .. } => None,
        }
    }

    /// Its exit status.
    #[must_use]
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::None { .. }
            | Self::Unknown { .. }
            | Self::Refused { .. }
            | Self::Faults { .. } => 2,
            Self::Unlearned { .. } => 7,
            Self::Owned(_) | Self::Io { .. } => 6,
        }
    }
}

/// Makes the error of doing `action` to `path`.
pub(super) fn failed(
    action: &'static str,
    path: &Path,
) -> impl Fn(io::Error) -> RuntimeConfigError {
    move |source| RuntimeConfigError::Io { action, path: path.to_owned(), source }
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}
