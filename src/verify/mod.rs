//! Holds a tree against its receipt: every file's content, mode and link target, what is missing
//! and what nobody put there. Reads; changes nothing.
//!
//! What the user may change is not damage: configuration that differs is *edited*, and files that
//! were added to `etc/` or to a directory for plugins are *added*.

mod compare;
mod error;
mod extras;
mod finding;
mod subject;

use std::path::Path;

pub(crate) use error::VerifyError;
pub(crate) use finding::{Finding, Problem};
pub(crate) use subject::Expectation;

use crate::model::{FileKind, ReceiptFile};
use crate::report::{Event, Phase, Reporter};

/// Compares a tree with its receipt. The findings are sorted by path. Several threads read at the
/// same time; progress is counted in [`Phase::Verify`].
///
/// # Errors
/// [`VerifyError`]. That a file cannot be read is a finding, not an error, but for limits of this process.
pub(crate) fn check(
    subject: &Expectation<'_>,
    reporter: &dyn Reporter,
) -> Result<Vec<Finding>, VerifyError> {
    let mut findings = check_files(subject.tree, subject.files, reporter)?;
    findings.extend(extras::find(subject, reporter)?);
    findings.sort();
    Ok(findings)
}

/// Compares `files` of the tree at `tree` with what is there.
///
/// # Errors
/// When the user stopped the run.
pub(crate) fn check_files(
    tree: &Path,
    files: &[ReceiptFile],
    reporter: &dyn Reporter,
) -> Result<Vec<Finding>, VerifyError> {
    let phase = Phase::Verify;
    let size = |file: &ReceiptFile| match file.kind {
        FileKind::File { size, .. } => size,
        _ => 0,
    };
    let total = crate::model::total(files.iter().map(size));
    reporter.event(Event::Started { phase, total: Some(total) });
    let findings = compare::all(tree, files, reporter)?;
    reporter.event(Event::Finished { phase });
    Ok(findings)
}
