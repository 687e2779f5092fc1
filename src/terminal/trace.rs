//! A record of what took how long, in the form that browsers' and Perfetto's viewers read:
//! <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU> ("Trace Event
//! Format", its JSON object format).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::report::{Event, Phase, Span};

/// What happened so far.
pub(super) struct Trace {
    began: Instant,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    events: Vec<Value>,
    /// Threads in the order in which they were met, from 1.
    threads: HashMap<ThreadId, usize>,
}

/// All happens in one process, as viewers see it.
const PROCESS: u32 = 1;

impl Trace {
    /// Begins one, by the thread that runs the command.
    pub(super) fn new() -> Self {
        let trace = Self { began: Instant::now(), record: Mutex::default() };
        trace.with(|record| record.thread());
        trace
    }

    /// Takes a piece of work that is over; the calling thread did it.
    pub(super) fn add(&self, span: Span) {
        let facts: Map<String, Value> =
            span.facts.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let (began, took) = (self.micros(span.began), micros(span.took));
        self.with(|record| {
            let thread = record.thread();
            record.events.push(json!({
                "ph": "X", "cat": "work", "name": span.name, "pid": PROCESS, "tid": thread,
                "ts": began, "dur": took, "tdur": micros(span.worked), "args": facts,
            }));
        });
    }

    /// Takes what is told of: phases as such, words as marks.
    pub(super) fn tell(&self, event: &Event) {
        let now = self.micros(Instant::now());
        let phase =
            |ph: &str, phase: &Phase| json!({"ph": ph, "cat": "phase", "name": phase, "id": phase});
        let mark = |name: &str, message: &str| json!({"ph": "i", "s": "t", "cat": "told", "name": name, "args": {"message": message}});
        let mut value = match event {
            Event::Started { phase: which, .. } => phase("b", which),
            Event::Finished { phase: which } => phase("e", which),
            Event::Note { message } => mark("note", message),
            Event::Warning { message } => mark("warning", message),
            Event::Detail { message } => mark("detail", message),
            Event::Retry { url, reason } => mark("retry", &format!("{url}: {reason}")),
            Event::Advanced { .. } | Event::Cached { .. } => return,
        };
        self.with(|record| {
            value["pid"] = PROCESS.into();
            value["tid"] = record.thread().into();
            value["ts"] = now.into();
            record.events.push(value);
        });
    }

    /// All of it, as a document.
    pub(super) fn document(&self) -> Value {
        let events = self.with(|record| std::mem::take(&mut record.events));
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let about = json!({"elsewhere": env!("CARGO_PKG_VERSION"), "processors": processors});
        json!({"traceEvents": events, "displayTimeUnit": "ms", "otherData": about})
    }

    /// Microseconds from the beginning to `time`.
    fn micros(&self, time: Instant) -> f64 {
        micros(time.saturating_duration_since(self.began))
    }

    fn with<T>(&self, step: impl FnOnce(&mut Record) -> T) -> T {
        step(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Record {
    /// The number of the calling thread, which is named when it is met.
    fn thread(&mut self) -> usize {
        let (current, next) = (thread::current(), self.threads.len() + 1);
        let number = *self.threads.entry(current.id()).or_insert(next);
        if number == next {
            let name = current.name().unwrap_or("thread");
            self.events.push(json!({
                "ph": "M", "name": "thread_name", "pid": PROCESS, "tid": number,
                "args": {"name": name},
            }));
        }
        number
    }
}

/// Microseconds, the unit of the format, to the nanosecond.
fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1000.0
}
