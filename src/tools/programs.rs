//! Runs programs that may hang, write without end, or leave children behind.

use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::threads;
use crate::model::escape;

/// How much output is kept, in bytes: the end of it.
const KEPT: usize = 1 << 20;

/// How many lines of output an error shows.
const SHOWN_LINES: usize = 10;

/// The longest pause between two looks at a running program.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a program waits before it starts, where there are too many processes or another process
/// still has its file open for writing.
const SPAWN_LIMIT: Duration = Duration::from_secs(2);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Exited(ExitStatus),
    TimedOut,
    Cancelled,
}

impl End {
    /// Whether the program ended by itself, and well.
    pub(crate) fn is_success(self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }
}

/// What came of running a program.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) end: End,
    /// What it wrote and was listened to, without what is not UTF-8.
    pub(crate) output: String,
}

/// What of a program's output is kept; the rest is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
    /// Both, as they came.
    Both,
}

/// How long a program may run.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    /// At most so long.
    pub(crate) time: Duration,
    /// And not after this says so.
    pub(crate) is_cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl Patience<'static> {
    /// So long, for what nobody cancels.
    pub(crate) fn of(time: Duration) -> Self {
        Self { time, is_cancelled: &|| false }
    }
}

/// Runs `command` with no input. It gets a process group of its own, and all of that is killed at the
/// end, however it ends: no daemon is left behind.
///
/// # Errors
/// When the program cannot be started or watched.
pub(crate) fn run(
    command: Command,
    listen: Listen,
    patience: Patience<'_>,
) -> io::Result<Finished> {
    Running::start(command, listen, Stdio::null(), patience)?.finish(patience, Duration::ZERO)
}

/// The same for a program that leaves a mess when it is killed: where it must end it is asked to (SIGTERM), and
/// killed only where it has not ended `grace` later.
///
/// # Errors
/// When the program cannot be started or watched.
pub(crate) fn run_gently(
    command: Command,
    listen: Listen,
    patience: Patience<'_>,
    grace: Duration,
) -> io::Result<Finished> {
    Running::start(command, listen, Stdio::null(), patience)?.finish(patience, grace)
}

/// The same for a program whose input is what `fill` writes. Where that fails the program is ended before it could take
/// what there is for all.
///
/// # Errors
/// When the program cannot be started or watched, or there is no thread to write its input.
pub(crate) fn feed<E: Send>(
    command: Command,
    listen: Listen,
    patience: Patience<'_>,
    grace: Duration,
    fill: impl FnOnce(&mut ChildStdin) -> Result<(), E> + Send,
) -> io::Result<(Finished, Result<(), E>)> {
    let mut running = Running::start(command, listen, Stdio::piped(), patience)?;
    let input = running.child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let is_spoilt = AtomicBool::new(false);
    let is_cancelled = || is_spoilt.load(Ordering::Relaxed) || (patience.is_cancelled)();
    thread::scope(|scope| {
        let write = |mut input: ChildStdin| match fill(&mut input) {
            Ok(()) => Ok(()),
            Err(error) => {
                is_spoilt.store(true, Ordering::Relaxed);
                // It goes with the error: until the program has ended, its input has not.
                Err((error, input))
            }
        };
        let Ok(writing) = threads::hand(scope, input, write) else {
            return Err(io::Error::other("there is no thread to write its input"));
        };
        let patience = Patience { time: patience.time, is_cancelled: &is_cancelled };
        let finished = running.finish(patience, grace)?;
        let written = writing.join().map_err(|_| io::Error::other("writing its input failed"))?;
        Ok((finished, written.map_err(|(error, _)| error)))
    })
}

/// A program that runs. It ends, with all that it started, when this is dropped.
pub(crate) struct Running {
    child: Child,
    reader: PipeReader,
    output: Vec<u8>,
    is_over: bool,
}

