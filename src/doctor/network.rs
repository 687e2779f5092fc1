//! What downloads depend on: proxies, and certificate authorities.

use std::ffi::OsStr;
use std::path::Path;

use super::explain::at;
use super::{Observation, State, Subject};
use crate::model::escape;

/// Where distributions keep the certificates of authorities.
const CERTIFICATES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

/// Schemes of proxies that this program speaks to.
const PROXY_SCHEMES: [&str; 2] = ["http://", "https://"];

/// The check `network`. Connects to nothing.
pub(super) fn observe(subject: &Subject) -> Vec<Observation> {
    const CHECK: &str = "network";
    let limited = |cause, which: &str, evidence: String| {
        vec![Observation::new(CHECK, State::Limited, evidence).because(cause).with("which", which)]
    };
    let mut proxies = Vec::new();
    for (name, value) in &subject.network_variables {
        if name.starts_with("SSL_CERT_") {
            if !Path::new(value).exists() {
                let evidence = format!("{name} names {}", escape(&value.to_string_lossy()));
                return limited("certificates-variable", name, evidence);
            }
        } else if name.eq_ignore_ascii_case("no_proxy") {
            continue;
        } else if let Some(place) = proxy_place(value) {
            proxies.push(format!("{name} is {place}"));
        } else {
            // Not shown: it may hold a password.
            return limited("proxy-malformed", name, format!("{name} is no http or https URL"));
        }
    }
    let named = subject.network_variables.iter().any(|(name, _)| name.starts_with("SSL_CERT_"));
    let found = CERTIFICATES.into_iter().find(|path| at(&subject.root, path).is_file());
    if !named && found.is_none() {
        let evidence = "no file of certificates where distributions keep it";
        return limited("certificates-missing", "", evidence.to_owned());
    }
    let certificates = match found {
        Some(path) if !named => format!("certificates in {path}"),
        _ => "certificates as SSL_CERT_FILE or SSL_CERT_DIR says".to_owned(),
    };
    let proxies = if proxies.is_empty() { "no proxy".to_owned() } else { proxies.join(", ") };
    vec![Observation::new(CHECK, State::Ok, format!("{proxies}; {certificates}"))]
}

/// A proxy's host and port, without a user's name and password. `None` when it cannot be one.
fn proxy_place(value: &OsStr) -> Option<String> {
    let text = value.to_str()?;
    let rest = match text.split_once("://") {
        Some(_) => PROXY_SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme))?,
        None => text,
    };
    let host = rest.rsplit('@').next()?.trim_end_matches('/');
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || ".-_:[]".contains(character);
    (!host.is_empty() && host.chars().all(is_plain)).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_shown_without_passwords() {
        let place = |text: &str| proxy_place(OsStr::new(text));
        assert_eq!(place("http://ann:secret@proxy.example:3128/").unwrap(), "proxy.example:3128");
        assert_eq!(place("proxy:80").unwrap(), "proxy:80");
        assert_eq!(place("socks5://proxy:80"), None);
        assert_eq!(place("http://a b"), None);
        assert_eq!(place(""), None);
    }
}
