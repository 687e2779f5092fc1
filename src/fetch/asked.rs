//! What is asked of a file that is brought, wherever it comes from: its digest and size, in how many parts it may
//! come, and how its progress is told.

use std::cell::{Cell, RefCell};
use std::io::Read;

use super::local::Local;
use super::ranges::Brought;
use super::{Fetched, Reason, Stream};
use crate::model::Checksum;
use crate::report::{Event, Phase, Reporter};
use crate::tools::excerpt::Excerpt;

/// Most bytes of a file whose size nobody declared.
pub(super) const UNDECLARED_LIMIT: u64 = 4 << 30;

/// How a big file may come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Splitting {
    /// In parts, from several places.
    OverPlaces,
    /// In parts from one.
    OverConnections,
    /// In one piece.
    Not,
}

/// What a file must be.
pub(super) struct Asked<'a> {
    pub(super) checksum: &'a Checksum,
    pub(super) size: Option<u64>,
    /// Where it may be had.
    pub(super) urls: &'a [String],
    /// Whether it may be asked for in parts.
    pub(super) splitting: Cell<Splitting>,
    /// Its parts, where several places brought them.
    pub(super) brought: RefCell<Vec<Brought>>,
    /// Whether what came was once something else.
    pub(super) was_wrong: Cell<bool>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(checksum: &'a Checksum, size: Option<u64>, urls: &'a [String]) -> Self {
        let splitting = Cell::new(Splitting::OverPlaces);
        let (brought, was_wrong) = (RefCell::default(), Cell::default());
        Self { checksum, size, urls, splitting, brought, was_wrong }
    }

    /// Checks a file that is read where it lies, and returns its size.
    pub(super) fn check_file(&self, local: &Local) -> Result<u64, Reason> {
        let (file, size) = self.open_file(local)?;
        let algorithm = self.checksum.algorithm();
        // A file may grow while it is read.
        let (got, _) = Checksum::of_reader(algorithm, file.take(size)).map_err(Reason::File)?;
        if got != *self.checksum {
            return Err(Reason::Digest { expected: self.checksum.clone(), got });
        }
        Ok(size)
    }

    /// Lets `stream` have a file where it lies, if its size is right.
    pub(super) fn lend_file(&self, local: &Local, stream: &Stream) -> Result<u64, Reason> {
        let (file, size) = self.open_file(local)?;
        stream.distrust();
        stream.begin(file, size);
        Ok(size)
    }

    /// Opens a file where it lies, if it is as large as it must be.
    fn open_file(&self, local: &Local) -> Result<(Excerpt, u64), Reason> {
        let (file, got) = local.open()?;
        match self.size {
            Some(expected) if expected != got => Err(Reason::Size { got, expected }),
            None if got > UNDECLARED_LIMIT => Err(Reason::TooLong(UNDECLARED_LIMIT)),
            _ => Ok((file, got)),
        }
    }

    pub(super) fn fetched(&self, place: Local, size: u64, url: String) -> Fetched {
        Fetched { place, size, checksum: self.checksum.clone(), url }
    }
}

/// Reports progress, each byte once.
pub(super) struct Meter<'r> {
    reporter: &'r dyn Reporter,
    phase: Option<Phase>,
    reported: u64,
}

impl<'r> Meter<'r> {
    pub(super) fn new(reporter: &'r dyn Reporter, phase: Option<Phase>) -> Self {
        Self { reporter, phase, reported: 0 }
    }

    /// `total` bytes are there, and were there before.
    pub(super) fn reach_cached(&mut self, total: u64) {
        if let Some(phase) = self.phase {
            self.reporter.event(Event::Cached { phase, by: total });
        }
        self.reach(total);
    }

    /// `total` bytes are there.
    pub(super) fn reach(&mut self, total: u64) {
        if let Some(phase) = self.phase.filter(|_| total > self.reported) {
            self.reporter.advanced(phase, total - self.reported);
            self.reported = total;
        }
    }
}
