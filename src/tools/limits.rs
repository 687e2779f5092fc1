//! Limits that the system sets to a process (setrlimit(2)): which one an error comes from, and what
//! helps.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What decoders say, in liblzma's and in zstd's words, where they get no memory.
const DECODERS: [&str; 2] = ["can't allocate memory", "Allocation error : not enough memory"];

/// A limit that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Processes and threads of this user.
    Processes,
    /// Memory of a process, or of the machine.
    Memory,
    /// Open files of a process.
    Files,
    /// Open files of the whole machine.
    AllFiles,
    /// The size of a file.
    FileSize,
}

impl Limit {
    /// The limit that `error` comes from.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        let says = |inner: &(dyn Error + Send + Sync + 'static)| {
            DECODERS.contains(&inner.to_string().as_str())
        };
        if error.kind() == io::ErrorKind::OutOfMemory || error.get_ref().is_some_and(says) {
            return Some(Self::Memory);
        }
        Some(match Errno::from_io_error(error)? {
            Errno::AGAIN => Self::Processes,
            Errno::NOMEM | Errno::NOBUFS => Self::Memory,
            Errno::MFILE => Self::Files,
            Errno::NFILE => Self::AllFiles,
            Errno::FBIG => Self::FileSize,
            _ => return None,
        })
    }

    /// The limit that `error`, or one of its causes, comes from.
    pub(crate) fn behind(error: &(dyn Error + 'static)) -> Option<Self> {
        causes(error).find_map(|cause| {
            let shared = cause.downcast_ref::<Arc<io::Error>>().map(Arc::as_ref);
            Self::of(cause.downcast_ref().or(shared)?)
        })
    }
}

/// What to do about it.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Processes => {
                "the limit on processes and threads is met: raise it (ulimit -u), give more memory \
                 (ulimit -v), or end other programs of yours"
            }
            Self::Memory => {
                "the limit on memory is met: raise it (ulimit -v, or what the batch system gives), or \
                 end other programs"
            }
            Self::Files => "the limit on open files is met: raise it (ulimit -n)",
            Self::AllFiles => "this machine has too many open files: end other programs",
            Self::FileSize => {
                "the limit on the size of a file is met: raise it (ulimit -f), or choose a file system \
                 that holds larger ones"
            }
        })
    }
}

/// An error and its causes, those that [`io::Error`] wraps among them, which it does not name as its
/// source.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
        Some(error)
    })
}

/// Limits below which container runtimes fail: the resource, its name and unit, and the least.
const LEAST: [(Resource, &str, u64, u64); 4] = [
    (Resource::Nofile, "open files (ulimit -n)", 1, 1024),
    (Resource::Nproc, "processes (ulimit -u)", 1, 256),
    // Go's runtime reserves address space that it never uses.
    (Resource::As, "KiB of address space (ulimit -v)", 1024, 4 << 30),
    (Resource::Fsize, "KiB of a file (ulimit -f)", 1024, 8 << 30),
];

/// Limits of this process that are too low for container runtimes, for people; `None` where none is.
pub(crate) fn low() -> Option<String> {
    let low = |(resource, name, unit, least): (Resource, &str, u64, u64)| {
        let current = getrlimit(resource).current?;
        (current < least).then(|| format!("{} {name}", current / unit))
    };
    let low: Vec<String> = LEAST.into_iter().filter_map(low).collect();
    (!low.is_empty()).then(|| low.join(", "))
}

/// The limit on this process's address space, in bytes, if there is one.
pub(crate) fn memory() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// Lets this process open as many files as the system lets it, where it was given fewer by default.
pub(crate) fn allow_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some() && current != maximum {
        // Where it fails, the old limit holds.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_found_behind_what_wraps_it() {
        let inner = io::Error::from_raw_os_error(24);
        let wrapped = io::Error::other(io::Error::other(inner));
        assert_eq!(Limit::behind(&wrapped), Some(Limit::Files));
        assert_eq!(Limit::of(&io::Error::from_raw_os_error(27)), Some(Limit::FileSize));
        assert_eq!(Limit::behind(&io::Error::from_raw_os_error(2)), None);
        assert_eq!(Limit::behind(&fmt::Error), None);
        assert_eq!(
            Limit::behind(&Arc::new(io::Error::from_raw_os_error(11))),
            Some(Limit::Processes)
        );
        let decoders = DECODERS.map(io::Error::other);
        assert!(decoders.iter().all(|error| Limit::of(error) == Some(Limit::Memory)));
    }
}
