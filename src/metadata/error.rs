//! Why metadata cannot be had, or is not believed.

use std::error::Error;

use crate::fetch::{FetchError, Reason, Refusal};
use crate::model::{Arch, Origin, escape, without_userinfo};
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
    /// None of its repositories is to be read.
    #[error("none of the repositories of {dist} for {arch} is to be read")]
    AllOff {
        /// The dist.
        dist: String,
        /// The architecture.
        arch: Arch,
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
        /// Where it is defined.
        origin: Origin,
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
    /// Its metadata are not signed, or not by whom they must be.
    #[error(transparent)]
    Unsigned(FetchError),
    /// What vouched for it before does so no more.
    #[error("a metalink vouched for it before, and cannot be had now: {0}")]
    LostAnchor(#[source] FetchError),
    /// It cannot be read, and before that no list of its mirrors could be.
    #[error("{source}{}", no_list(lists))]
    NoList {
        /// Where a list was looked for, and why there was none.
        lists: Vec<String>,
        /// Why it cannot be read.
        source: Box<Self>,
    },
    /// A file of it, whose digest is right, makes no sense.
    #[error("{} {source}", escape(&without_userinfo(.location)))]
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
        match self {
            Self::NoRepositories { .. } => Some("choose another dist with -d".into()),
            Self::AllOff { .. } => Some("name those to read with --enable-repo".into()),
            Self::Repository { dist, id, origin, source, .. } => {
                source.hint(&RepositoryPlace { dist, id, origin })
            }
        }
    }

    /// Whether what was read is not what its digest says, or has no digest that proves anything.
    #[must_use]
    pub fn is_distrust(&self) -> bool {
        match self {
            Self::Repository { source, .. } => match source.as_ref() {
                RepositoryError::Content { source, .. } => source.is_distrust(),
                RepositoryError::LostAnchor(error) => error.is_not_found(),
                _ => false,
            },
            Self::NoRepositories { .. } | Self::AllOff { .. } => false,
        }
    }

    /// Whether what was asked for leaves nothing to read.
    pub(crate) fn is_choice(&self) -> bool {
        matches!(self, Self::NoRepositories { .. } | Self::AllOff { .. })
    }

    /// Whether it was not asked for because the user wants no network to be asked.
    pub(crate) fn is_offline(&self) -> bool {
        let attempts = self.fetch_error().map_or(&[][..], FetchError::attempts);
        attempts.iter().any(|attempt| matches!(attempt.reason, Reason::Offline))
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
            Self::Repository { source, .. } => source.fetch_error(),
            Self::NoRepositories { .. } | Self::AllOff { .. } => None,
        }
    }
}

/// Whether a document was refused for its form alone: a server's page in place of metadata, or one
/// that breaks off. That is no matter of trust.
#[must_use]
pub(crate) fn is_malformed(refusal: &(dyn Error + 'static)) -> bool {
    let content = match refusal.downcast_ref() {
        Some(Distrust::Content(content)) => Some(content),
        _ => refusal.downcast_ref::<RepodataError>(),
    };
    content.is_some_and(|content| !content.is_distrust())
}

/// A repository, for hints.
struct RepositoryPlace<'a> {
    dist: &'a str,
    id: &'a str,
    origin: &'a Origin,
}

impl RepositoryPlace<'_> {
    /// What the definition claims, where, and how to say otherwise.
    fn claim(&self, field: &str, what: &str) -> String {
        let Self { dist, id, origin } = self;
        format!(
            "{} says that {what}; where that is wrong, write {field} = false below \
             [repository.\"{dist}/{id}\"] in ~/.config/elsewhere/config.toml; --disable-repo {id} does \
             without this repository, --mirror names another place of it",
            escape(&origin.of(field))
        )
    }

    /// Where it is looked for.
    fn place(&self) -> String {
        let fields = ["metalink", "mirrorlist", "base"];
        let field = fields.into_iter().find(|field| self.origin.lines.contains_key(*field));
        escape(&self.origin.of(field.unwrap_or("base"))).into_owned()
    }
}

impl RepositoryError {
    fn hint(&self, at: &RepositoryPlace<'_>) -> Option<String> {
        let without = format!("--disable-repo {} does without this repository", at.id);
        match self {
            Self::NoList { source, .. } => source.hint(at),
            Self::LostAnchor(_) => Some(format!(
                "try again later; {without}, and --allow-downgrade does without the metalink, if you know \
                 why it is gone"
            )),
            Self::Missing(_) => Some(format!(
                "{without}, --mirror names another place of it, and -d another dist; {} says where it is",
                at.place()
            )),
            Self::Unsigned(_) => Some(at.claim("signed_metadata", "its metadata are signed")),
            Self::Fetch(error) => Some(match error.hint() {
                Some(hint) => format!("{hint}; {without}"),
                None => format!("{without}, and --mirror names another place of it"),
            }),
            Self::Content { .. } => Some(without),
            Self::Broken => None,
        }
    }

    fn fetch_error(&self) -> Option<&FetchError> {
        match self {
            Self::Fetch(error) | Self::Missing(error) | Self::Unsigned(error) => Some(error),
            // What is not there any more is no matter of the network.
            Self::LostAnchor(error) => Some(error).filter(|error| !error.is_not_found()),
            Self::NoList { source, .. } => source.fetch_error(),
            Self::Content { .. } | Self::Broken => None,
        }
    }
}

fn no_list(lists: &[String]) -> String {
    lists.iter().map(|list| format!("\n  no list of mirrors: {list}")).collect()
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
    #[error(
        "is {by} older than what this prefix was made from: the mirror was left behind, or hides updates; \
         --allow-downgrade takes it all the same"
    )]
    Behind { by: String },
}

/// What a signature that is not believed is to a fetch: no other place helps where this machine kept from the key.
pub(super) fn refused(failure: TrustFailure) -> Refusal {
    match failure.0.downcast::<FetchError>() {
        Ok(error) => error,
        Err(other) => Distrust::Signature(TrustFailure(other)).into(),
    }
}

/// Whether something was served whose signature is missing or bad.
pub(super) fn is_about_signatures(error: &FetchError) -> bool {
    let is_it = |refusal: &Refusal| {
        let distrust = refusal.downcast_ref::<Distrust>();
        matches!(distrust, Some(Distrust::Signature(_) | Distrust::Unsigned(_)))
    };
    let mut attempts = error.attempts().iter();
    attempts.any(|it| matches!(&it.reason, Reason::Refused(refusal) if is_it(refusal)))
}