impl Running {
    /// Starts `command` with an input that says nothing and does not end before the program does.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn waiting(
        command: Command,
        listen: Listen,
        patience: Patience<'_>,
    ) -> io::Result<Self> {
        Self::start(command, listen, Stdio::piped(), patience)
    }

    fn start(
        mut command: Command,
        listen: Listen,
        input: Stdio,
        patience: Patience<'_>,
    ) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        let (output, errors) = match listen {
            Listen::Output => (writer.into(), Stdio::null()),
            Listen::Errors => (Stdio::null(), writer.into()),
            Listen::Both => (Stdio::from(writer.try_clone()?), writer.into()),
        };
        command.stdin(input).stdout(output).stderr(errors).process_group(0);
        // With the command goes our copy of the pipe's writing end.
        let child = spawn(command, patience)?;
        Ok(Self { child, reader, output: Vec::new(), is_over: false })
    }

    /// Waits for its end, and sees to that where it must be ended.
    fn finish(mut self, patience: Patience<'_>, grace: Duration) -> io::Result<Finished> {
        let end = self.watch(patience, |_| false);
        if !grace.is_zero() && !matches!(end, Ok(None)) {
            if let Ok(group) = pid_of(&self.child) {
                let _ = rustix::process::kill_process_group(group, Signal::TERM);
            }
            self.watch(Patience::of(grace), |_| false)?;
        }
        let status = self.end()?;
        drain(&mut self.reader, &mut self.output)?;
        let output = String::from_utf8_lossy(&self.output).into_owned();
        Ok(Finished { end: end?.unwrap_or(End::Exited(status)), output })
    }

    /// The program's process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line that it writes, without its end; what there is of it where the program ends or the
    /// time is over before.
    ///
    /// # Errors
    /// When the program cannot be watched.
    pub(crate) fn first_line(&mut self, patience: Patience<'_>) -> io::Result<String> {
        self.watch(patience, |output| output.contains(&b'\n'))?;
        drain(&mut self.reader, &mut self.output)?;
        let line = self.output.split(|&byte| byte == b'\n').next().unwrap_or_default();
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    /// Waits until `is_done`. Where the program ends or the time is over before, what it wrote until then is the
    /// answer.
    ///
    /// # Errors
    /// When the program cannot be watched.
    pub(crate) fn wait_until(
        &mut self,
        patience: Patience<'_>,
        is_done: impl Fn() -> bool,
    ) -> io::Result<Result<(), String>> {
        self.watch(patience, |_| is_done())?;
        if is_done() {
            return Ok(Ok(()));
        }
        drain(&mut self.reader, &mut self.output)?;
        Ok(Err(String::from_utf8_lossy(&self.output).into_owned()))
    }

    /// Lets it write whatever it wants from now on, which nobody reads and it need not wait for.
    ///
    /// # Errors
    /// When the pipe cannot be had, or there is no thread for it.
    pub(crate) fn stop_listening(&self) -> io::Result<()> {
        let mut reader = self.reader.try_clone()?;
        rustix::fs::fcntl_setfl(&reader, OFlags::empty())?;
        let swallow = move || drop(io::copy(&mut reader, &mut io::sink()));
        threads::detach("unheard", swallow).map_err(|_| io::Error::other("there is no thread"))
    }

    /// Asks it to end, which need not be listened to any more, and ends it after `grace`.
    pub(crate) fn end_gently(mut self, grace: Duration) {
        let started = Instant::now();
        let _ =
            pid_of(&self.child).map(|pid| rustix::process::kill_process_group(pid, Signal::TERM));
        while matches!(self.child.try_wait(), Ok(None)) && started.elapsed() < grace {
            std::thread::sleep(PAUSE);
        }
        let _ = self.end();
    }

    /// Collects output until the program ends, or `is_enough` of it (`None`), or it must be ended.
    fn watch(
        &mut self,
        patience: Patience<'_>,
        is_enough: impl Fn(&[u8]) -> bool,
    ) -> io::Result<Option<End>> {
        let started = Instant::now();
        let mut pause = Duration::from_micros(200);
        loop {
            drain(&mut self.reader, &mut self.output)?;
            if is_enough(&self.output) {
                return Ok(None);
            }
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            match rustix::process::waitid(WaitId::Pid(pid_of(&self.child)?), options) {
                Ok(Some(_)) => return Ok(None),
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if started.elapsed() > patience.time {
                return Ok(Some(End::TimedOut));
            }
            if (patience.is_cancelled)() {
                return Ok(Some(End::Cancelled));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE);
        }
    }

    /// Kills what still runs of it.
    fn end(&mut self) -> io::Result<ExitStatus> {
        self.is_over = true;
        // Before `wait`, so that the number cannot be another process's yet.
        if let Ok(group) = pid_of(&self.child) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.end();
        }
    }
}

/// Starts `command` between two pipes: what it is fed with, and what it makes of that. It gets a process
/// group of its own, so that signals from the terminal are not for it, and nobody hears its errors. Whoever
/// starts it ends it.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn between(
    mut command: Command,
    patience: Patience<'_>,
) -> io::Result<(Child, ChildStdin, ChildStdout)> {
    // Whoever is confined to a directory may not open /dev/null.
    let (_, nobody) = io::pipe()?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(nobody).process_group(0);
    let mut child = spawn(command, patience)?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(input), Some(output)) => Ok((child, input, output)),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Becomes `command`: this process goes on as that program. Returns only where it cannot.
pub(crate) fn become_program(mut command: Command) -> io::Error {
    command.exec()
}

