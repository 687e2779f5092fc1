//! Why metadata cannot be had, or is not believed.

use std::error::Error;

use crate::fetch::FetchError;
use crate::model::{Arch, escape};
use crate::repodata::RepodataError;

/// Why a signature of `repomd.xml` is not believed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TrustFailure(#[from] pub Box<dyn Error + Send + Sync>);

/// Why the metadata cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The dist does not exist for the architecture.
    #[error("{dist} has no repositories for {arch}; it has some for {known}")]
    NoRepositories {
        /// The dist.
        dist: String,
        /// The architecture.
        arch: Arch,
        /// The architectures that it has repositories for.
        known: String,
    },
    /// One of its repositories cannot be read.
    #[error("repository {id} of {dist} for {arch}: {source}")]
    Repository {
        /// The dist.
        dist: String,
        /// The repository.
        id: String,
        /// The architecture.
        arch: Arch,
        /// Why.
        source: Box<RepositoryError>,
    },
}

/// Why a repository cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// None of its places has it.
    #[error("none of its places has it for this architecture: {0}")]
    Missing(#[source] FetchError),
    /// A file of it cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file of it, whose digest is right, makes no sense.
    #[error("{} {source}", escape(.location))]
    Content {
        /// Its place in the repository.
        location: String,
        /// What is wrong with it.
        source: RepodataError,
    },
    /// The thread that read it died.
    #[error("reading it was broken off")]
    Broken,
}

impl MetadataError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let Self::Repository { source, .. } = self else {
            return Some("choose another dist with -d".into());
        };
        match source.as_ref() {
            RepositoryError::Missing(_) => {
                Some("choose another dist with -d, or another mirror with --mirror".into())
            }
            RepositoryError::Fetch(error) => error.hint(),
            RepositoryError::Content { .. } | RepositoryError::Broken => None,
        }
    }

    /// Whether what was read is not what its digest says, or has no digest that proves anything.
    #[must_use]
    pub fn is_distrust(&self) -> bool {
        match self {
            Self::Repository { source, .. } => {
                matches!(source.as_ref(), RepositoryError::Content { source, .. } if source.is_distrust())
            }
            Self::NoRepositories { .. } => false,
        }
    }

    /// Whether a part of this program failed.
    #[must_use]
    pub fn is_bug(&self) -> bool {
        let Self::Repository { source, .. } = self else { return false };
        matches!(source.as_ref(), RepositoryError::Broken)
    }

    /// The fetch that failed, if that is the cause.
    #[must_use]
    pub fn fetch_error(&self) -> Option<&FetchError> {
        match self {
            Self::Repository { source, .. } => match source.as_ref() {
                RepositoryError::Fetch(error) | RepositoryError::Missing(error) => Some(error),
                RepositoryError::Content { .. } | RepositoryError::Broken => None,
            },
            Self::NoRepositories { .. } => None,
        }
    }
}

/// Whether a document was refused for its form alone: a server's page in place of metadata, or one
/// that breaks off. That is no matter of trust.
#[must_use]
pub fn is_malformed(refusal: &(dyn Error + 'static)) -> bool {
    let content = match refusal.downcast_ref() {
        Some(Distrust::Content(content)) => Some(content),
        _ => refusal.downcast_ref::<RepodataError>(),
    };
    content.is_some_and(|content| !content.is_distrust())
}

/// Why a `repomd.xml` is passed over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Distrust {
    #[error("its signature is not accepted: {0}")]
    Signature(#[source] TrustFailure),
    #[error("its signature is missing: {0}")]
    Unsigned(#[source] FetchError),
    #[error("{0}")]
    Content(#[source] RepodataError),
    #[error(
        "is {by} older than what was seen before, which was signed or promised: the mirror was \
         left behind, or hides updates"
    )]
    Older { by: String },
}
