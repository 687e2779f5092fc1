//! The small TOML files that stay with a prefix and say what no generation does.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::PrefixError;
use super::files;
use crate::model::{TomlProblem, read_toml};

/// Far more than any prefix has: a bound for damaged files, in bytes.
const LIMIT: u64 = 1 << 20;

/// Such a file: a number of its format, and what is told in it.
pub(super) struct KeptFile {
    pub(super) path: PathBuf,
    /// The version of the format that this program writes: it is read first, alone.
    pub(super) format: u32,
    /// What to do about a damaged one.
    pub(super) remedy: &'static str,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl KeptFile {
    /// What is in it, where it is there.
    ///
    /// # Errors
    /// When it cannot be read, makes no sense, or is one of a newer version of this program.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, PrefixError> {
        let Some(bytes) = files::read(&self.path, LIMIT)? else { return Ok(None) };
        let text = str::from_utf8(&bytes).map_err(|error| self.damaged(error.to_string()))?;
        let damaged = |problem: TomlProblem| self.damaged(problem.message);
        let FormatOnly { format } = read_toml(text).map_err(damaged)?;
        if format > self.format {
            return Err(PrefixError::NewerFormat { path: self.path.clone(), format });
        }
        read_toml(text).map(Some).map_err(damaged)
    }

    /// Replaces it in one step, durably.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub(super) fn write(&self, told: &impl Serialize, staging: &Path) -> Result<(), PrefixError> {
        let text = toml::to_string(told).map_err(|error| self.damaged(error.to_string()))?;
        files::write(&self.path, text.as_bytes(), 0o644, staging)
    }

    fn damaged(&self, problem: String) -> PrefixError {
        PrefixError::DamagedFile { path: self.path.clone(), problem, remedy: self.remedy }
    }
}
