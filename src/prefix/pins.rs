//! Pins: the versions that the user wants runtimes to stay at.

use serde::{Deserialize, Serialize};

use super::error::PrefixError;
use super::{Locked, Prefix, files};
use crate::model::{Pins, read_toml};

/// The version of the format that this program writes.
const FORMAT: u32 = 1;

/// Far more than any prefix has: a bound for damaged files, in bytes.
const LIMIT: u64 = 1 << 20;

/// `pins.toml`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinFile {
    format: u32,
    #[serde(default)]
    runtimes: Pins,
}

impl Prefix {
    /// Every pin. Needs no lock.
    ///
    /// # Errors
    /// When the file cannot be read or makes no sense: what the user pinned must not move because
    /// of that.
    pub fn pins(&self) -> Result<Pins, PrefixError> {
        let path = self.layout.pins();
        let Some(bytes) = files::read(&path, LIMIT)? else { return Ok(Pins::new()) };
        let damaged = |problem| PrefixError::DamagedPins { path: path.clone(), problem };
        let text = str::from_utf8(&bytes).map_err(|error| damaged(error.to_string()))?;
        let file: PinFile = read_toml(text).map_err(|problem| damaged(problem.message))?;
        match file.format {
            0..=FORMAT => Ok(file.runtimes),
            format => Err(PrefixError::NewerFormat { path, format }),
        }
    }
}

impl Locked {
    /// Replaces all pins, in one step, durably.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub fn set_pins(&self, pins: &Pins) -> Result<(), PrefixError> {
        let path = self.layout.pins();
        if pins.is_empty() {
            return files::remove_file(&path);
        }
        let file = PinFile { format: FORMAT, runtimes: pins.clone() };
        let text = toml::to_string(&file).map_err(|error| PrefixError::DamagedPins {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        files::write(&path, text.as_bytes(), 0o644, &self.layout.staging())
    }
}
