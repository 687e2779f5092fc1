//! Begins a run: alone, and after what an earlier one left was cleared.

use std::thread;
use std::time::Duration;

use super::CvmfsRepository;
use super::journal::{Entry, Journal, Step};
use super::server::Until;
use super::state::{self, Flag};
use super::waiting::Waiting;
use crate::error::CvmfsError;
use crate::report::Reporter;
use crate::tools::programs::Listen;

/// How often a transaction is tried to be thrown away: a web server may be down for a moment.
const TRIES: u32 = 5;

/// How long that may take each time.
const LIMIT: Duration = Duration::from_secs(900);

impl CvmfsRepository {
    /// Waits for other runs, and clears what one of ours left that was killed.
    ///
    /// # Errors
    /// When the working directory is in the repository, others take too long, or a transaction stays open.
    pub(super) fn begin(&self, reporter: &dyn Reporter) -> Result<Journal, CvmfsError> {
        let union = &self.configuration.union;
        if state::is_inside(union) {
            return Err(CvmfsError::Inside { union: union.clone() });
        }
        let mut waiting = Waiting::on(self, reporter);
        let mut journal = loop {
            if let Some(journal) = Journal::open(&self.options.state, &self.name)? {
                break journal;
            }
            let why = "another run works on it";
            if !waiting.again(why)? {
                return Err(self.busy(why.to_owned()));
            }
        };
        if let Some(entry) = journal.before.clone() {
            self.recover(&entry, &mut waiting, reporter)?;
            journal.clear()?;
        }
        Ok(journal)
    }

    /// Clears what the run left that wrote `entry`.
    fn recover(
        &self,
        entry: &Entry,
        waiting: &mut Waiting<'_>,
        reporter: &dyn Reporter,
    ) -> Result<(), CvmfsError> {
        let is_served = || state::is_served(&self.server.program, &self.name);
        // The server outlives us, and opens or publishes what we began.
        while is_served() || self.configuration.is_publishing() {
            let why = "what a run began that was ended is still at work";
            if !waiting.again(why)? {
                return Err(self.busy(why.to_owned()));
            }
        }
        let name = &self.name;
        match self.configuration.flag()? {
            Some(flag) if self.is_ours(entry, flag) => {
                reporter.note(format!(
                    "{name}: a run that was ended left a transaction open: what it had not published is thrown away"
                ));
                self.abort(flag)
            }
            Some(_) => Ok(()),
            None => {
                if entry.step == Step::Publishing
                    && let Ok(tags) = self.tags()
                    && let Some(tagged) = tags.find(&entry.tag)
                {
                    let revision = tagged.revision;
                    reporter.note(format!(
                        "{name}: a run that was ended has published revision {revision}"
                    ));
                }
                Ok(())
            }
        }
    }

    /// Whether the transaction that is open is that of the run which wrote `entry`.
    fn is_ours(&self, entry: &Entry, flag: Flag) -> bool {
        let by_marker = || self.configuration.was_written(&entry.marker());
        let by_step = || match entry.step {
            // The server opened it, and we were gone before we could write to it.
            Step::Opening => {
                entry.flag.is_none()
                    && entry.others != Some(flag)
                    && self.configuration.is_untouched()
            }
            Step::Waiting | Step::Open | Step::Publishing => false,
        };
        entry.flag == Some(flag) || by_marker() || by_step()
    }

    /// Throws the transaction away that `flag` is of; one that is another's by now is let be.
    ///
    /// # Errors
    /// When it stays open.
    pub(super) fn abort(&self, flag: Flag) -> Result<(), CvmfsError> {
        let mut last = String::new();
        for tried in 0..TRIES {
            if self.configuration.flag()? != Some(flag) {
                return Ok(());
            }
            let words = ["abort", "-f", &self.name];
            let said = self.server.run(&words, Listen::Both, Until::Passed(LIMIT))?;
            if self.configuration.flag()? != Some(flag) {
                return Ok(());
            }
            last = said.shown();
            thread::sleep(self.options.pause * (1 << tried));
        }
        Err(CvmfsError::Stuck { repository: self.name.clone(), said: last })
    }
}
