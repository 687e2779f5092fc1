//! Runs what was made, before and after it goes live. Only trees of this machine's architecture can
//! be run; for others there is the audit.
//!
//! The host's glibc loader lists the libraries of every program and library of the tree, which finds
//! what is missing or too new without running it. Beside that the tests of the runtimes' files run, one
//! after another, each in an empty directory, with an empty environment but for `PATH`, `HOME`, `TMPDIR`
//! and `USER`, and for what the runtime's launchers set.

mod error;
mod judge;
mod list;
mod obstacles;
mod probe;
mod process;
mod sandbox;
mod trial;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::model::{
    END_OF_PLACES, HostPlace, IN_PLACES, PLACING_PROGRAM, RelPath, Runtime, SmokeTest, Variable,
    escape,
};
use crate::report::{Event, Phase, Reporter};
use crate::tools::programs::{self, End, Finished};
use crate::tools::threads;
pub(crate) use error::Fault;
pub use error::SmokeError;
pub use obstacles::{HostJudge, Obstacle, Unjudged};
pub use probe::probe;
pub use trial::{SmokeReport, Trial};

use error::TEST_LIMIT;
use process::start;

/// How long one may take that the host is known to have something against.
const DOUBTFUL_LIMIT: Duration = Duration::from_secs(10);

