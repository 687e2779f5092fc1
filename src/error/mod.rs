//! Every failure of a run: its exit status, and what to do next.

mod cvmfs;
mod exit_status;
mod hint;
mod image;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use cvmfs::CvmfsError;
pub(crate) use exit_status::{EXIT_STATUSES, HOST, INTERRUPTED, NETWORK, UPDATE_AVAILABLE};
pub use image::ImageError;

use crate::audit::{AuditError, Gap};
use crate::catalog::CatalogError;
use crate::config::ConfigError;
use crate::fetch::{FetchError, RegistryError};
use crate::host::{HostError, NoHome};
use crate::metadata::{KeyFileError, MetadataError, SourcesError};
use crate::minisig::SigningError;
use crate::model::{Arch, LOCAL, LockError, Nevra, escape};
use crate::mounting::MountingError;
use crate::owned::OwnedError;
use crate::prefix::PrefixError;
use crate::ranch::RanchError;
use crate::release::ReleaseError;
use crate::relocate::RelocateError;
use crate::resolve::ResolveError;
use crate::runtime_config::RuntimeConfigError;
use crate::shadow::ShadowError;
use crate::smoke::SmokeError;
use crate::tools::limits::Limit;
use crate::trust::TrustError;
use crate::unpack::UnpackError;
use crate::verify::VerifyError;
use crate::workshop::WorkshopError;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Another run changed the prefix after the plan for it was made.
    #[error("{} changed while this run waited for its turn", escape(&path.to_string_lossy()))]
    Stale {
        /// The prefix.
        path: PathBuf,
    },
    /// A variable of the environment makes no sense.
    #[error(transparent)]
    Host(#[from] HostError),
    /// There is no place for downloads.
    #[error(transparent)]
    NoHome(#[from] NoHome),
    /// A configuration file is wrong, or forbids what was asked for.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A lock file cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Signals cannot be caught.
    #[error("cannot catch signals")]
    Signals {
        /// Why.
        source: io::Error,
    },
    /// A definition is wrong or missing.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// What is asked for needs definitions that an installed tree was made with.
    #[error("what is installed was made with definitions that are not here: {}", missing.join(", "))]
    Undefined {
        /// The files that are missing, and what is missing in one.
        missing: Vec<String>,
    },
    /// No dist is defined for an architecture.
    #[error("no dist offers packages for {arch}")]
    NoDist {
        /// The architecture.
        arch: Arch,
    },
    /// A file of `--trust-key` is of no use.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// A secret key is of no use.
    #[error("nothing can be signed with {}", shown(path))]
    SecretKey {
        /// The key's file.
        path: PathBuf,
        /// Why.
        source: SigningError,
    },
    /// Something could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A registry did not give or take something.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Repository metadata could not be had.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Places are not as definitions say.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// A signature or key is not good.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What is planned is older than what was there.
    #[error("{what} is older than what this prefix has: somebody may hide updates")]
    Older {
        /// What is older.
        what: String,
    },
    /// A package's signature is not good, or its key could not be had.
    #[error("{source}{}", missing(missing_keys))]
    Untrusted {
        /// What is wrong.
        source: TrustError,
        /// Why pinned keys are not at hand.
        missing_keys: Box<[Arc<FetchError>]>,
        /// Where it comes from, `DIST/ID`; none for a file that the user named.
        repository: Option<Box<str>>,
    },
    /// No set of packages fits.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A package could not be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The tree could not be made relocatable.
    #[error(transparent)]
    Relocate(#[from] RelocateError),
    /// The tree could not be audited.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Programs of the tree lack something.
    #[error("the tree for {arch} is not complete: {}", list(gaps))]
    Gaps {
        /// The architecture.
        arch: Arch,
        /// What is missing.
        gaps: Vec<Gap>,
    },
    /// A program of the tree does not run.
    #[error(transparent)]
    Smoke(#[from] SmokeError),
    /// A plan asks more than its target has.
    #[error("what {dist} has for {arch} does not run there: {shortage}")]
    TooNew {
        /// The architecture.
        arch: Arch,
        /// The dist.
        dist: String,
        /// What is needed, and what there is.
        shortage: String,
        /// A dist that fits.
        fits: Option<String>,
    },
    /// This machine has no glibc.
    #[error("the C library of this machine is musl, and Enterprise Linux's programs need glibc")]
    Musl,
    /// Programs may not be run from where the prefix is, or would be.
    #[error("no program may be run there: {evidence}")]
    NoExec {
        /// What was looked at.
        evidence: String,
    },
    /// `elsewhere doctor` found something broken.
    #[error("not everything works on this machine: {}", .0.join(", "))]
    Unwell(
        /// The names of the checks.
        Vec<&'static str>,
    ),
    /// The prefix cannot be used or written.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// A tree cannot be made where it should be, or one that lies somewhere cannot be read.
    #[error(transparent)]
    Workshop(#[from] WorkshopError),
    /// A release of this program cannot be used.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// A staging directory cannot be opened.
    #[error("cannot open the staging directory {}", path.display())]
    Staging {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the cache cannot be read.
    #[error("cannot read {} in the cache", path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that the user named cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was asked for cannot be written to standard output.
    #[error("cannot write all of the result to standard output")]
    Output {
        /// Why.
        source: io::Error,
    },
    /// An installed tree cannot be checked.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// What is installed is not as it was made.
    #[error("{} is damaged: {count} {}", shown(path), findings(*count))]
    Damaged {
        /// The prefix.
        path: PathBuf,
        /// How many things are not as they should be.
        count: usize,
        /// What to do next.
        hint: String,
    },
    /// A bundle is not what was written.
    #[error("{} is damaged: {what}", shown(path))]
    DamagedBundle {
        /// Its file.
        path: PathBuf,
        /// What of it.
        what: String,
    },
    /// Nobody signed it who was to.
    #[error("{}: no key of --verify-key signed it: {}", escape(name), escape(why))]
    Unsigned {
        /// What.
        name: String,
        /// Why it does not count.
        why: String,
    },
    /// Nothing of what is installed is damaged, and not all of it can be proved.
    #[error("{} is not proved: {count} {}", shown(path), findings(*count))]
    Unproved {
        /// The prefix.
        path: PathBuf,
        /// How many things this version would have made otherwise.
        count: usize,
        /// What to do next.
        hint: String,
    },
    /// Something must not be published as it is.
    #[error("{} must not be published: {first}{}", shown(path), others(*count))]
    Unpublishable {
        /// The directory.
        path: PathBuf,
        /// How many findings.
        count: usize,
        /// The first of them.
        first: String,
        /// What to do about that.
        help: &'static str,
    },
    /// A program that was to run before or after does not do what it should.
    #[error("the hook {} failed: {how}", escape(program))]
    Hook {
        /// The program.
        program: String,
        /// How it ended.
        how: String,
    },
    /// Another run makes the same.
    #[error("another run is at {}", shown(path))]
    Busy {
        /// What it makes.
        path: PathBuf,
    },
    /// What is to go live again is not as it was made.
    #[error("generation {number} of {arch} is damaged: {}", first(paths))]
    DamagedGeneration {
        /// The prefix.
        path: PathBuf,
        /// The architecture.
        arch: Arch,
        /// The generation.
        number: u32,
        /// The damaged files.
        paths: Vec<String>,
    },
    /// An image could not be had, or used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A repository of CernVM-FS was not published.
    #[error(transparent)]
    Cvmfs(#[from] CvmfsError),
    /// Of several things that do not depend on each other some failed, and the others are done.
    #[error("not all was done that is wished for:{}", failed(.0))]
    Partly(
        /// Those that failed, in their order.
        Vec<Failure>,
    ),
    /// A directory cannot be shown as it was asked for.
    #[error(transparent)]
    Ranch(#[from] RanchError),
    /// Repositories could not be mounted.
    #[error(transparent)]
    Mounting(#[from] MountingError),
    /// A runtime's settings could not be read or changed.
    #[error(transparent)]
    RuntimeConfig(#[from] RuntimeConfigError),
    /// A shadow could not be made or removed.
    #[error(transparent)]
    Shadow(#[from] ShadowError),
    /// No failure of this program: a command that it ran ended with this status.
    #[error("the command ended with status {0}")]
    Ended(u8),
    /// No failure: the answer of `update --check`, which goes into the exit status alone.
    #[error("there is an update")]
    UpdateAvailable,
    /// The user asked to stop.
    #[error("interrupted: what was installed before still is")]
    Cancelled,
    /// A thread panicked: a bug.
    #[error("internal error: a thread panicked; please report this")]
    Panicked,
    /// Somebody else can change what is written.
    #[error(transparent)]
    Owned(#[from] OwnedError),
    /// A package was passed over, and nobody told why: a bug.
    #[error("internal error: {0} was not unpacked; please report this")]
    NotUnpacked(Nevra),
}

/// One of several things, which failed.
#[derive(Debug)]
pub struct Failure {
    /// What failed.
    what: String,
    /// Why.
    error: Error,
}

impl Failure {
    /// That `what` failed by `error`.
    ///
    /// # Errors
    /// When the user stopped the run: nothing else is done then either.
    pub(crate) fn of(what: &str, error: Error) -> Result<Self, Error> {
        match error.is_cancelled() {
            true => Err(error),
            false => Ok(Self { what: what.to_owned(), error }),
        }
    }

    /// Why.
    pub(crate) fn into_error(self) -> Error {
        self.error
    }
}

/// A line for each, with all that lies behind it.
fn failed(failures: &[Failure]) -> String {
    let line = |Failure { what, error }: &Failure| {
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |it| it.source());
        let mut texts: Vec<String> = causes.map(|cause| cause.to_string()).collect();
        // Those that are transparent say what their cause says.
        texts.dedup();
        format!("\n  {}: {}", escape(what), texts.join(": ").replace('\n', "\n    "))
    };
    failures.iter().map(line).collect()
}

impl Error {
    /// That a package of the repository `id` of `dist` is not trusted, where these keys could not be had.
    pub(crate) fn untrusted(
        source: TrustError,
        place: (&str, &str),
        missing: Vec<Arc<FetchError>>,
    ) -> Self {
        let repository = match place {
            (_, LOCAL) => None,
            (dist, id) => Some(format!("{dist}/{id}").into()),
        };
        Self::Untrusted { source, missing_keys: missing.into(), repository }
    }

    /// The limit of this process or machine that was met.
    fn limit(&self) -> Option<Limit> {
        let mut keys = self.keys_wanted().iter();
        Limit::behind(self).or_else(|| keys.find_map(|error| Limit::behind(&**error)))
    }

    /// Why keys could not be had that might have vouched for what is not trusted.
    fn keys_wanted(&self) -> &[Arc<FetchError>] {
        match self {
            Self::Untrusted { source, missing_keys, .. } if source.lacks_key() => missing_keys,
            _ => &[],
        }
    }

    /// Whether the user, not a fault, ended the run.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Fetch(error) | Self::Registry(RegistryError::Fetch(error)) => {
                matches!(error, FetchError::Cancelled)
            }
            Self::Metadata(error) => matches!(error.fetch_error(), Some(FetchError::Cancelled)),
            Self::Release(error) => {
                matches!(error, ReleaseError::Fetch(FetchError::Cancelled))
            }
            Self::Unpack(error) => matches!(error, UnpackError::Cancelled),
            Self::Relocate(error) => matches!(error, RelocateError::Cancelled),
            Self::Smoke(error) => matches!(error, SmokeError::Cancelled),
            Self::Prefix(error) => matches!(error, PrefixError::Cancelled),
            Self::Verify(error) => matches!(error, VerifyError::Cancelled),
            Self::Untrusted { .. } => {
                self.keys_wanted().iter().any(|error| matches!(**error, FetchError::Cancelled))
            }
            Self::Cvmfs(error) => matches!(error, CvmfsError::Cancelled),
            Self::Image(error) => error.is_cancelled(),
            error => matches!(error, Self::Cancelled),
        }
    }
}

/// The first of some paths, and how many more there are.
fn first(paths: &[String]) -> String {
    match paths {
        [] => String::new(),
        [path] => escape(path).into_owned(),
        [path, more @ ..] => format!("{} and {} more", escape(path), more.len()),
    }
}

/// How many more there are than one.
fn others(count: usize) -> String {
    match count.saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    }
}

/// The word for so many findings.
fn findings(count: usize) -> &'static str {
    if count == 1 { "finding" } else { "findings" }
}

/// A path for people.
fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}

fn missing(reasons: &[Arc<FetchError>]) -> String {
    if reasons.is_empty() {
        return String::new();
    }
    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    format!(" (keys that could not be fetched: {})", reasons.join("; "))
}

/// At most this many gaps are named in one message.
const SHOWN_GAPS: usize = 5;

fn list(gaps: &[Gap]) -> String {
    let mut lines: Vec<String> = gaps.iter().take(SHOWN_GAPS).map(Gap::to_string).collect();
    if gaps.len() > SHOWN_GAPS {
        lines.push(format!("and {} more", gaps.len() - SHOWN_GAPS));
    }
    lines.join("; ")
}
