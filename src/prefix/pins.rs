//! Pins: the versions that the user wants runtimes to stay at.

use serde::{Deserialize, Serialize};

use super::error::PrefixError;
use super::kept::KeptFile;
use super::layout::Layout;
use super::{Locked, Prefix, files};
use crate::model::Pins;

/// The version of the format that this program writes.
const FORMAT: u32 = 1;

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
        let file: Option<PinFile> = kept_file(&self.layout).read()?;
        Ok(file.map(|file| file.runtimes).unwrap_or_default())
    }
}

impl Locked {
    /// Replaces all pins, in one step, durably.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub fn set_pins(&self, pins: &Pins) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let kept = kept_file(&self.layout);
        if pins.is_empty() {
            return files::remove_file(&kept.path);
        }
        let file = PinFile { format: FORMAT, runtimes: pins.clone() };
        kept.write(&file, &self.layout.staging())
    }
}

fn kept_file(layout: &Layout) -> KeptFile {
    KeptFile {
        path: layout.pins(),
        format: FORMAT,
        remedy: "correct it, or delete it and pin again: nothing else is in it",
    }
}
