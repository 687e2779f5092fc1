//! From a release's place to a new program in the place of the one that runs.

use std::cmp::Ordering;
use std::path::Path;

use super::{Release, ReleaseError, SIGNATURE, SUMS};
use crate::fetch::{self, Fetcher};
use crate::model::Arch;
use crate::report::Phase;

/// Most bytes of a list of files, and of its signature.
const SUMS_LIMIT: u64 = 64 << 10;

/// The release at the URL `base`, signed by `key`; `None` where it is the version `running`.
///
/// # Errors
/// When it cannot be fetched, its signature is not good, or it is older.
pub fn newer_release(
    fetcher: &Fetcher<'_>,
    base: &str,
    key: &str,
    running: &str,
) -> Result<Option<Release>, ReleaseError> {
    let sums = fetcher.document(&fetch::join(base, SUMS), SUMS_LIMIT)?;
    let signature = fetcher.document(&fetch::join(base, SIGNATURE), SUMS_LIMIT)?;
    let release = super::verify(key, &sums, &signature)?;
    match release.compare(running) {
        Ordering::Greater => Ok(Some(release)),
        Ordering::Equal => Ok(None),
        Ordering::Less => Err(ReleaseError::Older {
            offered: release.version().to_owned(),
            running: running.to_owned(),
        }),
    }
}

/// Replaces `program`, which is for `arch`, by that of `release`, which is at the URL `base`.
///
/// # Errors
/// When it cannot be fetched, is not what the release says, does not run, or `program` cannot be
/// replaced.
pub fn replace_program(
    fetcher: &Fetcher<'_>,
    base: &str,
    release: &Release,
    arch: Arch,
    program: &Path,
) -> Result<(), ReleaseError> {
    let (name, checksum) = release.program(arch)?;
    let urls = [fetch::join(base, &name)];
    let fetched = fetcher.content(&urls, checksum, None, Some(Phase::Download))?;
    super::replace(program, &fetched, release.version())
}
