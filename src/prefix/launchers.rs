//! Writing and removing the launchers in `PREFIX/bin`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::bin::{LIMIT, PROGRAM_NAME, has_marker, is_replaceable};
use super::error::{PrefixError, failed};
use super::{Locked, Prefix, files};

impl Prefix {
    /// The names among `launchers`, texts by name, whose files in `PREFIX/bin` are not just that; with
    /// `keeps_modes` false, their owner being able to run them is enough.
    ///
    /// # Errors
    /// When a name cannot be a launcher's.
    pub fn wrong_launchers(
        &self,
        launchers: &BTreeMap<String, String>,
        keeps_modes: bool,
    ) -> Result<Vec<String>, PrefixError> {
        let mut wrong = Vec::new();
        for (name, text) in launchers {
            if !is_right(&self.launcher(name)?, text, keeps_modes) {
                wrong.push(name.clone());
            }
        }
        Ok(wrong)
    }

    /// The names of what else is in `PREFIX/bin` than `launchers`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn foreign_launchers(
        &self,
        launchers: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, PrefixError> {
        let bin = self.layout.bin();
        let mut foreign = Vec::new();
        let there = match fs::read_dir(&bin) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(foreign),
            there => there.map_err(failed("read", &bin))?,
        };
        for entry in there {
            let name = entry.map_err(failed("read", &bin))?.file_name();
            if name.to_str().is_none_or(|name| !launchers.contains_key(name)) {
                foreign.push(name.to_string_lossy().into_owned());
            }
        }
        foreign.sort();
        Ok(foreign)
    }

    /// The path of the launcher `name`, which must be a plain file name.
    fn launcher(&self, name: &str) -> Result<PathBuf, PrefixError> {
        let path = self.layout.bin().join(name);
        match name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            true => Err(PrefixError::Foreign { path }),
            false => Ok(path),
        }
    }
}

impl Locked {
    /// Writes launchers, texts by name. Files that are right already are not touched. Written
    /// before the first swap, a launcher serves every generation.
    ///
    /// # Errors
    /// [`PrefixError::Foreign`], before anything is written, when a file of that name is not ours;
    /// or that the prefix cannot be written.
    pub fn write_launchers(&self, launchers: &BTreeMap<String, String>) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let mut wanted = Vec::new();
        for (name, text) in launchers {
            let path = self.launcher(name)?;
            if !is_replaceable(&path)? {
                return Err(PrefixError::Foreign { path });
            }
            wanted.push((path, text));
        }
        for (path, text) in wanted {
            if !is_right(&path, text, true) {
                files::write(&path, text.as_bytes(), 0o755, &self.layout.staging())?;
            }
        }
        Ok(())
    }

    /// Removes our launchers whose names are not in `keep`: those of runtimes that no live
    /// generation has. Other files stay, and so does `elsewhere` itself.
    ///
    /// # Errors
    /// When the prefix cannot be read or written.
    pub fn remove_launchers(&self, keep: &[&str]) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let bin = self.layout.bin();
        for entry in fs::read_dir(&bin).map_err(failed("read", &bin))? {
            let entry = entry.map_err(failed("read", &bin))?;
            let is_kept = entry
                .file_name()
                .to_str()
                .is_some_and(|name| name == PROGRAM_NAME || keep.contains(&name));
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if !is_kept && is_file && has_marker(&entry.path()) {
                fs::remove_file(entry.path()).map_err(failed("remove", &entry.path()))?;
            }
        }
        files::sync_directory(&bin)
    }
}

/// Whether the launcher needs no change.
fn is_right(path: &Path, text: &str, keeps_modes: bool) -> bool {
    let (bits, wanted) = if keeps_modes { (0o777, 0o755) } else { (0o500, 0o500) };
    let is_executable = fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & bits == wanted);
    is_executable && matches!(files::read(path, LIMIT), Ok(Some(bytes)) if bytes == text.as_bytes())
}
