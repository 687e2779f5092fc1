//! What can go wrong with a prefix, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::{Arch, escape, shell_word};
use crate::owned::OwnedError;
use crate::tools::files::is_full;
use crate::tools::space;
use crate::workshop::WorkshopError;

/// Why a prefix could not be read or changed. What was live before is live still.
#[derive(Debug, thiserror::Error)]
pub enum PrefixError {
    /// The path has something that the programs inside cannot live with.
    #[error("the prefix {} {problem}", shown(.path))]
    BadPath {
        /// The prefix.
        path: PathBuf,
        /// What about it.
        problem: &'static str,
    },
    /// The file system does not have what a prefix is made of.
    #[error("there can be no prefix at {}: its file system {problem}", shown(.path))]
    Unfit {
        /// The prefix.
        path: PathBuf,
        /// What it does not do.
        problem: &'static str,
    },
    /// The path holds a character with which a runtime does not work.
    #[error(
        "the prefix {} has {called} ({character}) in its path, with which {runtime} does not work: {breaks}",
        shown(.path)
    )]
    UnfitPath {
        /// The prefix.
        path: PathBuf,
        /// What people call the character.
        called: String,
        /// The character.
        character: char,
        /// The runtime.
        runtime: String,
        /// What fails.
        breaks: String,
    },
    /// There is a file where the prefix should be.
    #[error("{} is not a directory", shown(.path))]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Nothing was installed there.
    #[error("there is no prefix at {}", shown(.path))]
    NotAPrefix {
        /// The path.
        path: PathBuf,
    },
    /// Apptainer's `install-unprivileged.sh` made it.
    #[error("{} was not made by elsewhere: {} is a directory there, as install-unprivileged.sh makes it", shown(.path), list(.arches))]
    MadeByScript {
        /// The prefix.
        path: PathBuf,
        /// The architectures that it has.
        arches: Vec<Arch>,
    },
    /// A read-only publication, which has no generations.
    #[error("{} was published to be read, not to be changed in place", shown(.path))]
    Published {
        /// The prefix.
        path: PathBuf,
    },
    /// It lies where another prefix keeps what is its own.
    #[error("{} lies inside the prefix {}", shown(.path), shown(.outer))]
    Inside {
        /// The path.
        path: PathBuf,
        /// The prefix around it.
        outer: PathBuf,
    },
    /// Something is in the way that elsewhere did not make.
    #[error("{} is in the way, and was not made by elsewhere", shown(.path))]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// The disk or the quota is full, or would be.
    #[error("not enough space at {}{}", shown(.path), space::amounts(*.needed, *.available))]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// Bytes that are wanted, where known.
        needed: Option<u64>,
        /// Bytes that are free, where known.
        available: Option<u64>,
    },
    /// The path leads to another directory than when the run began.
    #[error("{} is not the directory any more that it was when this run began: somebody moved it, or one above it", shown(.path))]
    Replaced {
        /// The prefix.
        path: PathBuf,
    },
    /// Another run changes the prefix.
    #[error("{} is being changed by {holder}", shown(.path))]
    Held {
        /// The prefix.
        path: PathBuf,
        /// Who, as far as known.
        holder: String,
        /// The file to delete when that run is dead and the file system has no locks.
        owner: Option<PathBuf>,
    },
    /// A file of the prefix does not say what it should.
    #[error("{} is damaged: {problem}", shown(.path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What about it.
        problem: String,
    },
    /// A file that stays with the prefix makes no sense.
    #[error("{} makes no sense: {problem}", shown(.path))]
    DamagedFile {
        /// The file.
        path: PathBuf,
        /// What about it.
        problem: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A newer version of this program wrote the file.
    #[error("{} has format {format}, which is newer than this program", shown(.path))]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The generation is not there.
    #[error("there is no generation {} of {arch}", number.map_or("before the live one".to_owned(), |number| number.to_string()))]
    NoGeneration {
        /// The architecture.
        arch: Arch,
        /// The number; `None` when any would do.
        number: Option<u32>,
    },
    /// Something runs from what was to be deleted.
    #[error("generation {number} of {arch} is in use: {by}")]
    InUse {
        /// The architecture.
        arch: Arch,
        /// The generation.
        number: u32,
        /// What uses it.
        by: String,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}", shown(.path))]
    Io {
        /// What was tried: `write`, `rename`, …
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else can change what is written.
    #[error(transparent)]
    Untrusted(OwnedError),
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
}

impl PrefixError {
    /// What to type or do next, where there is something useful to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BadPath { .. } | Self::UnfitPath { .. } | Self::NotADirectory { .. } => {
                Some("choose another directory".to_owned())
            }
            Self::Unfit { .. } => Some(
                "choose a directory on another one: of this machine, or NFS, Lustre and the like; FAT and \
                 shares of other systems have no POSIX files"
                    .to_owned(),
            ),
            Self::NotAPrefix { path } => {
                Some(format!("to make one: elsewhere install {}", typed(path)))
            }
            Self::MadeByScript { path, .. } => {
                Some(format!("to take it over: elsewhere install --adopt {}", typed(path)))
            }
            Self::Inside { outer, .. } => Some(format!("did you mean {}?", typed(outer))),
            Self::Published { .. } => Some(
                "publish a new version beside it: elsewhere install --layout versioned, or sync".to_owned(),
            ),
            Self::Foreign { .. } => Some("move it away, or choose another directory".to_owned()),
            Self::NoSpace { .. } => Some(
                "free some space or choose a directory with more; what was installed is untouched"
                    .to_owned(),
            ),
            Self::Held { owner: Some(owner), .. } => Some(format!(
                "try again later; this file system has no locks, so if that run is dead, delete {}",
                shown(owner)
            )),
            Self::Replaced { .. } => Some(
                "nothing is written there; where it lies now, the prefix runs what ran before: see who owns the \
                 directories above it, and run the command again"
                    .to_owned(),
            ),
            Self::Held { .. } => Some("try again later, or without --no-wait".to_owned()),
            Self::Damaged { .. } => Some(
                "`elsewhere install` with the -d and every -r that was there makes the tree anew"
                    .to_owned(),
            ),
            Self::DamagedFile { remedy, .. } => Some((*remedy).to_owned()),
            Self::NewerFormat { .. } => Some("use a newer elsewhere".to_owned()),
            Self::InUse { .. } => Some("end it first, or use --force".to_owned()),
            Self::Io { source, .. } => io_hint(source),
            Self::NoGeneration { .. } => {
                Some("elsewhere history and elsewhere status tell what there is".to_owned())
            }
            Self::Untrusted(error) => error.hint(),
            Self::Cancelled => None,
        }
    }
}

