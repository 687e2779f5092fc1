//! What the HTTP client says of a failure, in this program's words.

use std::error::Error;
use std::io;

use super::Reason;
use crate::tools::limits::{Limit, causes};

/// The system's error number, where an error comes from a limit of this machine.
pub(super) fn limit(error: &(dyn Error + 'static)) -> Option<i32> {
    let is_limit = |error: &&io::Error| Limit::of(error).is_some();
    let found = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).find(is_limit);
    found.and_then(io::Error::raw_os_error)
}

/// Puts a request's failure into words.
pub(super) fn reason(error: &reqwest::Error, host: String) -> Reason {
    let messages: Vec<String> = chain(error).map(ToString::to_string).collect();
    let last = innermost(error);
    if error.is_redirect() || messages.iter().any(|text| text.contains("URL scheme is not allowed"))
    {
        return Reason::Redirect(last);
    }
    let is_tls = |cause| tls_error(cause).is_some();
    if chain(error).any(is_tls) || last.starts_with("tls handshake") {
        return Reason::Tls(last);
    }
    if messages.iter().any(|text| text.contains("dns error")) {
        return Reason::Name { host };
    }
    if error.is_connect() || error.is_timeout() {
        return Reason::Connect(last);
    }
    Reason::Broken(last)
}

/// An error and its causes.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// The TLS error in `error`, however often wrapped: `io::Error` does not name what it wraps as its
/// source.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(inner) => tls_error(inner),
        None => error.downcast_ref(),
    }
}

/// The message of the innermost cause, which says the most.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_errors_are_found_however_wrapped() {
        let error = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(error));
        assert!(tls_error(&wrapped).is_some());
        assert!(tls_error(&io::Error::other("x")).is_none());
    }
}
