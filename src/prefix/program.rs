//! The program `elsewhere` itself, kept in the prefix for each architecture that it was run on, so
//! that `PREFIX/bin/elsewhere` works without whatever brought it here.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::bin::PROGRAM_NAME;
use super::error::failed;
use super::layout::Layout;
use super::{Locked, PrefixError, files};
use crate::model::Arch;

/// Larger than any build of the program: a bound, in bytes.
const LIMIT: u64 = 1 << 30;

impl Locked {
    /// Keeps a copy of `program`, which is for `arch` and runs wherever that does. `launcher` makes
    /// the text of `PREFIX/bin/elsewhere` from the directory, below the prefix, that holds
    /// `ARCH/elsewhere` for each architecture. What is right already is not touched.
    ///
    /// # Errors
    /// [`PrefixError::Foreign`] when `PREFIX/bin/elsewhere` is not ours; or that `program` cannot be
    /// read, or the prefix cannot be written.
    pub fn keep_program(
        &self,
        arch: Arch,
        program: &Path,
        launcher: impl Fn(&str) -> String,
    ) -> Result<(), PrefixError> {
        let directory = self.layout.programs();
        let kept = directory.join(arch.as_str()).join(PROGRAM_NAME);
        let bytes = files::read(program, LIMIT)?
            .ok_or_else(|| failed("read", program)(std::io::ErrorKind::NotFound.into()))?;
        let is_executable = fs::symlink_metadata(&kept)
            .is_ok_and(|kept| kept.is_file() && kept.permissions().mode() & 0o777 == 0o755);
        if !is_executable || files::read(&kept, LIMIT)?.is_none_or(|kept| kept != bytes) {
            files::make_directories(&directory.join(arch.as_str()))?;
            files::write(&kept, &bytes, 0o755, &self.layout.staging())?;
        }
        let text = launcher(&Layout::programs_text().to_string_lossy());
        self.write_launchers(&BTreeMap::from([(PROGRAM_NAME.to_owned(), text)]))
    }
}