/// Where tests find the host's programs.
const SYSTEM_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Tries a tree. With `host_can_run` false says so once and tries nothing.
///
/// # Errors
/// When something does not load or run: the tree must not go live.
pub fn run(
    trial: &Trial<'_>,
    host_can_run: bool,
    reporter: &dyn Reporter,
) -> Result<SmokeReport, SmokeError> {
    if !host_can_run {
        let arch = trial.arch;
        reporter.note(format!("the {arch} tree was not run: this machine cannot run {arch}"));
        return Ok(SmokeReport::default());
    }
    let programs = list::dynamic_files(trial)?;
    let tests = trial.runtimes.iter().map(|(runtime, _)| runtime.smoke_tests.len()).sum::<usize>();
    let total = Some((programs.len() + tests) as u64);
    reporter.event(Event::Started { phase: Phase::Test, total });
    let (listed, tested) = thread::scope(|scope| {
        let tests = threads::spawn(scope, || run_tests(trial, reporter));
        let listed = list::list_all(trial, &programs, reporter);
        (listed, tests.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    // What the loader misses says more than the test that fails for it.
    let loaded = listed?;
    let report = SmokeReport { loaded, ..tested? };
    reporter.detail(format!(
        "programs and libraries that load: {}; tests that ran: {}, and that could not: {}",
        report.loaded,
        report.ran,
        report.passed_over.len()
    ));
    reporter.event(Event::Finished { phase: Phase::Test });
    Ok(report)
}

fn run_tests(trial: &Trial<'_>, reporter: &dyn Reporter) -> Result<SmokeReport, SmokeError> {
    let mut report = SmokeReport::default();
    for (runtime, version) in trial.runtimes {
        for test in &runtime.smoke_tests {
            let program = trial.tree.join(&test.path);
            let (environment, places) = (&runtime.environment, &runtime.places);
            let program = Started { path: &program, environment, places };
            try_test(trial, (runtime, version), test, program, &mut report, reporter)?;
            reporter.advanced(Phase::Test, 1);
        }
    }
    Ok(report)
}

/// Tries the launchers in `bin` once the tree is live: those of commands without arguments of their
/// own whose program has a test.
///
/// # Errors
/// When one does not run: what was live before should be live again.
pub fn run_launchers(
    trial: &Trial<'_>,
    bin: &Path,
    reporter: &dyn Reporter,
) -> Result<SmokeReport, SmokeError> {
    let mut report = SmokeReport::default();
    for (runtime, version) in trial.runtimes {
        // One that mounts something becomes another program.
        let is_plain = |it: &&crate::model::Command| it.arguments.is_empty() && !it.mounts;
        for command in runtime.commands.iter().filter(is_plain) {
            let test = runtime.smoke_tests.iter().find(|test| test.path == command.path);
            if let Some(test) = test {
                let launcher = bin.join(&command.name);
                // It sets the rest itself.
                let launcher = Started { path: &launcher, environment: &[], places: &[] };
                try_test(trial, (runtime, version), test, launcher, &mut report, reporter)?;
            }
        }
    }
    Ok(report)
}

/// What a test starts.
#[derive(Clone, Copy)]
struct Started<'a> {
    /// The tree's own program, or a launcher.
    path: &'a Path,
    /// What it must be told that no launcher tells it.
    environment: &'a [Variable],
    /// Where it must find directories of the tree that no launcher shows it there.
    places: &'a [HostPlace],
}

impl Started<'_> {
    /// What starts it, where its tree is at `tree`.
    fn command(&self, tree: &Path) -> Command {
        if self.places.is_empty() {
            return Command::new(self.path);
        }
        let mut command = Command::new(tree.join(PLACING_PROGRAM));
        command.arg(IN_PLACES).arg(tree).args(self.places.iter().flat_map(HostPlace::words));
        command.arg(END_OF_PLACES).arg(self.path);
        command
    }
}

/// A command of the host that a test needs and that is missing.
fn missing_command(test: &SmokeTest) -> Option<&String> {
    let is_there =
        |name: &&String| SYSTEM_PATH.split(':').any(|place| Path::new(place).join(name).exists());
    test.needs_commands.iter().find(|name| !is_there(name))
}

/// Runs one test of a runtime, by `program`: the tree's own or a launcher. Where it fails, and the host
/// does not let programs do what it needs, it is passed over.
fn try_test(
    trial: &Trial<'_>,
    (runtime, version): (&Runtime, &str),
    test: &SmokeTest,
    program: Started<'_>,
    report: &mut SmokeReport,
    reporter: &dyn Reporter,
) -> Result<(), SmokeError> {
    let shown = command_line(&test.path, &test.arguments);
    if let Some(missing) = missing_command(test) {
        let missing = escape(missing);
        reporter.note(format!("passed over `{shown}`: this machine has no `{missing}`"));
        report.passed_over.push(shown);
        return Ok(());
    }
    reporter.detail(format!("running `{shown}`"));
    let checks: Vec<&str> = runtime.checks(test).collect();
    let obstacles = trial.judge.obstacles(&checks);
    // It is tried all the same: what elsewhere may not do, the tree's own program may.
    let limit = if obstacles.is_empty() { TEST_LIMIT } else { DOUBTFUL_LIMIT };
    let outcome = run_test(trial, version, test, program, (&shown, limit), reporter);
    let case = judge::Case { runtime, test, shown, obstacles };
    judge::settle(case, outcome, trial, report, reporter)
}

fn run_test(
    trial: &Trial<'_>,
    version: &str,
    test: &SmokeTest,
    program: Started<'_>,
    (shown, limit): (&str, Duration),
    reporter: &dyn Reporter,
) -> Result<(), SmokeError> {
    let places = Places::make(trial.scratch)?;
    let mut command = program.command(trial.tree);
    for argument in &test.arguments {
        command.arg(places.expand(argument, version, trial.tree));
    }
    if test.arguments.iter().any(|argument| argument.contains("{sandbox}")) {
        sandbox::make(&places.sandbox, trial.arch).map_err(|source| SmokeError::Io {
            action: "make the test container",
            path: places.sandbox.clone(),
            source,
        })?;
    }
    command.env_clear().env("PATH", SYSTEM_PATH).env("HOME", &places.home);
    // Some programs do not start without a USER, whoever it is.
    command.env("TMPDIR", &places.home).env("USER", "nobody").current_dir(&places.home);
    for variable in program.environment {
        let before = (variable.name == "PATH").then_some(OsStr::new(SYSTEM_PATH));
        command.env(&variable.name, variable.value(trial.tree.as_os_str(), before));
    }
    let finished = start(command, shown, limit, reporter)?;
    let expected = test.expect.replace("{version}", version);
    judge_end(finished, shown.to_owned(), expected)
}

/// Whether a test's end and output are what they should be.
fn judge_end(finished: Finished, command: String, expected: String) -> Result<(), SmokeError> {
    let output = programs::tail(&finished.output);
    match finished.end {
        End::Cancelled => Err(SmokeError::Cancelled),
        End::TimedOut => Err(SmokeError::TimedOut { command, output }),
        End::Exited(status) if !status.success() => {
            Err(SmokeError::Failed { command, status, output })
        }
        End::Exited(_) if !finished.output.contains(&expected) => {
            Err(SmokeError::Unexpected { command, expected, output })
        }
        End::Exited(_) => Ok(()),
    }
}

/// The directories of one test.
struct Places {
    /// Home, working directory, and place for temporary files.
    home: PathBuf,
    /// What `{tmp}` stands for.
    temporary: PathBuf,
    /// What `{sandbox}` stands for.
    sandbox: PathBuf,
}

impl Places {
    /// New and empty, below `scratch`.
    fn make(scratch: &Path) -> Result<Self, SmokeError> {
        let name = format!("{}-{}", std::process::id(), threads::unique_number());
        let places = Self {
            home: scratch.join(&name).join("home"),
            temporary: scratch.join(&name).join("tmp"),
            sandbox: scratch.join(&name).join("sandbox"),
        };
        for path in [&places.home, &places.temporary] {
            fs::create_dir_all(path).map_err(|source| SmokeError::Io {
                action: "make the directory",
                path: path.clone(),
                source,
            })?;
        }
        Ok(places)
    }

    /// An argument with the words in braces replaced.
    fn expand(&self, argument: &str, version: &str, tree: &Path) -> OsString {
        let words: [(&str, &OsStr); 4] = [
            ("{tmp}", self.temporary.as_os_str()),
            ("{sandbox}", self.sandbox.as_os_str()),
            ("{tree}", tree.as_os_str()),
            ("{version}", OsStr::new(version)),
        ];
        let mut expanded = OsString::new();
        let mut rest = argument;
        let first = |rest: &str| {
            words.into_iter().filter_map(|(word, by)| Some((rest.find(word)?, word, by))).min()
        };
        while let Some((at, word, by)) = first(rest) {
            let (before, from) = rest.split_at(at);
            expanded.push(before);
            expanded.push(by);
            rest = from.strip_prefix(word).unwrap_or_default();
        }
        expanded.push(rest);
        expanded
    }
}

/// A command line for people.
fn command_line(path: &RelPath, arguments: &[String]) -> String {
    let mut line = path.to_string();
    for argument in arguments {
        line.push(' ');
        line.push_str(&escape(argument));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_braces_are_replaced_once() {
        let places = Places { home: "/h".into(), temporary: "/s".into(), sandbox: "/box".into() };
        let expand = |text| places.expand(text, "1.4", Path::new("/t{tmp}"));
        assert_eq!(expand("a={tree}/b,{tmp},{version}{x}"), "a=/t{tmp}/b,/s,1.4{x}");
        assert_eq!(expand("{sandbox}"), "/box");
        assert_eq!(expand(""), "");
    }
}
