//! What downloads depend on: proxies, and certificate authorities.

use super::explain::at;
use super::{Observation, State, Subject};
use crate::tools::network::Way;

/// Where distributions keep the certificates of authorities.
const CERTIFICATES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

/// The check `network`. Connects to nothing.
pub(super) fn observe(subject: &Subject) -> Vec<Observation> {
    const CHECK: &str = "network";
    let limited = |cause, which: &str, evidence: String| {
        vec![Observation::new(CHECK, State::Limited, evidence).because(cause).with("which", which)]
    };
    let way = Way::new(subject.network_variables.clone());
    if let Err(unusable) = way.check_certificates() {
        let evidence = format!("{} {}", unusable.variable, unusable.problem);
        return limited("certificates-variable", unusable.variable, evidence);
    }
    let mut proxies = Vec::new();
    for scheme in ["https", "http"] {
        match way.standing_proxy(scheme) {
            Ok(None) => {}
            Ok(Some(proxy)) => proxies.push(format!("{scheme} by {proxy:?}")),
            // Its value is not shown: it may hold a password.
            Err(unusable) => {
                let evidence = format!("{} {}", unusable.variable, unusable.problem);
                return limited("proxy-malformed", unusable.variable, evidence);
            }
        }
    }
    let named = way.names_certificates();
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
