//! The HTTP client: whom it goes through, whose certificates it believes, and where it lets itself be sent.

use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use reqwest::{Proxy, Url};

use super::names::Names;
use super::wording::{innermost, limit};
use crate::model::without_userinfo;
use crate::tools::network::{Unusable, Way};

/// Requests to one host at a time: mirrors are run by volunteers.
pub(super) const CONNECTIONS_PER_HOST: usize = 4;
/// Redirects that are followed.
const REDIRECTS: usize = 5;
/// How much longer than any stall a request's thread waits for the network.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no client.
pub(super) enum Unmade {
    /// What it says of TLS.
    Tls(String),
    /// The system's error number, where a limit of this machine is met.
    System(i32),
}

/// A client that speaks HTTP/2 where the server does, and checks certificates by the system's.
pub(super) fn build_client(
    way: &Arc<Way>,
    connect_timeout: Duration,
    stall_timeout: Duration,
) -> Result<Client, Unmade> {
    // Fails when another part of the process chose a provider already: then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let (of_request, of_redirect) = (Arc::clone(way), Arc::clone(way));
        // Whoever asks has checked the variables; so does whoever follows a redirect.
        let proxy = move |url: &Url| Some(of_request.proxy(url).ok()??.url);
        Client::builder()
            .no_proxy()
            .proxy(Proxy::custom(proxy))
            .user_agent(concat!("elsewhere/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect_timeout)
            // Of each wait. Stalls are judged by the receiving side, and sooner, where it has a thread.
            .timeout(stall_timeout.saturating_mul(2).saturating_add(PATIENCE))
            .dns_resolver(Arc::new(Names))
            .pool_max_idle_per_host(CONNECTIONS_PER_HOST)
            // What is asked of one server is no other's business: there may be a token in it.
            .referer(false)
            .redirect(Policy::custom(move |attempt| {
                let refusal = redirect_refusal(attempt.previous(), attempt.url());
                let unusable = || of_redirect.check(attempt.url()).err().map(told);
                match refusal.or_else(unusable) {
                    Some(refusal) => attempt.error(refusal),
                    None => attempt.follow(),
                }
            }))
    };
    // A machine without any CA certificate can still fetch from a plain mirror; https then fails
    // with a message about certificates.
    builder().build().or_else(|_| builder().tls_certs_only([]).build()).map_err(|error| {
        limit(&error).map_or_else(|| Unmade::Tls(innermost(&error)), Unmade::System)
    })
}

fn told(unusable: Unusable) -> String {
    unusable.to_string()
}

/// Why a redirect is not followed, if it is not.
fn redirect_refusal(previous: &[Url], next: &Url) -> Option<String> {
    if previous.len() > REDIRECTS {
        return Some(format!("more than {REDIRECTS} in a row"));
    }
    if !matches!(next.scheme(), "http" | "https") {
        return Some(format!("to {}, which is not on the web", without_userinfo(next.as_str())));
    }
    let was_secure = previous.iter().any(|url| url.scheme() == "https");
    let is_less = was_secure && next.scheme() != "https";
    is_less.then(|| format!("from https to {}", without_userinfo(next.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(texts: &[&str]) -> Vec<Url> {
        texts.iter().map(|text| Url::parse(text).unwrap()).collect()
    }

    fn refused(previous: &[&str], next: &str) -> bool {
        redirect_refusal(&urls(previous), &Url::parse(next).unwrap()).is_some()
    }

    #[test]
    fn redirects_never_lose_security() {
        assert!(!refused(&["https://a/"], "https://b/"));
        assert!(!refused(&["http://a/"], "https://b/"));
        assert!(!refused(&["http://a/"], "http://b/"));
        assert!(refused(&["https://a/"], "http://a/"));
        assert!(refused(&["http://a/", "https://b/"], "http://c/"));
        assert!(refused(&["http://a/"], "file:///etc/passwd"));
        assert!(refused(&["https://a/"; REDIRECTS + 1], "https://b/"));
    }
}
