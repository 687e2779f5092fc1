//! Every failure of a run: its exit status, and what to do next.

use std::io;
use std::path::{Path, PathBuf};

use crate::audit::{AuditError, Gap};
use crate::catalog::CatalogError;
use crate::config::ConfigError;
use crate::fetch::{FetchError, Reason};
use crate::host::{HostError, NoHome};
use crate::metadata::{KeyFileError, MetadataError, SourcesError, is_malformed};
use crate::model::{Arch, LockError, Nevra, escape, shell_word};
use crate::prefix::PrefixError;
use crate::release::ReleaseError;
use crate::relocate::RelocateError;
use crate::resolve::ResolveError;
use crate::smoke::SmokeError;
use crate::tools::limits::Limit;
use crate::trust::TrustError;
use crate::unpack::UnpackError;
use crate::verify::VerifyError;
use crate::workshop::WorkshopError;

/// Exit statuses and their meaning. `--help` and `docs/exit-statuses.md` list the same.
pub(crate) const EXIT_STATUSES: [(u8, &str); 13] = [
    (0, "done"),
    (1, "internal error: a bug of this program"),
    (2, "usage: the command line or a definition is wrong"),
    (3, "network: a source could not be reached or read"),
    (4, "trust: something is not what its digest or signature says"),
    (5, "resolution: no set of packages fits"),
    (6, "disk: the prefix, the cache or the temporary directory cannot be written"),
    (HOST, "this host: what was installed does not run here, or a limit is too low"),
    (8, "damage: an installed tree or launcher is not as it was made"),
    (9, "busy: another run works on the prefix"),
    (UPDATE_AVAILABLE, "update --check: there is an update"),
    (UNDEFINED, "definitions: those that an installed tree was made with are not at hand"),
    (INTERRUPTED, "interrupted"),
];

/// Exit status of `update --check` when there is an update.
pub(crate) const UPDATE_AVAILABLE: u8 = 10;

/// Exit status where an installed tree's definitions are needed and not at hand.
pub(crate) const UNDEFINED: u8 = 11;

/// The exit status of a network that did not give what was asked for.
pub(crate) const NETWORK: u8 = 3;

/// Exit status where this host, or a limit of it, is to blame.
pub(crate) const HOST: u8 = 7;

