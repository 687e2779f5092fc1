//! What can go wrong while fetching: [`FetchError`] ends a fetch, a [`Reason`] ends one try.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::{Checksum, escape};
use crate::owned::OwnedError;
use crate::tools::files::is_full;
use crate::tools::limits::Limit;
use crate::tools::network::{Proxy, Unusable};

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Every place was tried.
    #[error("{}", list(.0))]
    Unavailable(Vec<Attempt>),
    /// The cache cannot be used as it must be.
    #[error("cannot {action} {} in the cache: {source}", escape(&.path.to_string_lossy()))]
    Cache {
        /// `write`, `read`, …
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else can change what is in the cache.
    #[error("the cache: {0}")]
    Untrusted(OwnedError),
    /// The file system of the cache, or the user's quota on it, is full.
    #[error("no space left for the cache at {}", escape(&.path.to_string_lossy()))]
    Full {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system did not give what fetching needs: threads, memory, open files.
    #[error("cannot fetch anything on this machine as it is: {0}")]
    System(#[source] io::Error),
    /// A variable about the network is set and cannot be used.
    #[error("{0}")]
    Variable(Unusable),
    /// The user asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// The proxy that was in the way of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// Its address, without name and password.
    pub proxy: String,
    /// The variable that names it.
    pub variable: &'static str,
}

impl Through {
    pub(super) fn of(proxy: &Proxy) -> Self {
        Self { proxy: proxy.shown(), variable: proxy.variable }
    }
}

/// A place that was tried, and why it did not serve.
#[derive(Debug)]
pub struct Attempt {
    /// The URL as it was asked for, after `--mirror`.
    pub url: String,
    /// What happened there the last time.
    pub reason: Reason,
}

/// Why one place did not serve.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// No such host, or no name server was reached.
    #[error("the name {} could not be resolved", escape(.host))]
    Name {
        /// The host's name.
        host: String,
    },
    /// No connection was made.
    #[error("cannot connect: {}", escape(.0))]
    Connect(String),
    /// Nothing, or next to nothing, came for this long.
    #[error("no answer, or a far too slow one, for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    /// No trusted connection was made.
    #[error("no secure connection: {}", escape(.0))]
    Tls(String),
    /// The server has no such file.
    #[error("not found (HTTP status {0})")]
    NotFound(u16),
    /// The server answered with an error.
    #[error("HTTP status {code}")]
    Status {
        /// The status.
        code: u16,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The server sent elsewhere, where it is not safe to go.
    #[error("redirect refused: {}", escape(.0))]
    Redirect(String),
    /// The connection broke.
    #[error("the connection broke: {}", escape(.0))]
    Broken(String),
    /// Something went wrong on the way through a proxy, which may itself be to blame.
    #[error("through the proxy {}, which {} names: {reason}", .through.proxy, .through.variable)]
    Proxied {
        /// The proxy.
        through: Through,
        /// What happened.
        reason: Box<Reason>,
    },
    /// More came than may come.
    #[error("sends more than the {0} bytes that it should have")]
    TooLong(u64),
    /// A whole file of another size.
    #[error("has {got} bytes instead of {expected}")]
    Size {
        /// Bytes that are there.
        got: u64,
        /// Bytes that were to be there.
        expected: u64,
    },
    /// The content is not what was promised.
    #[error("wrong content: its digest is {got}, expected was {expected}")]
    Digest {
        /// What was promised.
        expected: Checksum,
        /// What came.
        got: Checksum,
    },
    /// The content was read and not accepted.
    #[error("{0}")]
    Refused(Refusal),
    /// A `file:` source cannot be read.
    #[error("cannot be read: {0}")]
    File(io::Error),
    /// No URL that can be fetched.
    #[error("is no http:, https: or file: URL that can be fetched")]
    Url,
    /// The user wants no network to be asked.
    #[error("is needed, and not asked for: --offline")]
    Offline,
    /// Plain http for something that no digest or signature proves.
    #[error("plain http proves nothing about who answers: https is needed here")]
    Insecure,
}

/// Why a document that was fetched whole is not accepted.
pub(crate) type Refusal = Box<dyn Error + Send + Sync>;

/// What one try ended with, when it was not success.
#[derive(Debug)]
pub(super) enum Failure {
    /// No other place can help.
    Fatal(FetchError),
    /// Another try, or another place, may.
    Here(Reason),
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        match reason {
            // It would be the same at any place.
            Reason::File(error) if Limit::of(&error).is_some() => {
                Self::Fatal(FetchError::System(error))
            }
            reason => Self::Here(reason),
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Fatal(error)
    }
}

impl From<Refusal> for Failure {
    /// A refusal ends the try. But when a fetch inside was cancelled, or had no space, all ends.
    fn from(refusal: Refusal) -> Self {
        match refusal.downcast::<FetchError>() {
            Ok(error) if !matches!(*error, FetchError::Unavailable(_)) => Self::Fatal(*error),
            Ok(error) => Self::Here(Reason::Refused(error)),
            Err(refusal) => Self::Here(Reason::Refused(refusal)),
        }
    }
}

impl Reason {
    /// Whether the same request may succeed a little later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Name { .. } | Self::Connect(_) | Self::Stalled(_) | Self::Broken(_) => true,
            Self::Status { code, .. } => matches!(code, 408 | 429 | 500..=599),
            Self::Proxied { reason, .. } => reason.is_transient(),
            _ => false,
        }
    }

    /// The same, as met on the way through a proxy. What a proxy hands on of a server is the server's.
    pub(super) fn met(self, through: Option<Through>) -> Self {
        match through {
            Some(through) if !matches!(self, Self::NotFound(_)) => {
                Self::Proxied { through, reason: Box::new(self) }
            }
            _ => self,
        }
    }

    /// How long whoever answered asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Proxied { reason, .. } => reason.retry_after(),
            _ => None,
        }
    }

    /// Whether the host itself seems to be away.
    pub(super) fn is_hosts_fault(&self) -> bool {
        matches!(self, Self::Name { .. } | Self::Connect(_) | Self::Stalled(_) | Self::Tls(_))
    }
}

