//! Trees that Apptainer's `install-unprivileged.sh` made: what is known of them without a receipt.

use std::fs;
use std::io;
use std::path::Path;

use super::error::{PrefixError, failed};
use crate::model::{
    Algorithm, Arch, Checksum, FileKind, PlannedRuntime, RECEIPT_FORMAT, Receipt, ReceiptFile,
    RelPath,
};

/// The number of an adopted tree.
pub(super) const ADOPTED: u32 = 0;

/// The runtime that the script installs.
pub(super) const RUNTIME: &str = "apptainer";

/// What stands for a version that nobody wrote down.
const UNKNOWN: &str = "unknown";

/// What is known of an adopted tree: its programs. Configuration that is not listed counts as the
/// user's own, so that none is lost.
pub(super) fn receipt(arch: Arch, tree: &Path) -> Result<Receipt, PrefixError> {
    let bin = tree.join("bin");
    let mut programs = Vec::new();
    for entry in fs::read_dir(&bin).map_err(failed("read", &bin))? {
        let path = entry.map_err(failed("read", &bin))?.path();
        programs.extend(program(&path).map_err(failed("read", &path))?);
    }
    programs.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Receipt {
        format: RECEIPT_FORMAT,
        arch,
        dist: UNKNOWN.to_owned(),
        disabled_repositories: Vec::new(),
        enabled_repositories: Vec::new(),
        runtimes: vec![PlannedRuntime { name: RUNTIME.to_owned(), version: UNKNOWN.to_owned() }],
        installed_at: 0,
        without_modes: false,
        elsewhere: UNKNOWN.to_owned(),
        glibc_needed: None,
        sources: Vec::new(),
        packages: Vec::new(),
        files: programs,
        set: Vec::new(),
        loading: None,
        reuse: None,
        made_with: None,
        container: None,
    })
}

/// A file or symlink in the tree's `bin`; `None` for anything else.
fn program(path: &Path) -> io::Result<Option<ReceiptFile>> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(place) = name.and_then(|name| RelPath::new(&format!("bin/{name}")).ok()) else {
        return Ok(None);
    };
    let metadata = fs::symlink_metadata(path)?;
    let kind = if metadata.is_symlink() {
        FileKind::Symlink { target: fs::read_link(path)?.to_string_lossy().into_owned() }
    } else if metadata.is_file() {
        let (checksum, size) = Checksum::of_reader(Algorithm::Sha256, fs::File::open(path)?)?;
        FileKind::File { size, checksum, packaged: None }
    } else {
        return Ok(None);
    };
    Ok(Some(ReceiptFile { path: place, kind, mode: 0o755, package: None, config: false }))
}
