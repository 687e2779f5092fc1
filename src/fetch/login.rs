//! Names and passwords that stood in URLs. They are taken off before anything is done with a URL, and used
//! for the scheme, host and port that they stood with, and nothing else.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use reqwest::Url;
use reqwest::header::HeaderValue;

/// What registries gave to be shown with each request for something of theirs.
#[derive(Default)]
pub(super) struct Tickets(RwLock<Vec<(Url, HeaderValue)>>);

impl Tickets {
    /// From now on this is for all at and below `place`, or nothing.
    pub(super) fn set(&self, place: &Url, ticket: Option<HeaderValue>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| known != place);
        all.extend(ticket.map(|ticket| (place.clone(), ticket)));
    }

    /// The one for `url`: of the same scheme, host and port.
    pub(super) fn find(&self, url: &Url) -> Option<HeaderValue> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_its = |(place, _): &&(Url, HeaderValue)| {
            place.origin() == url.origin() && url.path().starts_with(place.path())
        };
        all.iter().find(is_its).map(|(_, ticket)| ticket.clone())
    }
}

/// All that a run has met.
#[derive(Default)]
pub(super) struct Logins(RwLock<Vec<Login>>);

/// A name and a password, and what for.
struct Login {
    /// The URL that they stood in, without them.
    url: Url,
    name: String,
    password: String,
}

impl Logins {
    /// Takes the name and password out of `url`, and remembers them where it has any. Of several for
    /// one place the first counts.
    pub(super) fn take(&self, mut url: Url) -> Url {
        let (name, password) = (decoded(url.username()), decoded(url.password().unwrap_or("")));
        if name.is_empty() && password.is_empty() {
            return url;
        }
        // Both fail for URLs that can have none.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.iter().all(|known| known.url != url) {
            all.push(Login { url: url.clone(), name, password });
        }
        url
    }

    /// The name and password for `url`: of those of its origin the ones that stood nearest above it, or
    /// else the first.
    pub(super) fn find(&self, url: &Url) -> Option<(String, String)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_its = |login: &&Login| login.url.origin() == url.origin();
        let nearness = |login: &Login| {
            // What a definition has in place of an architecture is not known yet.
            let path = login.url.path().split('$').next().unwrap_or_default();
            let is_above = url.path().starts_with(path.trim_end_matches('/'));
            is_above.then_some(path.len())
        };
        let mut own = all.iter().filter(is_its);
        let first = own.next()?;
        let mut best = first;
        for login in own {
            if nearness(login) > nearness(best) {
                best = login;
            }
        }
        Some((best.name.clone(), best.password.clone()))
    }
}

impl fmt::Debug for Logins {
    /// Shows none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Logins({})", all.len())
    }
}

/// What percent-encoded text stands for.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let hex = hex.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn login(logins: &Logins, text: &str) -> Option<String> {
        logins.find(&url(text)).map(|(name, password)| format!("{name}:{password}"))
    }

    #[test]
    fn a_login_is_for_the_scheme_host_and_port_that_it_stood_with() {
        let logins = Logins::default();
        let taken = logins.take(url("https://bob:s%40%25crt@a.example/one/$basearch/"));
        assert_eq!(taken.as_str(), "https://a.example/one/$basearch/");
        assert_eq!(login(&logins, "https://a.example/two").unwrap(), "bob:s@%crt");
        assert_eq!(login(&logins, "https://a.example:443/").unwrap(), "bob:s@%crt");
        for other in ["https://b.example/one", "http://a.example/one", "https://a.example:8443/"] {
            assert_eq!(login(&logins, other), None, "{other}");
        }
        assert_eq!(logins.take(url("https://a.example/x")).as_str(), "https://a.example/x");
        assert_eq!(format!("{logins:?}"), "Logins(1)");
    }

    #[test]
    fn of_several_the_nearest_counts_and_of_equals_the_first() {
        let logins = Logins::default();
        for text in [
            "https://a:1@h/one/",
            "https://b:2@h/one/two/",
            "https://c@h/one/",
            "https://:4@h/three/$releasever/x",
        ] {
            logins.take(url(text));
        }
        assert_eq!(login(&logins, "https://h/one/x").unwrap(), "a:1");
        assert_eq!(login(&logins, "https://h/one/two/x").unwrap(), "b:2");
        assert_eq!(login(&logins, "https://h/three/9/x").unwrap(), ":4");
        assert_eq!(login(&logins, "https://h/else").unwrap(), "a:1");
    }
}
