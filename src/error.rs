//! Every failure of a run: its exit status, and what to do next.

use std::io;
use std::path::PathBuf;

use crate::audit::{AuditError, Gap};
use crate::catalog::CatalogError;
use crate::fetch::FetchError;
use crate::model::Arch;
use crate::pipeline::metadata::MetadataError;
use crate::prefix::PrefixError;
use crate::relocate::RelocateError;
use crate::resolve::ResolveError;
use crate::smoke::SmokeError;
use crate::trust::TrustError;
use crate::unpack::UnpackError;

/// Exit statuses and their meaning. `--help` and `docs/exit-statuses.md` list the same.
pub const EXIT_STATUSES: [(u8, &str); 10] = [
    (0, "done"),
    (1, "internal error: a bug of this program"),
    (2, "usage: the command line or a definition is wrong"),
    (3, "network: a source could not be reached or read"),
    (4, "trust: something is not what its digest or signature says"),
    (5, "resolution: no set of packages fits"),
    (6, "disk: the prefix, the cache or the temporary directory cannot be written"),
    (7, "this host: what was installed does not run here"),
    (9, "busy: another run works on the prefix"),
    (130, "interrupted"),
];

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A definition is wrong or missing.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// No dist is defined for an architecture.
    #[error("no dist offers packages for {arch}")]
    NoDist {
        /// The architecture.
        arch: Arch,
    },
    /// A file of `--trust-key` cannot be read.
    #[error("cannot read the key file {}", path.display())]
    TrustKeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Repository metadata could not be had.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
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
    /// The prefix cannot be used or written.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
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
    /// The user asked to stop.
    #[error("interrupted: nothing was changed")]
    Cancelled,
    /// A thread panicked: a bug.
    #[error("internal error: a thread panicked; please report this")]
    Panicked,
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
