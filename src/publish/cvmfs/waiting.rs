//! Waits for others, as long as it may, longer each time.

use std::thread;
use std::time::{Duration, Instant};

use super::CvmfsRepository;
use crate::error::CvmfsError;
use crate::report::Reporter;

/// How much longer than the first one a pause becomes: seconds, where that is half a second.
const MOST: u32 = 10;

/// How often it is asked whether to go on.
const SLICE: Duration = Duration::from_millis(50);

/// A wait.
pub(super) struct Waiting<'a> {
    reporter: &'a dyn Reporter,
    name: &'a str,
    began: Instant,
    limit: Duration,
    pause: Duration,
    longest: Duration,
    is_told: bool,
}

impl<'a> Waiting<'a> {
    /// For `repository`, not begun yet.
    pub(super) fn on(repository: &'a CvmfsRepository, reporter: &'a dyn Reporter) -> Self {
        let (limit, pause) = (repository.options.wait, repository.options.pause);
        let (name, began, longest) = (&*repository.name, Instant::now(), pause * MOST);
        Self { reporter, name, began, limit, pause, longest, is_told: false }
    }

    /// Waits a while, and says why the first time. False where the time is over.
    ///
    /// # Errors
    /// When the user wants no more.
    pub(super) fn again(&mut self, why: &str) -> Result<bool, CvmfsError> {
        if self.began.elapsed() >= self.limit {
            return Ok(false);
        }
        if !self.is_told {
            self.is_told = true;
            self.reporter.note(format!("waiting for {}: {why}", self.name));
        }
        let left = self.limit.saturating_sub(self.began.elapsed());
        let until = Instant::now() + self.pause.min(left);
        while Instant::now() < until {
            if self.reporter.is_cancelled() {
                return Err(CvmfsError::Cancelled);
            }
            thread::sleep(SLICE.min(until.saturating_duration_since(Instant::now())));
        }
        self.pause = (self.pause * 2).min(self.longest);
        Ok(true)
    }
}
