//! What stages tell while they work. Stages emit [`Event`]s; [`crate::terminal`] draws them.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
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
    /// Giving to a registry: counted in bytes.
    Upload,
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

/// A piece of work that is over. `--trace` records it.
#[derive(Clone, Debug)]
pub struct Span {
    /// Which work, in a word or two.
    pub name: &'static str,
    /// On what, and what came of it: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// When it began.
    pub began: Instant,
    /// By the clock.
    pub took: Duration,
    /// Of the processors, by the thread that did it: the rest of the time it waited, or others worked.
    pub worked: Duration,
}

/// Measures a piece of work until it is dropped, by the thread that began it. Costs nothing where nobody
/// records it.
pub(crate) struct Measuring<'r> {
    reporter: &'r dyn Reporter,
    name: &'static str,
    facts: Vec<(&'static str, String)>,
    /// By the clock, and by what this thread had of the processors.
    began: Option<(Instant, Duration)>,
}

impl Measuring<'_> {
    /// Adds what is known now.
    pub(crate) fn add(&mut self, name: &'static str, value: impl Display) {
        if self.began.is_some() {
            self.facts.push((name, value.to_string()));
        }
    }
}

impl Drop for Measuring<'_> {
    fn drop(&mut self) {
        let Some((began, worked)) = self.began else { return };
        self.reporter.span(Span {
            name: self.name,
            facts: std::mem::take(&mut self.facts),
            began,
            took: began.elapsed(),
            worked: thread_time().saturating_sub(worked),
        });
    }
}

/// What this thread had of the processors so far.
fn thread_time() -> Duration {
    // Neither part is negative.
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// Where events go. Shared by all threads of a run.
pub trait Reporter: Sync {
    /// Takes one event.
    fn event(&self, event: Event);

    /// Whether the user asked to stop. Stages look between pieces of work and return early.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// Whether somebody records how long pieces of work take.
    fn is_recording(&self) -> bool {
        false
    }

    /// Takes a piece of work that is over.
    fn span(&self, _: Span) {}

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

impl dyn Reporter + '_ {
    /// Begins a piece of work called `name`.
    pub(crate) fn measure(&self, name: &'static str) -> Measuring<'_> {
        let began = self.is_recording().then(|| (Instant::now(), thread_time()));
        Measuring { reporter: self, name, facts: Vec::new(), began }
    }

    /// The same, on `what`.
    pub(crate) fn measure_on(&self, name: &'static str, what: impl Display) -> Measuring<'_> {
        let mut measuring = self.measure(name);
        measuring.add("of", what);
        measuring
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
