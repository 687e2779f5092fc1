//! What can go wrong with a registry.

use std::time::Duration;

use super::super::{FetchError, Reason};
use crate::model::escape;

/// Why something could not be had from a registry, or given to it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It was not reached, or did not send what was asked for.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It answered, and said no.
    #[error("{place}: cannot {action}: HTTP status {status}{}", told(said))]
    Refused {
        /// The registry and the repository.
        place: String,
        /// What was asked for.
        action: String,
        /// HTTP status.
        status: u16,
        /// The registry's words.
        said: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
        /// Where a name and a password came from; none where there are none.
        login: Option<String>,
    },
    /// Its answer is none that a registry gives, or one that is not safe to follow.
    #[error("{place}: {}", escape(what))]
    Answer {
        /// The registry and the repository.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// Who may ask is known to a program that is not run here.
    #[error(
        "{place}: a login is needed, and {} leaves it to the helper {}, which is not run here",
        escape(file),
        escape(helper)
    )]
    Helper {
        /// The registry and the repository.
        place: String,
        /// The file that names it.
        file: String,
        /// Its name.
        helper: String,
    },
    /// A file of names and passwords cannot be used.
    #[error("{} cannot be used: {}", escape(file), escape(why))]
    Logins {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
}

impl RegistryError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let files = "`docker login`, `podman login` or `skopeo login` write a file that is read here, and .netrc is read \
                     too (docs/carry.md)";
        match self {
            Self::Fetch(error) => way(error),
            Self::Refused { status: 400, .. } => Some(
                "one that wants TLS answers so where plain http is spoken, as it is with this machine: --plain-http=false"
                    .to_owned(),
            ),
            Self::Refused { status: 401, login, .. } => Some(match login {
                None => format!("log in first: {files}"),
                Some(file) => format!(
                    "the name and password in {} do not count there, or no more: log in anew: {files}",
                    escape(file)
                ),
            }),
            Self::Refused { status: 403, login, .. } => Some(match login {
                None => format!("who may do that must log in: {files}"),
                Some(file) => format!(
                    "whoever {} names may not do that: ask the registry's owner, or log in as another",
                    escape(file)
                ),
            }),
            Self::Refused { status: 404, .. } => Some(
                "is the repository's name right, and the tag there? some registries want a project to be made first"
                    .to_owned(),
            ),
            Self::Refused { status: 413, .. } => Some(
                "the registry, or a proxy before it, takes no bodies as large: its owner can raise the limit"
                    .to_owned(),
            ),
            Self::Refused { status: 429, retry_after, .. } => Some(match retry_after {
                Some(wait) => format!("it asks to wait for {} s; log in where that raises the limit", wait.as_secs()),
                None => "wait a while; log in where that raises the limit".to_owned(),
            }),
            Self::Helper { .. } => Some(
                "log in with --authfile of podman or skopeo and name that file by REGISTRY_AUTH_FILE, or write a line \
                 into .netrc"
                    .to_owned(),
            ),
            Self::Answer { .. } => Some("is there a registry at that address?".to_owned()),
            Self::Refused { .. } | Self::Logins { .. } => None,
        }
    }
}

/// What to do about the way to a registry. No mirror stands for one: another registry that has a copy does.
fn way(error: &FetchError) -> Option<String> {
    let first = error.attempts().first().map(|attempt| (&attempt.reason, attempt.url.as_str()));
    let hint = match first {
        Some((Reason::Proxied { reason, .. }, _))
            if !matches!(**reason, Reason::Tls(_) | Reason::Status { code: 407, .. }) =>
        {
            "does the proxy work? no_proxy names hosts that are reached without it"
        }
        Some((Reason::Offline, _)) => {
            "what is in the cache is had by its digest, oci://REGISTRY/REPOSITORY@sha256:DIGEST; `elsewhere mirror --from` where \
             there is a network makes what `install --from DIR` needs"
        }
        Some((Reason::Name { .. } | Reason::Connect(_) | Reason::Stalled(_), _)) => {
            "is there a network, and a registry at that address? behind a proxy, set https_proxy; a copy in another registry \
             is named in its place, oci://OTHER/REPOSITORY@sha256:DIGEST, and one with TLS on this machine wants \
             --plain-http=false"
        }
        _ => return error.hint(),
    };
    Some(hint.to_owned())
}

fn told(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {}", escape(said)) }
}