impl From<OwnedError> for PrefixError {
    fn from(error: OwnedError) -> Self {
        match error {
            OwnedError::Io { path, source } => failed("open", &path)(source),
            untrusted => Self::Untrusted(untrusted),
        }
    }
}

impl From<WorkshopError> for PrefixError {
    /// What goes wrong in a workshop of a prefix is the prefix's.
    fn from(error: WorkshopError) -> Self {
        match error {
            WorkshopError::Unfit { path, problem } => Self::Unfit { path, problem },
            WorkshopError::NoSpace { path, needed, available } => {
                Self::NoSpace { path, needed, available }
            }
            WorkshopError::Damaged { path, problem } => Self::Damaged { path, problem },
            WorkshopError::NewerFormat { path, format } => Self::NewerFormat { path, format },
            WorkshopError::Io { action, path, source } => Self::Io { action, path, source },
        }
    }
}

fn io_hint(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Some("choose a directory that you may write to, or ask its owner".to_owned())
        }
        io::ErrorKind::CrossesDevices => Some(
            "a directory in a lower layer of an overlay cannot be renamed: copy the prefix (cp -a), and \
             use the copy"
                .to_owned(),
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("the file system is mounted read-only here; run this where it is not".to_owned())
        }
        _ => None,
    }
}

/// Makes the error of doing `action` to `path`; full disks and quotas get their own.
pub(super) fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> PrefixError {
    move |source| {
        let path = path.to_owned();
        match is_full(&source) {
            true => {
                let available = space::available(&path).ok();
                PrefixError::NoSpace { path, needed: None, available }
            }
            false => PrefixError::Io { action, path, source },
        }
    }
}

/// A path for people.
pub(super) fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}

/// A path as a word of a command line.
pub(super) fn typed(path: &Path) -> String {
    shell_word(&shown(path)).into_owned()
}

fn list(arches: &[Arch]) -> String {
    arches.iter().map(|arch| arch.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_full_quota_say_how_much_is_free() {
        for number in [28, 122] {
            let error = failed("write", Path::new("/"))(io::Error::from_raw_os_error(number));
            assert!(matches!(error, PrefixError::NoSpace { available: Some(_), .. }), "{error:?}");
        }
        let error = PrefixError::NoSpace {
            path: "/p".into(),
            needed: Some(123_456_789),
            available: Some(4_000),
        };
        assert_eq!(error.to_string(), "not enough space at /p: 123.4 MB needed, 4 kB free");
    }

    #[test]
    fn paths_in_hints_can_be_typed() {
        let error = PrefixError::NotAPrefix { path: "/it's a".into() };
        assert_eq!(error.hint().unwrap(), r"to make one: elsewhere install '/it'\''s a'");
    }
}