/// Exit status of a run that was interrupted: 128 and the number of SIGINT, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

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
    /// Something could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Repository metadata could not be had.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Places are not as definitions say.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// A signature or key is not good.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A package's signature is not good, or its key could not be had.
    #[error("{source}{}", missing(missing_keys))]
    Untrusted {
        /// What is wrong.
        source: TrustError,
        /// Why pinned keys are not at hand.
        missing_keys: Vec<String>,
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
    #[error("{} is damaged: {count} {}", shown(path), if *count == 1 { "finding" } else { "findings" })]
    Damaged {
        /// The prefix.
        path: PathBuf,
        /// How many things are not as they should be.
        count: usize,
        /// What to do next.
        hint: String,
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
    /// No failure: the answer of `update --check`, which goes into the exit status alone.
    #[error("there is an update")]
    UpdateAvailable,
    /// The user asked to stop.
    #[error("interrupted: what was installed before still is")]
    Cancelled,
    /// A thread panicked: a bug.
    #[error("internal error: a thread panicked; please report this")]
    Panicked,
    /// A package was passed over, and nobody told why: a bug.
    #[error("internal error: {0} was not unpacked; please report this")]
    NotUnpacked(Nevra),
}

impl Error {
    /// The process's exit status: one of [`EXIT_STATUSES`].
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            error if error.is_cancelled() => INTERRUPTED,
            // Where it was met says nothing about who is to blame.
            error if error.limit().is_some_and(|limit| limit != Limit::FileSize) => HOST,
            Self::Panicked
            | Self::NotUnpacked(_)
            | Self::Signals { .. }
            | Self::Relocate(RelocateError::Stale { .. } | RelocateError::Cancelled) => 1,
            Self::Usage(_)
            | Self::Catalog(_)
            | Self::Host(_)
            | Self::NoHome(_)
            | Self::Config(_)
            | Self::Lock(_)
            | Self::KeyFile(_)
            | Self::Relocate(RelocateError::NoSuchLine { .. })
            | Self::NoDist { .. } => 2,
            Self::Fetch(error) => fetch_status(error),
            Self::Metadata(error) => metadata_status(error),
            Self::Trust(_) | Self::Untrusted { .. } => 4,
            Self::Unpack(UnpackError::Write { .. } | UnpackError::SameName { .. }) => 6,
            Self::Unpack(_) => 4,
            Self::Resolve(_) => 5,
            Self::Undefined { .. } => UNDEFINED,
            Self::Sources(error) if error.is_distrust() => 4,
            Self::Sources(error) if error.is_network() => NETWORK,
            Self::Sources(_) => 2,
            Self::Prefix(PrefixError::Held { .. }) | Self::Stale { .. } => 9,
            Self::Workshop(WorkshopError::Damaged { .. }) => 8,
            Self::Prefix(_)
            | Self::Workshop(_)
            | Self::Staging { .. }
            | Self::Cache { .. }
            | Self::File { .. }
            | Self::Output { .. }
            | Self::Relocate(_)
            | Self::Smoke(SmokeError::Io { .. })
            | Self::Audit(_) => 6,
            Self::Verify(_) => 6,
            Self::Damaged { .. } | Self::DamagedGeneration { .. } => 8,
            Self::UpdateAvailable => UPDATE_AVAILABLE,
            Self::TooNew { .. }
            | Self::Musl
            | Self::Gaps { .. }
            | Self::Smoke(_)
            | Self::NoExec { .. }
            | Self::Unwell(_) => HOST,
            Self::Release(error) => release_status(error),
            Self::Cancelled => INTERRUPTED,
        }
    }

    /// What to do next, where there is something useful to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if let Some(limit) = self.limit() {
            return Some(limit.to_string());
        }
        match self {
            Self::Usage(_) => Some("see elsewhere --help".to_owned()),
            Self::Stale { .. } => Some("try again when the other runs are over".to_owned()),
            Self::Host(error) => error.hint(),
            Self::NoHome(error) => error.hint(),
            Self::Config(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Catalog(error) => error.hint(),
            Self::Fetch(error) => error.hint(),
            Self::Metadata(error) => error.hint(),
            Self::Untrusted { missing_keys, .. } if !missing_keys.is_empty() => Some(
                "get the key from its owner and name it with --trust-key FILE, or name a mirror that has \
                 it with --mirror; the dist's definition says where it is (`url`, `alternates`)"
                    .to_owned(),
            ),
            Self::Trust(error)
            | Self::Untrusted { source: error, .. }
            | Self::KeyFile(KeyFileError::Unusable { source: error, .. }) => error.hint(),
            Self::Resolve(error) => error.hint(),
            Self::Unpack(error) => error.hint(),
            Self::Relocate(error) => error.hint(),
            Self::Audit(error) => error.hint(),
            Self::Smoke(error) => error.hint(),
            Self::Prefix(error) => error.hint(),
            Self::Workshop(error) => error.hint(),
            Self::Release(error) => error.hint(),
            Self::Gaps { gaps, .. } => Some(gaps_hint(gaps)),
            Self::Undefined { .. } => Some(
                "name the directory that has them with --repos (a receipt tells how a tree was made, \
                 and gives no trust)"
                    .to_owned(),
            ),
            Self::NoDist { .. } => Some("see elsewhere list".to_owned()),
            Self::Damaged { hint, .. } => Some(hint.clone()),
            Self::DamagedGeneration { path, .. } => Some(format!(
                "to put it right: elsewhere verify --repair --all {}; to go there as it is: \
                 --no-verify",
                shell_word(&shown(path))
            )),
            Self::TooNew { fits, .. } => Some(match fits {
                Some(dist) => format!(
                    "-d {dist} fits, and -d auto chooses; name other machines with --for \
                     (--for x86-64-v3 where all processors are new)"
                ),
                None => "no dist fits: name the machines that it is for with --for".to_owned(),
            }),
            Self::Musl => Some(
                "install your distribution's own package, or name the machines that the tree is for \
                 with --for, by their glibc or a distribution's name"
                    .to_owned(),
            ),
            Self::NoExec { .. } => Some(
                "choose a directory of a file system that is not mounted noexec; with --for, trees for \
                 other machines can be made anywhere"
                    .to_owned(),
            ),
            Self::Unwell(_) => Some(
                "elsewhere doctor --fix-commands prints what an administrator can type".to_owned(),
            ),
            Self::Verify(_)
            | Self::Sources(_)
            | Self::KeyFile(KeyFileError::Unreadable { .. })
            | Self::Signals { .. }
            | Self::Staging { .. }
            | Self::Cache { .. }
            | Self::File { .. }
            | Self::Output { .. }
            | Self::UpdateAvailable
            | Self::Cancelled
            | Self::Panicked
            | Self::NotUnpacked(_) => None,
        }
    }

    /// The limit of this process or machine that was met.
    fn limit(&self) -> Option<Limit> {
        Limit::behind(self)
    }

    /// Whether the user, not a fault, ended the run.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Fetch(error) => matches!(error, FetchError::Cancelled),
            Self::Metadata(error) => matches!(error.fetch_error(), Some(FetchError::Cancelled)),
            Self::Release(error) => {
                matches!(error, ReleaseError::Fetch(FetchError::Cancelled))
            }
            Self::Unpack(error) => matches!(error, UnpackError::Cancelled),
            Self::Relocate(error) => matches!(error, RelocateError::Cancelled),
            Self::Smoke(error) => matches!(error, SmokeError::Cancelled),
            Self::Prefix(error) => matches!(error, PrefixError::Cancelled),
            Self::Verify(error) => matches!(error, VerifyError::Cancelled),
            error => matches!(error, Self::Cancelled),
        }
    }
}

