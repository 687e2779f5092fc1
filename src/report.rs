//! What stages tell while they work. Stages emit [`Event`]s; [`crate::terminal`] draws them.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

/// A part of the work that has its own progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Repository metadata: counted in repositories.
    Metadata,
    /// Package files: counted in bytes.
    Download,
    /// Payloads: counted in bytes of installed files.
    Unpack,
    /// Relocation and audit: counted in files.
    Relocate,
    /// Running what was made: counted in programs.
    Test,
    /// Holding a tree against its receipt: counted in bytes.
    Verify,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A phase begins.
    Started {
        /// Which.
        phase: Phase,
        /// Units of work, where known.
        total: Option<u64>,
    },
    /// Work was done.
    Advanced {
        /// In which phase.
        phase: Phase,
        /// Units of work.
        by: u64,
    },
    /// Of the work done, so much needed no doing: it was in the cache.
    Cached {
        /// In which phase.
        phase: Phase,
        /// Units of work.
        by: u64,
    },
    /// A phase ended well.
    Finished {
        /// Which.
        phase: Phase,
    },
    /// A decision that the user may want to know.
    Note {
        /// In one sentence.
        message: String,
    },
    /// Something is not as it should be, and the run goes on. Shown again at the end.
    Warning {
        /// In one sentence.
        message: String,
    },
    /// A request failed and is tried again, or elsewhere. Shown with `-e`.
    Retry {
        /// The URL that failed.
        url: String,
        /// Why.
        reason: String,
    },
    /// Detail for `--verbose`.
    Detail {
        /// In one sentence.
        message: String,
    },
}

/// Where events go. Shared by all threads of a run.
pub trait Reporter: Sync {
    /// Takes one event.
    fn event(&self, event: Event);

    /// Whether the user asked to stop. Stages look between pieces of work and return early.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// [`Event::Note`].
    fn note(&self, message: String) {
        self.event(Event::Note { message });
    }

    /// [`Event::Warning`].
    fn warning(&self, message: String) {
        self.event(Event::Warning { message });
    }

    /// [`Event::Detail`].
    fn detail(&self, message: String) {
        self.event(Event::Detail { message });
    }

    /// [`Event::Advanced`].
    fn advanced(&self, phase: Phase, by: u64) {
        self.event(Event::Advanced { phase, by });
    }
}

/// Takes events and shows nothing.
#[derive(Debug, Default)]
pub struct Silent {
    /// Set to stop the run.
    pub cancelled: AtomicBool,
}

impl Reporter for Silent {
    fn event(&self, _: Event) {}

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
