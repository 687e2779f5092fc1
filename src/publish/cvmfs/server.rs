//! Runs `cvmfs_server`: never with a question that waits for an answer, never from a directory of the repository,
//! and never killed where it can be asked to end.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::time::Duration;

use crate::error::CvmfsError;
use crate::report::Reporter;
use crate::tools::programs::{self, End, Finished, Listen, Patience};

/// How long one that is to end may take for it: what is killed while it publishes can only be thrown away.
const GRACE: Duration = Duration::from_secs(30);

/// How long any of it may take: far more than the biggest publication.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The numbers of SIGHUP, SIGINT, SIGKILL and SIGTERM.
const ENDING: [i32; 4] = [1, 2, 9, 15];

/// The program.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) program: PathBuf,
    /// One that makes another end with us, where the machine has it.
    pub(super) tether: Option<PathBuf>,
}

/// What came of one run of it.
#[derive(Debug)]
pub(super) struct Said {
    /// What was asked of it, for people.
    asked: String,
    end: End,
    /// What it wrote, on both streams.
    pub(super) output: String,
}

/// What may end a run of it.
#[derive(Clone, Copy)]
pub(super) enum Until<'a> {
    /// The user, and time.
    Cancelled(&'a dyn Reporter),
    /// Nothing but this time: it tidies up.
    Passed(Duration),
}

impl Server {
    /// Runs it with these words.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn run(
        &self,
        words: &[&str],
        listen: Listen,
        until: Until<'_>,
    ) -> Result<Said, CvmfsError> {
        let command = command(&self.program, words);
        let finished = match until {
            Until::Cancelled(reporter) => {
                let is_cancelled = || reporter.is_cancelled();
                let patience = Patience { time: LONGEST, is_cancelled: &is_cancelled };
                programs::run_gently(command, listen, patience, GRACE)
            }
            Until::Passed(time) => programs::run_gently(command, listen, Patience::of(time), GRACE),
        };
        self.said(words, finished.map_err(|source| self.failed(source))?)
    }

    /// Runs it with these words, and as its input what `fill` writes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn feed<E: Send>(
        &self,
        words: &[&str],
        reporter: &dyn Reporter,
        fill: impl FnOnce(&mut ChildStdin) -> Result<(), E> + Send,
    ) -> Result<(Said, Result<(), E>), CvmfsError> {
        // Were we killed while we write, it would take an archive that ends too early for a whole one.
        let command = match &self.tether {
            Some(tether) => {
                let mut command = Command::new(tether);
                command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program).args(words);
                command.current_dir("/");
                command
            }
            None => command(&self.program, words),
        };
        let is_cancelled = || reporter.is_cancelled();
        let patience = Patience { time: LONGEST, is_cancelled: &is_cancelled };
        let (finished, filled) = programs::feed(command, Listen::Both, patience, GRACE, fill)
            .map_err(|source| self.failed(source))?;
        Ok((self.said(words, finished)?, filled))
    }

    fn said(&self, words: &[&str], finished: Finished) -> Result<Said, CvmfsError> {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy();
        let asked = format!("{name} {}", words.join(" "));
        Ok(Said { asked, end: finished.end, output: finished.output })
    }

    fn failed(&self, source: std::io::Error) -> CvmfsError {
        CvmfsError::Start { program: self.program.clone(), source }
    }
}

fn command(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).current_dir("/");
    command
}

impl Said {
    /// Whether it ended well.
    pub(super) fn is_well(&self) -> bool {
        self.end.is_success()
    }

    /// Whether a signal ended it, that nobody here sent.
    pub(super) fn was_killed(&self) -> bool {
        let End::Exited(status) = self.end else { return false };
        let by = status.signal().or_else(|| status.code().map(|code| code - 128));
        by.is_some_and(|signal| ENDING.contains(&signal))
    }

    /// Whether it was to end, or had no more time.
    pub(super) fn was_ended(&self) -> bool {
        !matches!(self.end, End::Exited(_))
    }

    /// Whether it said one of these.
    pub(super) fn says(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.output.contains(text))
    }

    /// How it ended, for people.
    pub(super) fn shown(&self) -> String {
        let end = match self.end {
            End::Exited(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("ended with status {code}"),
                (None, Some(signal)) => format!("was ended by signal {signal}"),
                (None, None) => "ended".to_owned(),
            },
            End::TimedOut => "took too long".to_owned(),
            End::Cancelled => "was interrupted".to_owned(),
        };
        let output = programs::tail(&self.output).replace('\n', "\n  ");
        match output.is_empty() {
            true => format!("`{}` {end} and said nothing", self.asked),
            false => format!("`{}` {end}:\n  {output}", self.asked),
        }
    }
}
