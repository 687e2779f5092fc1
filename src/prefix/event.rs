//! What a journal is made of: a line for every event.

use serde::{Deserialize, Serialize};

/// The version of the lines' format that this program writes.
pub(super) const FORMAT: u32 = 1;

/// What happened, or is about to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event {
    /// The link is about to be turned to this generation.
    Begun {
        /// Its number.
        generation: u32,
    },
    /// The link leads to this generation.
    Activated {
        /// Its number.
        generation: u32,
    },
    /// A generation that was begun does not become live, or fails and is about to be taken back.
    Withdrawn {
        /// Its number.
        generation: u32,
        /// Where the link leads instead; nowhere where there is none.
        to: Option<u32>,
    },
    /// The link is about to be removed.
    Removed,
    /// A generation is about to be deleted where it lies: it is not whole any more.
    Leaving {
        /// Its number.
        generation: u32,
    },
    /// The journal does not tell all: these generations may have been live until now, and which of them
    /// was live is not known.
    Assumed {
        /// Their numbers.
        generations: Vec<u32>,
    },
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    /// What happened.
    #[serde(flatten)]
    pub(super) event: Event,
    /// When, in seconds since 1970.
    pub(super) at: u64,
    /// The highest number that was ever given: numbers are not used twice, because other machines may
    /// still have the old symlink in their caches.
    pub(super) highest: u32,
}

impl Record {
    /// A line of this version.
    pub(super) fn new(event: Event, at: u64, highest: u32) -> Self {
        Self { format: FORMAT, event, at, highest }
    }
}

/// The lines of a journal, as far as they were written to their end; `None` is one that makes no sense.
pub(super) type Lines = Vec<Option<Record>>;
