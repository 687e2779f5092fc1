//! What a server of files takes and its readers do not get along with: it refuses almost nothing, so this does, before
//! anything is published.

mod attributes;
mod content;
mod finding;
mod walk;

use std::collections::HashSet;
use std::path::Path;

pub(crate) use finding::{Lint, LintFinding, LintProfile, Severity};

use crate::error::Error;
use content::Needles;
use walk::Walk;

/// Looks at all that is in `directory`.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn lint(directory: &Path, profile: LintProfile) -> Result<Lint, Error> {
    let mut walk = Walk {
        profile,
        root: directory,
        needles: Needles::of(directory),
        known: HashSet::new(),
        lint: Lint::default(),
    };
    walk.start().map_err(|(path, source)| Error::File { path, source })?;
    let mut lint = walk.lint;
    lint.findings.sort_by(|one, other| (&one.path, one.rule).cmp(&(&other.path, other.rule)));
    Ok(lint)
}
