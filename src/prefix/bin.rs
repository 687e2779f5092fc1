//! Whose the files in `PREFIX/bin` are.

use std::fs;
use std::io;
use std::path::Path;

use super::error::{PrefixError, failed};
use super::files;
use super::layout::Layout;
use crate::model::LAUNCHER_MARKER;

/// The name of the launcher, and of the programs.
pub(super) const PROGRAM_NAME: &str = "elsewhere";

/// The longest file that can be a launcher, in bytes.
pub(super) const LIMIT: u64 = 64 << 10;

/// Stands in the launcher that Apptainer's `install-unprivileged.sh` writes.
const SCRIPTS_MARKER: &str = "exec $APPTDIR/bin/apptainer";

/// Whether there is nothing at `path`, or a launcher of ours or of the script.
pub(super) fn is_replaceable(path: &Path) -> Result<bool, PrefixError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(failed("read", path)(error)),
        Ok(metadata) if metadata.is_file() => Ok(has_marker(path) || has(path, SCRIPTS_MARKER)),
        // The script links `singularity` to `apptainer`, which may be ours by now.
        Ok(metadata) if metadata.is_symlink() => {
            let target = fs::read_link(path).ok().filter(|text| text.components().count() == 1);
            let beside = target.map(|name| path.with_file_name(name));
            Ok(beside.is_some_and(|path| has_marker(&path) || has(&path, SCRIPTS_MARKER)))
        }
        Ok(_) => Ok(false),
    }
}

/// Whether a launcher that this program wrote is at `path`.
fn is_ours(path: &Path) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file && has_marker(path)
}

/// Whether the file at `path` says of itself that this program wrote it.
pub(super) fn has_marker(path: &Path) -> bool {
    has(path, LAUNCHER_MARKER)
}

/// Whether the file at `path` contains `marker`.
fn has(path: &Path, marker: &str) -> bool {
    matches!(files::read(path, LIMIT), Ok(Some(bytes))
        if bytes.windows(marker.len()).any(|window| window == marker.as_bytes()))
}

/// Removes what [`Locked::keep_program`](super::Locked::keep_program) made, from a prefix in which nothing is installed any more.
pub(super) fn discard_program(layout: &Layout) {
    if files::remove_tree(&layout.programs()).is_ok() {
        let launcher = layout.bin().join(PROGRAM_NAME);
        if is_ours(&launcher) {
            let _ = fs::remove_file(launcher);
        }
    }
}
