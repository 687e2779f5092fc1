//! Whether the launchers of a version are those that its trees need.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::base::{BIN, Standing};
use super::make::{Parts, launchers};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::making::MadeWithReceipt;
use crate::model::{Receipt, RelPath};
use crate::owned::open_to_read;
use crate::release::RUNNING;
use crate::verify::{Finding, Problem};

/// The longest file that can be a launcher, in bytes.
const LIMIT: u64 = 64 << 10;

/// What is wrong with the launchers of `version`, which follow from the receipts of its `trees`. Paths begin at the
/// version.
///
/// # Errors
/// When a receipt does not say what its tree was made with, or a directory cannot be read.
pub(crate) fn wrong_launchers(
    catalog: &Catalog,
    version: &Standing,
    trees: &[(RelPath, Receipt)],
) -> Result<Vec<Finding>, Error> {
    let mut parts = Parts::new();
    let mut problem = Problem::Launcher;
    for (path, receipt) in trees {
        let directory = directory_of(path);
        let made = MadeWithReceipt::new(catalog, receipt.clone())?;
        parts.entry(directory).or_default().push(made);
        if receipt.elsewhere != RUNNING {
            let reason = "not the launcher that this version of elsewhere writes, and a receipt says that another \
                          one did";
            problem = Problem::Unproved { reason: reason.to_owned() };
        }
    }
    let mut findings = Vec::new();
    for (directory, texts) in launchers(parts) {
        let path = format!("{directory}{BIN}");
        let bin = version.path.join(&path);
        let there = names(&bin).map_err(|source| Error::File { path: bin.clone(), source })?;
        let wrong = texts.iter().filter(|(name, text)| !is_right(&bin.join(name), text));
        findings.extend(
            wrong.map(|(name, _)| Finding {
                path: format!("{path}/{name}"),
                problem: problem.clone(),
            }),
        );
        let extra = there.into_iter().filter(|name| !texts.contains_key(name));
        findings.extend(
            extra.map(|name| Finding { path: format!("{path}/{name}"), problem: Problem::Extra }),
        );
    }
    Ok(findings)
}

/// Where the tree at `path` lies beside its launchers: `dists/DIST/`, or nothing.
#[must_use]
pub(crate) fn directory_of(path: &RelPath) -> String {
    path.parent().map_or_else(String::new, |parent| format!("{parent}/"))
}

fn names(bin: &Path) -> io::Result<BTreeSet<String>> {
    let entries = match fs::read_dir(bin) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries?,
    };
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect()
}

fn is_right(path: &Path, text: &str) -> bool {
    let read = |file: File| -> io::Result<bool> {
        let is_program = file.metadata()?.permissions().mode() & 0o555 == 0o555;
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes)?;
        Ok(is_program && bytes == text.as_bytes())
    };
    open_to_read(path).and_then(read).unwrap_or(false)
}
