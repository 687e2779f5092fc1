//! A directory of its own for each test, and a reporter that remembers.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use elsewhere::stages::report::{Event, Reporter};

/// A directory that is empty at first, and gone at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A directory below cargo's own for tests.
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("{name}-{}-{count}", std::process::id());
        let path = Path::new(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("target/tmp")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// One that another test made, and that goes with that.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file below it, with the directories that it needs.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Remembers every event.
#[derive(Default)]
pub struct Log {
    events: Mutex<Vec<Event>>,
    /// Set to stop the run.
    pub cancelled: AtomicBool,
}

impl Log {
    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// `URL: REASON` of each retry so far.
    pub fn retries(&self) -> Vec<String> {
        let retry = |event| match event {
            Event::Retry { url, reason } => Some(format!("{url}: {reason}")),
            _ => None,
        };
        self.events().into_iter().filter_map(retry).collect()
    }

    /// The warnings so far.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |event| match event {
            Event::Warning { message } => Some(message),
            _ => None,
        };
        self.events().into_iter().filter_map(warning).collect()
    }

    /// The notes so far.
    pub fn notes(&self) -> Vec<String> {
        let note = |event| match event {
            Event::Note { message } => Some(message),
            _ => None,
        };
        self.events().into_iter().filter_map(note).collect()
    }

    /// Units of work reported so far.
    pub fn advanced(&self) -> u64 {
        let by = |event| match event {
            Event::Advanced { by, .. } => by,
            _ => 0,
        };
        self.events().into_iter().map(by).sum()
    }

    /// What `--verbose` would show so far.
    pub fn details(&self) -> Vec<String> {
        let detail = |event| match event {
            Event::Detail { message } => Some(message),
            _ => None,
        };
        self.events().into_iter().filter_map(detail).collect()
    }
}

impl Reporter for Log {
    fn event(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }
}
