//! Finds what is in a tree and not in its receipt.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use super::{Expectation, Finding, Problem, VerifyError};
use crate::model::CONFIG_DIRECTORY;
use crate::report::Reporter;

/// Findings about what nobody listed. Of a directory that is not listed, itself alone.
pub(super) fn find(
    subject: &Expectation<'_>,
    reporter: &dyn Reporter,
) -> Result<Vec<Finding>, VerifyError> {
    let listed = subject.files.iter().chain(subject.set);
    let listed: HashSet<&Path> = listed.map(|file| file.path.as_path()).collect();
    let mut findings = Vec::new();
    let mut ahead = vec![PathBuf::new()];
    while let Some(directory) = ahead.pop() {
        if reporter.is_cancelled() {
            return Err(VerifyError::Cancelled);
        }
        let shown = subject.tree.join(&directory);
        let failed = |source| VerifyError::Read { path: shown.clone(), source };
        for entry in fs::read_dir(&shown).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = directory.join(entry.file_name());
            let is_directory = entry.file_type().map_err(failed)?.is_dir();
            if listed.contains(path.as_path()) {
                ahead.extend(is_directory.then_some(path));
            } else if !is_own(subject, &path, &entry) {
                findings.push(extra(subject, &path));
            }
        }
    }
    Ok(findings)
}

/// Whether it is the receipt, or what belongs to that. A directory of such a name could hold anything.
fn is_own(subject: &Expectation<'_>, path: &Path, entry: &DirEntry) -> bool {
    let is_named = subject.own_names.iter().any(|name| path == Path::new(name));
    is_named && entry.file_type().is_ok_and(|kind| kind.is_file())
}

fn extra(subject: &Expectation<'_>, path: &Path) -> Finding {
    let is_users = path.starts_with(CONFIG_DIRECTORY)
        || subject.plugin_directories.iter().any(|plugins| path.starts_with(plugins));
    let problem = if is_users { Problem::Added } else { Problem::Extra };
    Finding { path: path.to_string_lossy().into_owned(), problem }
}
