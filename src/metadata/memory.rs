//! What a prefix knows of repositories, and what a run learns of them: whoever's cache is used, nobody takes
//! a prefix back in time.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::model::{Sighting, Sightings};

/// What is known, and what is learnt.
#[derive(Debug, Default)]
pub struct Memory {
    known: Sightings,
    allows_downgrade: bool,
    learnt: Mutex<Sightings>,
}

impl Memory {
    /// A memory of what is `known`; whether the user lets older metadata in.
    #[must_use]
    pub fn new(known: Sightings, allows_downgrade: bool) -> Self {
        Self { known, allows_downgrade, learnt: Mutex::default() }
    }

    /// Whether older metadata are let in, and such as less vouches for.
    pub(super) fn allows_downgrade(&self) -> bool {
        self.allows_downgrade
    }

    /// What is known of a repository.
    pub(super) fn known(&self, name: &str) -> Option<&Sighting> {
        self.known.get(name)
    }

    pub(super) fn learn(&self, name: String, sighting: Sighting) {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner).insert(name, sighting);
    }

    /// All that was believed since.
    #[must_use]
    pub fn learnt(&self) -> Sightings {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The newest metadata of a repository that was believed, as the cache notes it.
#[derive(Serialize, Deserialize)]
pub(super) struct Seen {
    /// The newest time in `repomd.xml`, in seconds since 1970.
    pub(super) timestamp: u64,
    /// The repository's own name of that state, for people.
    pub(super) revision: String,
    /// Whether a signature or a metalink vouched for it.
    pub(super) is_anchored: bool,
    /// The way on which a metalink did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metalink: Option<String>,
}

/// A number of seconds, for people.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..=7199 => format!("{} minutes", seconds.div_ceil(60)),
        7200..=172_799 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
