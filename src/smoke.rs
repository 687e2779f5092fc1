//! Runs what was made, before and after it goes live. Only trees of this machine's architecture can
//! be run; for others there is the audit.
//!
//! The host's glibc loader lists the libraries of every program and library of the tree, which finds
//! what is missing or too new without running it. Beside that the tests of the runtimes' files run, one
//! after another, each in an empty directory, with an empty environment but for `PATH`, `HOME`, `TMPDIR`
//! and `USER`.

mod judge;
mod list;
mod probe;
mod process;
mod sandbox;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::model::{Arch, Loading, ReceiptFile, RelPath, Runtime, SmokeTest, escape};
use crate::report::{Event, Phase, Reporter};
use crate::tools::{limits, threads};
pub use judge::{HostJudge, Obstacle, Unjudged};
pub use list::Fault;
pub use probe::probe;
use process::{End, Finished};

/// How long a test may take.
const TEST_LIMIT: Duration = Duration::from_secs(30);

/// How long one may take that the host is known to have something against.
const DOUBTFUL_LIMIT: Duration = Duration::from_secs(10);

/// Where tests find the host's programs.
const SYSTEM_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What is to be tried.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The tree's root: staged, or live.
    pub tree: &'a Path,
    /// Its architecture.
    pub arch: Arch,
    /// Its files.
    pub files: &'a [ReceiptFile],
    /// Which of its programs are told where their libraries are.
    pub loading: &'a Loading,
    /// Patterns of sonames that are always the host's.
    pub host_libraries: &'a [String],
    /// Its runtimes, with their versions.
    pub runtimes: &'a [(&'a Runtime, &'a str)],
    /// An existing directory for what the tests write. Emptied by the caller.
    pub scratch: &'a Path,
    /// Who says what the host lets programs do.
    pub judge: &'a dyn HostJudge,
}

/// What was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmokeReport {
    /// Programs and libraries whose libraries the loader found.
    pub loaded: usize,
    /// Tests that ran.
    pub ran: usize,
    /// Tests that could not run here, as command lines for people.
    pub passed_over: Vec<String>,
}

/// Why a tree must not go live.
#[derive(Debug, thiserror::Error)]
pub enum SmokeError {
    /// The loader does not find a library, or a version of a symbol.
    #[error("{path} cannot be loaded on this machine:{}", indented(.output))]
    Unloadable {
        /// The program or library.
        path: RelPath,
        /// What the loader said.
        output: String,
        /// What is to blame.
        fault: Fault,
    },
    /// A test failed.
    #[error("`{command}` failed ({status}):{}", indented(.output))]
    Failed {
        /// The command line, for people.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        output: String,
    },
    /// A test took too long.
    #[error("`{command}` did not end within {} seconds:{}", TEST_LIMIT.as_secs(), indented(.output))]
    TimedOut {
        /// The command line, for people.
        command: String,
        /// The end of its output.
        output: String,
    },
    /// A test ended well and did not say what it should.
    #[error("`{command}` did not say {expected:?}:{}", indented(.output))]
    Unexpected {
        /// The command line, for people.
        command: String,
        /// What was expected.
        expected: String,
        /// The end of its output.
        output: String,
    },
    /// A program could not be started.
    #[error("cannot start `{command}`")]
    Start {
        /// The command line, for people.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// No program can be run from where trees are to be.
    #[error("no program can be run from {}", escape(&.path.to_string_lossy()))]
    NoExec {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the tree or of the scratch directory could not be read or written.
    #[error("cannot {action} {}", escape(&.path.to_string_lossy()))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
}

const NOEXEC_HINT: &str = "its file system may be mounted noexec, or a security module forbids it: \
    choose a directory where programs may run";

impl SmokeError {
    /// What to type or do next, where there is something useful to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let is_runs = matches!(
            self,
            Self::Unloadable { fault: Fault::TooOld, .. }
                | Self::Failed { .. }
                | Self::TimedOut { .. }
                | Self::Unexpected { .. }
        );
        if let Some(low) = limits::low().filter(|_| is_runs) {
            return Some(format!(
                "what is tried may need more than this shell's limits give, {low}: raise them; \
                 what was installed before is untouched"
            ));
        }
        match self {
            Self::Unloadable { fault, .. } => Some(fault.hint()),
            Self::Failed { .. } | Self::TimedOut { .. } | Self::Unexpected { .. } => {
                Some("what was installed before is untouched; --verbose shows every step".to_owned())
            }
            Self::NoExec { .. } => Some(NOEXEC_HINT.to_owned()),
            Self::Start { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(NOEXEC_HINT.to_owned())
            }
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "EL's programs need glibc, which this machine may not have: --for makes trees for others"
                    .to_owned(),
            ),
            Self::Start { .. } | Self::Io { .. } | Self::Cancelled => None,
        }
    }
}

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
    reporter.event(Event::Finished { phase: Phase::Test });
    Ok(report)
}

fn run_tests(trial: &Trial<'_>, reporter: &dyn Reporter) -> Result<SmokeReport, SmokeError> {
    let mut report = SmokeReport::default();
    for (runtime, version) in trial.runtimes {
        for test in &runtime.smoke_tests {
            let program = trial.tree.join(&test.path);
            try_test(trial, (runtime, version), test, &program, &mut report, reporter)?;
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
        for command in runtime.commands.iter().filter(|command| command.arguments.is_empty()) {
            let test = runtime.smoke_tests.iter().find(|test| test.path == command.path);
            if let Some(test) = test {
                let launcher = bin.join(&command.name);
                try_test(trial, (runtime, version), test, &launcher, &mut report, reporter)?;
            }
        }
    }
    Ok(report)
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
    program: &Path,
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
    let checks: Vec<&str> = test.checks().collect();
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
    program: &Path,
    (shown, limit): (&str, Duration),
    reporter: &dyn Reporter,
) -> Result<(), SmokeError> {
    let places = Places::make(trial.scratch)?;
    let mut command = Command::new(program);
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
    let finished = start(command, shown, limit, reporter)?;
    let expected = test.expect.replace("{version}", version);
    judge_end(finished, shown.to_owned(), expected)
}

/// Whether a test's end and output are what they should be.
fn judge_end(finished: Finished, command: String, expected: String) -> Result<(), SmokeError> {
    let output = process::tail(&finished.output);
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

fn start(
    command: Command,
    shown: &str,
    limit: Duration,
    reporter: &dyn Reporter,
) -> Result<Finished, SmokeError> {
    process::run(command, limit, reporter)
        .map_err(|source| SmokeError::Start { command: shown.to_owned(), source })
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
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
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

/// Output below a message, a little to the right; nothing when there is none.
fn indented(output: &str) -> String {
    match output.is_empty() {
        true => " it said nothing".to_owned(),
        false => output.lines().map(|line| format!("\n    {line}")).collect(),
    }
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