/// That of the fetch that failed; otherwise network, unless what came is not what its digest says.
fn metadata_status(error: &MetadataError) -> u8 {
    match error.fetch_error() {
        Some(error) => fetch_status(error),
        None if error.is_choice() => 2,
        None if error.is_distrust() => 4,
        None if error.is_bug() => 1,
        None => NETWORK,
    }
}

/// Network, unless what came was refused for what it is, or the cache is at fault.
fn fetch_status(error: &FetchError) -> u8 {
    let is_wrong = |reason: &Reason| match reason {
        Reason::Digest { .. } | Reason::Size { .. } => true,
        Reason::Refused(refusal) => match refusal.downcast_ref() {
            Some(judging) => fetch_status(judging) == 4,
            None => !is_malformed(refusal.as_ref()),
        },
        _ => false,
    };
    match error {
        FetchError::Cache { .. } | FetchError::Full { .. } => 6,
        FetchError::System(_) => HOST,
        FetchError::Variable(_) => 2,
        FetchError::Cancelled => INTERRUPTED,
        FetchError::Unavailable(attempts) => {
            if attempts.iter().any(|attempt| is_wrong(&attempt.reason)) { 4 } else { NETWORK }
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

/// A path for people.
fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}

/// What helps against what a tree lacks, by what most of it is.
fn gaps_hint(gaps: &[Gap]) -> String {
    let helps = if gaps.iter().any(|gap| matches!(gap, Gap::Glibc { .. })) {
        "choose a dist with an older glibc (-d; elsewhere list names them): glibc is too old"
    } else if gaps.iter().any(|gap| matches!(gap, Gap::Missing { .. })) {
        "name the package that brings what is missing as an `extra` in a definition of your own (--repos)"
    } else {
        "the packages, or what elsewhere made of them, do not fit together: please report it"
    };
    format!("{helps}; what was live before still is")
}

/// Trust, unless the release is good and this machine is not.
fn release_status(error: &ReleaseError) -> u8 {
    match error {
        ReleaseError::Fetch(error) => fetch_status(error),
        ReleaseError::Unknown => 1,
        ReleaseError::NoProgram { .. } => 5,
        ReleaseError::Write { .. } => 6,
        ReleaseError::DoesNotRun { .. } => HOST,
        ReleaseError::NoKey
        | ReleaseError::Signature { .. }
        | ReleaseError::Malformed
        | ReleaseError::Older { .. } => 4,
    }
}

fn missing(reasons: &[String]) -> String {
    match reasons {
        [] => String::new(),
        reasons => format!(" (keys that could not be fetched: {})", reasons.join("; ")),
    }
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