/// Starts `command`; where it cannot be for a moment, a little later: where no more processes may run, or
/// another thread's new child still has the program's file open for writing.
pub(super) fn spawn(mut command: Command, patience: Patience<'_>) -> io::Result<Child> {
    let started = Instant::now();
    loop {
        let passes = [io::ErrorKind::WouldBlock, io::ErrorKind::ExecutableFileBusy];
        match command.spawn() {
            Err(error) if passes.contains(&error.kind()) => {
                if started.elapsed() > SPAWN_LIMIT || (patience.is_cancelled)() {
                    return Err(error);
                }
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
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
pub(crate) fn tail(output: &str) -> String {
    let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
    last.iter().map(|line| escape(line.trim()).into_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script);
        command
    }

    fn said(script: &str, listen: Listen) -> String {
        let finished = run(shell(script), listen, Patience::of(LONG)).unwrap();
        assert!(finished.end.is_success(), "{finished:?}");
        finished.output
    }

    #[test]
    fn what_is_listened_to_is_kept() {
        let both = "echo out; echo err >&2";
        assert_eq!(said(both, Listen::Output), "out\n");
        assert_eq!(said(both, Listen::Errors), "err\n");
        assert_eq!(said(both, Listen::Both), "out\nerr\n");
        assert_eq!(said("cat", Listen::Both), "", "there is no input");
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let started = Instant::now();
        let script = "sleep 600 & echo $!; wait";
        let time = Duration::from_millis(300);
        let finished = run(shell(script), Listen::Output, Patience::of(time)).unwrap();
        assert_eq!(finished.end, End::TimedOut);
        let child = format!("/proc/{}/exe", finished.output.trim());
        // Killed, and gone as soon as somebody has waited for it.
        while std::fs::read_link(&child).is_ok() {
            assert!(started.elapsed() < LONG, "{child}");
            std::thread::sleep(PAUSE);
        }
        let patience = Patience { time: LONG, is_cancelled: &|| true };
        assert_eq!(run(shell("sleep 600"), Listen::Both, patience).unwrap().end, End::Cancelled);
        assert!(started.elapsed() < LONG);
    }

    #[test]
    fn who_makes_a_mess_is_asked_first() {
        // Cancelled as soon as it listens.
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/asked");
        std::fs::create_dir_all(&place).unwrap();
        let sign = place.join(std::process::id().to_string());
        let patience = Patience { time: LONG, is_cancelled: &|| sign.exists() };
        let wait = format!("mkdir {}; while :; do sleep 0.01; done", sign.display());
        let tidy = format!("trap 'echo tidied; exit 3' TERM; {wait}");
        let finished = run_gently(shell(&tidy), Listen::Output, patience, LONG).unwrap();
        assert_eq!((finished.end, finished.output.as_str()), (End::Cancelled, "tidied\n"));
        std::fs::remove_dir(&sign).unwrap();
        let deaf = format!("trap '' TERM; {wait}");
        let started = Instant::now();
        let grace = Duration::from_millis(100);
        let finished = run_gently(shell(&deaf), Listen::Output, patience, grace).unwrap();
        std::fs::remove_dir(&sign).unwrap();
        assert_eq!(finished.end, End::Cancelled);
        assert!(started.elapsed() < LONG);
    }

    #[test]
    fn input_that_cannot_be_written_to_its_end_does_not_end() {
        let patience = Patience::of(LONG);
        let fed = |script: &str, fill: fn(&mut ChildStdin) -> io::Result<()>| {
            let (finished, filled) =
                feed(shell(script), Listen::Output, patience, LONG, fill).unwrap();
            (finished.output, finished.end.is_success(), filled.is_ok())
        };
        let script = "cat; echo end";
        let whole = |input: &mut ChildStdin| input.write_all(b"all\n");
        assert_eq!(fed(script, whole), ("all\nend\n".to_owned(), true, true));
        let broken = |input: &mut ChildStdin| {
            input.write_all(b"half\n")?;
            Err(io::ErrorKind::NotFound.into())
        };
        let (output, is_well, is_filled) = fed(script, broken);
        assert!(!output.contains("end") && !is_well && !is_filled, "{output}");
        let much = |input: &mut ChildStdin| input.write_all(&[0; 1 << 20]);
        assert_eq!(fed("exit 1", much), (String::new(), false, false), "nobody reads it");
    }

    #[test]
    fn of_endless_output_the_end_is_kept() {
        let script = "yes line | head -c 20000000; echo last";
        let output = said(script, Listen::Output);
        assert!(output.len() <= 2 * KEPT + (64 << 10) && output.ends_with("last\n"));
    }

    #[test]
    fn a_program_waits_as_long_as_it_is_held() {
        let patience = Patience::of(LONG);
        let mut running =
            Running::waiting(shell("echo first; cat; echo end"), Listen::Output, patience).unwrap();
        assert_eq!(running.first_line(patience).unwrap(), "first");
        assert!(std::fs::metadata(format!("/proc/{}", running.id())).is_ok());
        let late = Patience::of(Duration::from_millis(50));
        let mut silent = Running::waiting(shell("cat"), Listen::Output, late).unwrap();
        assert_eq!(silent.first_line(late).unwrap(), "");
    }
}
