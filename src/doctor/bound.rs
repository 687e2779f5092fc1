//! The files of the host that runtimes bind into containers.

use std::fs::File;

use super::explain::at;
use super::{Observation, State, Subject};

/// The checks `hosts`, `localtime` and `resolv-conf`.
pub(super) fn observe(subject: &Subject) -> Vec<Observation> {
    vec![
        file(subject, "hosts", "/etc/hosts", "hosts-missing"),
        file(subject, "localtime", "/etc/localtime", "localtime-missing"),
        file(subject, "resolv-conf", "/etc/resolv.conf", "resolv-missing"),
    ]
}

/// Whether a file can be read: what can be, can be bound.
fn file(subject: &Subject, check: &'static str, path: &str, cause: &'static str) -> Observation {
    match File::open(at(&subject.root, path)) {
        Ok(_) => Observation::new(check, State::Ok, format!("{path} is there")),
        Err(error) => {
            let error = super::namespaces::error(error.raw_os_error().unwrap_or(-1));
            let evidence = format!("{path} cannot be read: {error}");
            Observation::new(check, State::Limited, evidence).because(cause)
        }
    }
}
