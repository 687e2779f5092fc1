//! Why there is no ranch.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::drivers::DriverError;
use crate::imagefile::ImageFileError;
use crate::model::escape;
use crate::owned::OwnedError;

/// Why a directory could not be shown as it was asked for. The directory itself is what it was.
#[derive(Debug, thiserror::Error)]
pub enum RanchError {
    /// What is to be shown cannot be read, or is no directory.
    #[error("cannot read {} as a root directory", shown(path))]
    Root {
        /// What was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is to be injected cannot be read.
    #[error("cannot inject {}", shown(path))]
    Source {
        /// What was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that should hold a root directory does not.
    #[error(transparent)]
    Image(#[from] ImageFileError),
    /// Its programs are another machine's.
    #[error(
        "the programs of the image {} are for {machine}, and not for this machine",
        shown(path)
    )]
    Machine {
        /// The file.
        path: PathBuf,
        /// For what they are.
        machine: &'static str,
    },
    /// Nobody is there to mount it.
    #[error("cannot mount the image {}: there is no {wanted}", shown(path))]
    NoMounter {
        /// The file.
        path: PathBuf,
        /// What was looked for, and where.
        wanted: String,
        /// The runtime that brings it.
        runtime: String,
    },
    /// It was not mounted.
    #[error("cannot mount the image {} with {}: {said}", shown(path), shown(program))]
    Mount {
        /// The file.
        path: PathBuf,
        /// The program.
        program: PathBuf,
        /// What the program said.
        said: String,
    },
    /// Nothing can be kept where it should be.
    #[error("cannot keep what is written")]
    Keep(#[source] OwnedError),
    /// Another run keeps things there.
    #[error("another run keeps what it writes in {}", shown(path))]
    KeptBusy {
        /// The directory.
        path: PathBuf,
    },
    /// A runtime would take a path for something else.
    #[error("cannot tell {runtime} of {}: it takes {character:?} for its own", shown(path))]
    Unfit {
        /// The path.
        path: PathBuf,
        /// The runtime.
        runtime: String,
        /// The character.
        character: char,
    },
    /// A runtime has no words for files.
    #[error("the definition of {runtime} has no words for files that are to be seen in an image")]
    NoWords {
        /// The runtime.
        runtime: String,
    },
    /// Nothing can be put in this place.
    #[error("cannot use the place {} of the root directory: {why}", shown(place))]
    Place {
        /// The place, as it was named.
        place: PathBuf,
        /// Why.
        why: String,
    },
    /// It is not known what a driver needs.
    #[error(transparent)]
    Drivers(#[from] DriverError),
    /// Something of a driver's has no place.
    #[error("{by}: {source}")]
    Wanted {
        /// Who wants it: a file, and what in it.
        by: String,
        /// Why it has none.
        source: Box<RanchError>,
    },
    /// A runtime has no words for something of a driver's.
    #[error("the definition of {runtime} has no words for {what}")]
    NoDriverWords {
        /// The runtime.
        runtime: String,
        /// What it would be told of.
        what: String,
    },
    /// What is to be printed cannot be.
    #[error("there is a name that is no UTF-8, and no script is printed that would mean another")]
    Unprintable,
    /// This host does not let this user make namespaces.
    #[error("cannot make a user namespace with mounts of its own")]
    Namespaces {
        /// Why.
        source: io::Error,
    },
    /// Something could not be made or mounted within the namespaces.
    #[error("cannot {step}")]
    Step {
        /// What.
        step: String,
        /// Why.
        source: io::Error,
    },
    /// The command could not be started.
    #[error("cannot run {} there", escape(&command.to_string_lossy()))]
    Start {
        /// What was to be run.
        command: OsString,
        /// Why.
        source: io::Error,
    },
    /// This program could not start itself to make the namespaces.
    #[error("cannot start the process that makes the namespaces")]
    Process {
        /// Why.
        source: io::Error,
    },
}

impl RanchError {
    /// That nothing can be put in `place`.
    pub(super) fn place(place: &Path, why: impl Into<String>) -> Self {
        Self::Place { place: place.to_owned(), why: why.into() }
    }

    /// The same, with who wants it.
    pub(super) fn wanted_by(self, by: &str) -> Self {
        Self::Wanted { by: by.to_owned(), source: Box::new(self) }
    }

    /// What to do next, where that can be said.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Namespaces { .. } => {
                Some("`elsewhere doctor` says what forbids it, and what to ask for".to_owned())
            }
            Self::Step { source, .. } if source.raw_os_error() == code(Errno::NOSPC) => Some(
                "there are more mounts than one namespace may have (/proc/sys/fs/mount-max): inject into a smaller directory"
                    .to_owned(),
            ),
            Self::Drivers(error) => error.hint(),
            Self::NoDriverWords { .. } => Some(
                "a command that `elsewhere ranch` runs itself has all of it: leave --for out".to_owned(),
            ),
            Self::NoMounter { runtime, .. } => Some(format!(
                "`elsewhere install -r {runtime} PREFIX` installs one, for --prefix PREFIX; so does the \
                 distribution's own package"
            )),
            Self::Mount { .. } => {
                Some("`elsewhere doctor` says whether this user may mount by FUSE".to_owned())
            }
            Self::Source { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("--inject takes FROM:TO, where FROM is a file or directory of this machine".to_owned())
            }
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "the command is looked for in the root directory that is shown, by PATH; a program for another \
                 C library or architecture is not found either, where its loader is missing"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether what was typed makes no sense.
    #[must_use]
    pub(crate) fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Root { .. }
                | Self::Image(_)
                | Self::Machine { .. }
                | Self::Unfit { .. }
                | Self::NoWords { .. }
                | Self::Drivers(_)
                | Self::Wanted { .. }
                | Self::NoDriverWords { .. }
                | Self::Source { .. }
                | Self::Place { .. }
                | Self::Unprintable
        )
    }

    /// The status that shells have for a command that does not start: 127 where there is none, else 126.
    #[must_use]
    pub(crate) fn start_status(&self) -> Option<u8> {
        match self {
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(127),
            Self::Start { .. } => Some(126),
            _ => None,
        }
    }
}

fn code(error: Errno) -> Option<i32> {
    Some(error.raw_os_error())
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}
