//! What goes wrong with a repository of CernVM-FS.

use std::io;
use std::path::PathBuf;

use crate::model::{RelPath, escape, escape_lines, shell_word};
use crate::owned::OwnedError;

/// Why nothing was published, or what is wrong with what was.
#[derive(Debug, thiserror::Error)]
pub enum CvmfsError {
    /// The program that publishes is not here.
    #[error("there is no `cvmfs_server` on PATH")]
    NoServer,
    /// It cannot be started.
    #[error("cannot start {}", escape(&program.to_string_lossy()))]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// This machine does not publish the repository.
    #[error("{} is no repository that this machine publishes: there is no {}", escape(repository), escape(&path.to_string_lossy()))]
    Unknown {
        /// Its name.
        repository: String,
        /// Where its configuration would be.
        path: PathBuf,
    },
    /// Its configuration cannot be read.
    #[error("cannot read {}: {}", escape(&path.to_string_lossy()), escape_lines(reason))]
    Configuration {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The server would take a word for something else.
    #[error(
        "{:?} cannot be {what}: letters, digits and . _ + : @ / , = - alone, without a - at the beginning",
        escape(text)
    )]
    Word {
        /// The word.
        text: String,
        /// What it was to be.
        what: &'static str,
    },
    /// The working directory is in the repository.
    #[error("the working directory is in {}", escape(&union.to_string_lossy()))]
    Inside {
        /// Where the repository is mounted.
        union: PathBuf,
    },
    /// Others were in the way for too long.
    #[error("{repository} was busy for {seconds} seconds: {}", escape_lines(why))]
    Busy {
        /// The repository.
        repository: String,
        /// How long it was waited for.
        seconds: u64,
        /// With what.
        why: String,
    },
    /// The server did not do it. What was published is what it was.
    #[error("{repository}: nothing was published: {}", escape_lines(said))]
    Refused {
        /// The repository.
        repository: String,
        /// What it said.
        said: String,
    },
    /// Somebody threw the transaction away.
    #[error(
        "{repository}: the transaction is gone, and nothing of it was published: {}",
        escape_lines(said)
    )]
    Gone {
        /// The repository.
        repository: String,
        /// What the server said.
        said: String,
    },
    /// What is published cannot be asked.
    #[error("{repository}: what was published cannot be told: {}", escape_lines(said))]
    Unclear {
        /// The repository.
        repository: String,
        /// What the server said.
        said: String,
    },
    /// A transaction of ours stays open.
    #[error("{repository}: a transaction stays open: {}", escape_lines(said))]
    Stuck {
        /// The repository.
        repository: String,
        /// What the server said.
        said: String,
    },
    /// What was published is not all there.
    #[error("{repository}: published, and these are not there as they were written: {}", escape(&missing.join(", ")))]
    Dropped {
        /// The repository.
        repository: String,
        /// The first of them.
        missing: Vec<String>,
    },
    /// A path lies outside of what a gateway leases.
    #[error("{path} is not in {lease}, which is leased: a gateway would drop it")]
    Unleased {
        /// The path.
        path: RelPath,
        /// The lease.
        lease: RelPath,
    },
    /// Something cannot be in an archive.
    #[error("{} {problem}", escape(&path.to_string_lossy()))]
    Unfit {
        /// What.
        path: PathBuf,
        /// Why.
        problem: &'static str,
    },
    /// The server wants no more of an archive.
    #[error("cannot write the archive to the server")]
    Piped {
        /// Why.
        source: io::Error,
    },
    /// A file or directory cannot be read or written.
    #[error("cannot read or write {}", escape(&path.to_string_lossy()))]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal's files are not this user's alone.
    #[error(transparent)]
    Owned(#[from] OwnedError),
    /// The user wanted no more.
    #[error("interrupted: what is published is what it was")]
    Cancelled,
}

impl CvmfsError {
    /// What to do next, where there is something useful to say.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoServer => "run it where the repository is published, or name the program".to_owned(),
            Self::Unknown { .. } => {
                "run it where the repository is published; cvmfs_server list names those of this machine"
                    .to_owned()
            }
            Self::Inside { .. } => "cd somewhere else: it cannot be published from there".to_owned(),
            Self::Busy { repository, why, .. } => {
                let repository = shell_word(repository);
                match why.contains("not mounted read/write") {
                    true => format!(
                        "a publication was killed there, and its owner must throw it away: cvmfs_server abort -f \
                         {repository}"
                    ),
                    false => "try again when it is over, or wait for longer".to_owned(),
                }
            }
            Self::Refused { .. } | Self::Gone { .. } => {
                "what the server says is what to mend; then run it again".to_owned()
            }
            Self::Unclear { .. } => {
                "run it again when the repository's web server answers: it finds out by itself".to_owned()
            }
            Self::Stuck { repository, .. } => format!(
                "run it again when what the server says is mended, or type: cvmfs_server abort -f {}",
                shell_word(repository)
            ),
            Self::Dropped { .. } => {
                "through a gateway, what lies outside of the lease is dropped without a word: name the lease \
                 that holds it"
                    .to_owned()
            }
            Self::Unleased { .. } => "name a lease that holds it".to_owned(),
            Self::Owned(error) => return error.hint(),
            Self::Start { .. }
            | Self::Configuration { .. }
            | Self::Word { .. }
            | Self::Unfit { .. }
            | Self::Piped { .. }
            | Self::Io { .. }
            | Self::Cancelled => return None,
        })
    }

    /// Whether others were in the way.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Inside { .. })
    }

    /// Whether it is this machine's disk or its user's files.
    pub(super) fn is_disk(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Owned(_) | Self::Start { .. })
    }

    /// Whether what was asked for makes no sense here.
    pub(super) fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoServer
                | Self::Unknown { .. }
                | Self::Configuration { .. }
                | Self::Word { .. }
                | Self::Unleased { .. }
        )
    }
}