impl FetchError {
    /// An error of the file system under the cache.
    pub(crate) fn cache(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match is_full(&source) {
            true => Self::Full { path, source },
            false => Self::Cache { action, path, source },
        }
    }

    /// The places that were tried; empty when the fault is not theirs.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        match self {
            Self::Unavailable(attempts) => attempts,
            _ => &[],
        }
    }

    /// The same error once more, where this machine or its user is to blame and no place that was asked: a
    /// limit that was met, a run that was cancelled.
    pub(crate) fn of_this_machine(&self) -> Option<Self> {
        match self {
            Self::System(source) => Some(Self::System(match source.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(source.kind(), source.to_string()),
            })),
            Self::Cancelled => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// Whether every place answered that it has no such file.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        let missing = |attempt: &Attempt| match &attempt.reason {
            Reason::NotFound(_) => true,
            Reason::File(error) => error.kind() == io::ErrorKind::NotFound,
            _ => false,
        };
        !self.attempts().is_empty() && self.attempts().iter().all(missing)
    }

    /// Whether every place answered that it has no such file, or none for whoever asks: what object
    /// stores say of files that are not there.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        let is_no = |attempt: &Attempt| match &attempt.reason {
            Reason::NotFound(_) | Reason::Status { code: 401 | 403, .. } => true,
            Reason::File(error) => error.kind() == io::ErrorKind::NotFound,
            _ => false,
        };
        !self.attempts().is_empty() && self.attempts().iter().all(is_no)
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let attempts = match self {
            Self::Unavailable(attempts) => attempts,
            Self::Cache { .. } => {
                return Some("choose another place for the cache with --cache-dir".into());
            }
            Self::Untrusted(error) => return error.hint(),
            Self::Full { .. } => {
                return Some("free some space, or choose another place with --cache-dir".into());
            }
            Self::Variable(unusable) => {
                return Some(format!("correct it, or `unset {}`", unusable.variable));
            }
            Self::System(_) | Self::Cancelled => return None,
        };
        let reason = attempts.iter().map(|attempt| &attempt.reason).find_map(hint_for)?;
        Some(reason.into())
    }
}

impl From<OwnedError> for FetchError {
    fn from(error: OwnedError) -> Self {
        match error {
            OwnedError::Io { path, source } => Self::cache("open", &path, source),
            untrusted => Self::Untrusted(untrusted),
        }
    }
}

/// What to do about the reason, where there is something.
fn hint_for(reason: &Reason) -> Option<&'static str> {
    match reason {
        Reason::Name { .. } | Reason::Connect(_) | Reason::Stalled(_) => {
            Some("is there a network? behind a proxy, set https_proxy; without one, use --mirror")
        }
        Reason::Tls(_) => Some(
            "check the clock and the CA certificates; SSL_CERT_FILE names another bundle of them",
        ),
        Reason::Proxied { reason, .. } => match **reason {
            Reason::Tls(_) => hint_for(reason),
            Reason::Status { code: 407, .. } => {
                Some("the proxy wants a name and a password: http://USER:PASSWORD@HOST:PORT")
            }
            _ => Some(
                "does the proxy work? no_proxy names hosts that are reached without it, and --mirror \
                 a server near by",
            ),
        },
        Reason::Digest { .. } | Reason::Size { .. } | Reason::TooLong(_) => Some(
            "a mirror in the middle of an update looks like this for a while; if it stays so, \
             something between here and the mirror changes files",
        ),
        // What its judge had to fetch, and could not.
        Reason::Refused(refusal) => {
            let within = refusal.downcast_ref::<FetchError>()?;
            within.attempts().iter().find_map(|attempt| hint_for(&attempt.reason))
        }
        Reason::Offline => Some(
            "`elsewhere mirror DIR` where there is a network makes what `install --from DIR` needs; without --offline the \
             network is asked",
        ),
        Reason::Insecure => Some("give an https: URL, or name the server with --mirror"),
        _ => None,
    }
}

/// One line for one place, a list for several.
fn list(attempts: &[Attempt]) -> String {
    match attempts {
        [] => "nowhere to fetch from".into(),
        [one] => format!("cannot fetch {one}"),
        several => {
            let lines: String = several.iter().map(|one| format!("\n  {one}")).collect();
            format!("cannot fetch from any of {} places:{lines}", several.len())
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", escape(&self.url), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_closed_one() {
        let error = |kind: io::ErrorKind| {
            FetchError::cache("write", Path::new("/c/x\n"), io::Error::from(kind)).to_string()
        };
        let full = "no space left for the cache at /c/x\\n";
        assert_eq!(error(io::ErrorKind::StorageFull), full);
        assert_eq!(error(io::ErrorKind::QuotaExceeded), full);
        let closed = "cannot write /c/x\\n in the cache: permission denied";
        assert_eq!(error(io::ErrorKind::PermissionDenied), closed);
    }

    #[test]
    fn what_a_fetch_inside_a_judgement_ends_with_is_not_hidden() {
        let failure = Failure::from(Refusal::from(FetchError::Cancelled));
        assert!(matches!(failure, Failure::Fatal(FetchError::Cancelled)));
        let failure = Failure::from(Refusal::from(FetchError::Unavailable(Vec::new())));
        assert!(matches!(failure, Failure::Here(Reason::Refused(_))));
        let failure = Failure::from(Refusal::from("no"));
        assert!(matches!(failure, Failure::Here(Reason::Refused(_))));
    }
}
