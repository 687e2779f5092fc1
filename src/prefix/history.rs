//! Which generation of an architecture was live from when.

use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::PrefixError;
use super::files;
use super::layout::Layout;
use crate::model::Arch;

/// The version of the history's format that this program writes.
const FORMAT: u32 = 1;

/// Far more than any prefix has: a bound for damaged files, in bytes.
const LIMIT: u64 = 16 << 20;

/// A generation became live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Its number.
    pub generation: u32,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// Every activation of one architecture, oldest first. `history.json` holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct History {
    format: u32,
    /// The highest number that was ever given: numbers are not used twice, because other machines
    /// may still have the old symlink in their caches.
    pub(super) highest: u32,
    /// Oldest first; the last one is live, or about to become so.
    pub(super) activations: Vec<Activation>,
    /// The number of the last one while the link is not known to lead there: it never lived, if a run
    /// was killed in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<u32>,
    /// The number of the one that is being deleted where it lies: it is not whole any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) leaving: Option<u32>,
    /// When the link was removed, in seconds since 1970; `None` while the last one is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) removed_at: Option<u64>,
}

impl History {
    /// Nothing was live yet.
    pub(super) fn new() -> Self {
        Self {
            format: FORMAT,
            highest: 0,
            activations: Vec::new(),
            pending: None,
            leaving: None,
            removed_at: None,
        }
    }

    /// Reads the history of `arch`: empty when there is none.
    pub(super) fn load(layout: &Layout, arch: Arch) -> Result<Self, PrefixError> {
        let path = layout.history(arch);
        let Some(bytes) = files::read(&path, LIMIT)? else {
            return Ok(Self::new());
        };
        let history: Self = serde_json::from_slice(&bytes).map_err(|error| {
            PrefixError::Damaged { path: path.clone(), problem: error.to_string() }
        })?;
        match history.format {
            0..=FORMAT => Ok(history),
            format => Err(PrefixError::NewerFormat { path, format }),
        }
    }

    /// Replaces the file in one step, durably.
    pub(super) fn save(&self, layout: &Layout, arch: Arch) -> Result<(), PrefixError> {
        let path = layout.history(arch);
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| PrefixError::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        files::write(&path, &bytes, 0o644, &layout.staging())
    }

    /// Adds that `generation` becomes live now, unless it is the last already.
    pub(super) fn add(&mut self, generation: u32) {
        self.highest = self.highest.max(generation);
        self.removed_at = None;
        if self.activations.last().is_none_or(|last| last.generation != generation) {
            self.activations.push(Activation { generation, at: now() });
        }
    }

    /// Takes the last activation back: it did not come to pass, or failed.
    pub(super) fn take_back(&mut self) {
        self.pending = None;
        self.activations.pop();
    }

    /// Whether `generation` was ever live.
    pub(super) fn knows(&self, generation: u32) -> bool {
        self.activations.iter().any(|activation| activation.generation == generation)
    }

    /// When `generation` ceased to be live for the last time: when the one after it became so.
    /// `None` when it never was live, or is live.
    pub(super) fn retired_at(&self, generation: u32) -> Option<u64> {
        let last = self.activations.iter().rposition(|entry| entry.generation == generation)?;
        self.activations.get(last + 1).map_or(self.removed_at, |next| Some(next.at))
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
