//! Whom the configuration trusts with what is written.

use super::options::config;
use crate::config::Config;
use crate::error::Error;
use crate::host::Host;
use crate::model::escape;
use crate::owned::Owners;

/// Who else than this user may own what a run writes to.
///
/// # Errors
/// When a file or a variable makes no sense, or an entry names nobody.
pub(super) fn by_files(host: &Host) -> Result<Owners, Error> {
    of(host, &config(host, None)?)
}

/// The same, by a configuration that was read.
///
/// # Errors
/// When an entry names nobody.
pub(super) fn of(host: &Host, config: &Config) -> Result<Owners, Error> {
    host.owners(&config.trusted_owners).map_err(|entry| {
        Error::Usage(format!(
            "trusted_owners: {}: write user:NAME or group:NAME of somebody known here, or user:ID, group:ID",
            escape(&entry)
        ))
    })
}
