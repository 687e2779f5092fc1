//! Runs a program that may hang, write without end, or leave children behind.

use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::SmokeError;
use crate::model::escape;
use crate::report::Reporter;

/// How much output is kept, in bytes: the end of it.
const KEPT: usize = 1 << 20;

/// How many lines of output an error shows.
const SHOWN_LINES: usize = 10;

/// The longest pause between two looks at a running program.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a program waits for others to end before it starts, where there are too many.
const SPAWN_LIMIT: Duration = Duration::from_secs(2);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Exited(ExitStatus),
    TimedOut,
    Cancelled,
}

/// What came of running a program.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) end: End,
    /// Standard output and error as they came, without what is not UTF-8.
    pub(super) output: String,
}

/// Runs `command`, `shown` for people, as [`run`] does.
pub(super) fn start(
    command: Command,
    shown: &str,
    limit: Duration,
    reporter: &dyn Reporter,
) -> Result<Finished, SmokeError> {
    run(command, limit, reporter)
        .map_err(|source| SmokeError::Start { command: shown.to_owned(), source })
}

/// Runs `command` with no input, for at most `limit`. It gets a process group of its own, and all of
/// that is killed at the end, however it ends: tests leave no daemon behind.
fn run(mut command: Command, limit: Duration, reporter: &dyn Reporter) -> io::Result<Finished> {
    let (mut reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let mut child = spawn(&mut command, reporter)?;
    // It holds our copies of the writing end.
    drop(command);
    let mut output = Vec::new();
    let end = watch(&child, &mut reader, &mut output, limit, reporter);
    // Before `wait`, so that the number cannot be another process's yet.
    if let Ok(group) = pid_of(&child) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    let status = child.wait()?;
    drain(&mut reader, &mut output)?;
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok(Finished { end: end?.unwrap_or(End::Exited(status)), output })
}

/// Starts `command`; where no more processes may run, once others have ended, if they do soon.
fn spawn(command: &mut Command, reporter: &dyn Reporter) -> io::Result<Child> {
    let started = Instant::now();
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if started.elapsed() > SPAWN_LIMIT || reporter.is_cancelled() {
                    return Err(error);
                }
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// Collects output until the program ends (`None`), or must be ended.
fn watch(
    child: &Child,
    reader: &mut PipeReader,
    output: &mut Vec<u8>,
    limit: Duration,
    reporter: &dyn Reporter,
) -> io::Result<Option<End>> {
    rustix::fs::fcntl_setfl(&*reader, OFlags::NONBLOCK)?;
    let started = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        drain(reader, output)?;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match rustix::process::waitid(WaitId::Pid(pid_of(child)?), options) {
            Ok(Some(_)) => return Ok(None),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if started.elapsed() > limit {
            return Ok(Some(End::TimedOut));
        }
        if reporter.is_cancelled() {
            return Ok(Some(End::Cancelled));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE);
    }
}

/// Takes what the pipe holds, without waiting for more.
fn drain(reader: &mut PipeReader, output: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 64 << 10];
    // A program that writes faster than we read must not keep us from looking at the clock.
    for _ in 0..64 {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => output.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if output.len() > 2 * KEPT {
            output.drain(..output.len() - KEPT);
        }
    }
    Ok(())
}

fn pid_of(child: &Child) -> io::Result<Pid> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    id.ok_or_else(|| io::Error::other("a process without a number"))
}

/// The last lines of `output`, escaped.
pub(super) fn tail(output: &str) -> String {
    let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
    last.iter().map(|line| escape(line.trim()).into_owned()).collect::<Vec<_>>().join("\n")
}
