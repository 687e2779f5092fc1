//! Starts programs of a tree, and the loader for them.

use std::process::Command;
use std::time::Duration;

use super::SmokeError;
use crate::report::Reporter;
use crate::tools::programs::{self, Finished, Listen, Patience};

/// Runs `command`, `shown` for people, for at most `limit`, and keeps all that it writes.
pub(super) fn start(
    command: Command,
    shown: &str,
    limit: Duration,
    reporter: &dyn Reporter,
) -> Result<Finished, SmokeError> {
    let is_cancelled = || reporter.is_cancelled();
    let patience = Patience { time: limit, is_cancelled: &is_cancelled };
    programs::run(command, Listen::Both, patience)
        .map_err(|source| SmokeError::Start { command: shown.to_owned(), source })
}
