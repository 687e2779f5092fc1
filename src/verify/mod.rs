//! Holds a tree against its receipt: every file's content, mode and link target, what is missing
//! and what nobody put there. Reads; changes nothing.
//!
//! What the user may change is not damage: configuration that differs is *edited*, and files that
//! were added to `etc/` or to a directory for plugins are *added*. What whoever published a tree set there is *set*.

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
    if !subject.set.is_empty() {
        let since = compare::all(subject.tree, subject.set, reporter)?;
        replace_set(subject.set, since, &mut findings);
    }
    findings.extend(extras::find(subject, reporter)?);
    findings.sort();
    Ok(findings)
}

/// What was set replaces what packages brought: such files are what they were set to, but for those that changed `since`.
fn replace_set(set: &[ReceiptFile], since: Vec<Finding>, findings: &mut Vec<Finding>) {
    let is_set = |path: &str| set.iter().any(|file| file.path.as_str() == path);
    findings.retain(|finding| !is_set(&finding.path));
    let files = set.iter().filter(|file| matches!(file.kind, FileKind::File { .. }));
    let as_set = files.map(|file| file.path.as_str().to_owned());
    let as_set = as_set.filter(|path| since.iter().all(|finding| finding.path != *path));
    findings.extend(as_set.map(|path| Finding { path, problem: Problem::Set }));
    findings.extend(since);
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
