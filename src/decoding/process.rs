//! This end of the pipes to a process that decodes: it is fed by one thread, and read by another.

use std::io::{self, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, Signal};

use super::ahead::fill;
use super::frame::{self, HEAD, Kind, LENGTH, PIECE};
use super::serve::COMMAND;
use crate::model::Compression;
use crate::tools::programs::{self, Patience};
use crate::tools::threads;

/// How long it may take to start, on the busiest machine.
const START: Duration = Duration::from_secs(20);
/// How long it may take and give nothing.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a thread that waits for it looks whether the other one moves.
const TICK: Duration = Duration::from_secs(1);
/// How long it may take to end once its output has ended.
const ENDING: Duration = Duration::from_millis(200);
/// Bytes after all that was wanted for which the process is not given up. Archives end with up to 512.
const REST: u64 = 1 << 20;
/// Bytes that wait in a pipe at most: what the kernel lets every user have.
const IN_A_PIPE: usize = 1 << 20;
/// Bytes that are read at once at most; more goes straight to whoever wants it.
const BUFFER: usize = 64 << 10;

/// What keeps a process that decodes from what it needs not, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whether it reaches no file, no network and no other process.
    pub is_full: bool,
    /// How.
    pub how: String,
}

/// The program, and how its processes are started.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    niceness: i32,
}

impl Program {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), niceness: 0 }
    }

    /// Starts one, and waits until it is ready.
    pub(super) fn start(&self) -> io::Result<(Process, Kept)> {
        let mut command = Command::new(&self.path);
        // It is told nothing.
        command.arg(COMMAND).env_clear().current_dir("/");
        let (child, input, output) = programs::between(command, Patience::of(START))?;
        for pipe in [input.as_fd(), output.as_fd()] {
            // So that neither end waits for the other's every move. Where it fails they are small.
            let _ = fcntl_setpipe_size(pipe, IN_A_PIPE);
        }
        let mut process = Process { child, output, input: Some(input) };
        let kept = process.first_word()?;
        self.set_niceness(&process);
        Ok((process, kept))
    }

    /// Lets others go before its processes.
    pub(super) fn give_way(&mut self, by: i32, running: Option<&Process>) {
        self.niceness = by;
        running.into_iter().for_each(|process| self.set_niceness(process));
    }

    fn set_niceness(&self, process: &Process) {
        if self.niceness != 0 {
            // Where it fails all are equal.
            let _ = rustix::process::setpriority_process(process.id(), self.niceness);
        }
    }
}

/// A process that decodes. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    output: ChildStdout,
    /// None while another thread feeds it.
    input: Option<ChildStdin>,
}

/// What came of asking a process to decode.
pub(super) enum Served<R, W, T, E> {
    /// It did, and `work` was done; the process, where it can decode more.
    Done { outcome: Result<T, E>, process: Option<Process> },
    /// There was no thread to feed it.
    NoThread { input: R, work: W, process: Process },
}

impl Process {
    /// Does `work` with what the process makes of `input`.
    pub(super) fn serve<'scope, R, W, T, E>(
        mut self,
        scope: &'scope Scope<'scope, '_>,
        compression: Compression,
        input: R,
        work: W,
    ) -> Served<R, W, T, E>
    where
        R: Read + Send + 'scope,
        W: FnOnce(&mut dyn Read) -> Result<T, E>,
    {
        let feed = Arc::new(Feed::default());
        let of_feeder = Arc::clone(&feed);
        let pipe = self.input.take();
        let feeder = threads::hand(scope, (input, pipe), move |(input, pipe)| {
            let mut pipe = pipe?;
            of_feeder.run(compression, input, &mut pipe).then_some(pipe)
        });
        let feeder = match feeder {
            Ok(feeder) => feeder,
            Err((input, pipe)) => {
                self.input = pipe;
                return Served::NoThread { input, work, process: self };
            }
        };
        let mut answer = Answer { process: &mut self, feed: &feed, left: 0, is_over: false };
        let outcome = work(&mut BufReader::with_capacity(BUFFER, &mut answer));
        let is_whole = outcome.is_ok() && answer.finish();
        if !is_whole {
            // The thread that feeds it is not to wait for it.
            feed.is_over.store(true, Ordering::Relaxed);
            self.end();
        }
        self.input = feeder.join().ok().flatten().filter(|_| is_whole);
        let process = self.input.is_some().then_some(self);
        Served::Done { outcome, process }
    }

    fn id(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// Waits for the word that it is ready.
    fn first_word(&mut self) -> io::Result<Kept> {
        if !self.wait(START)? {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not start in time"));
        }
        let mut start = [0; HEAD];
        if fill(&mut self.output, &mut start)? < HEAD {
            return Err(self.death());
        }
        let odd = || io::Error::other("what was started is no decoder");
        let (kind, length) = frame::head(start).ok_or_else(odd)?;
        let is_full = match kind {
            Kind::Ready => true,
            Kind::HalfReady => false,
            _ => return Err(odd()),
        };
        let mut text = vec![0; length];
        self.output.read_exact(&mut text)?;
        Ok(Kept { is_full, how: frame::text_from(&text) })
    }

    /// Waits until there is something to read; false where there was not in time.
    fn wait(&self, time: Duration) -> io::Result<bool> {
        let time = Timespec { tv_sec: time.as_secs().try_into().unwrap_or(1), tv_nsec: 0 };
        let mut pipes = [PollFd::new(&self.output, PollFlags::IN)];
        match poll(&mut pipes, Some(&time)) {
            Ok(count) => Ok(count > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Kills it, and all that holds its pipes, unless it has ended: its number could be another's then.
    fn end(&mut self) {
        if let (Ok(None), Some(group)) = (self.child.try_wait(), self.id()) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
    }

    /// Why it gives nothing any more.
    fn death(&mut self) -> io::Error {
        let started = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return io::Error::other(how_it_died(status)),
                Ok(None) if started.elapsed() < ENDING => thread::sleep(Duration::from_millis(1)),
                Ok(None) => return io::Error::other("the process that decodes closed its output"),
                Err(error) => return error,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        let _ = self.child.wait();
    }
}

/// How a process ended that should not have.
fn how_it_died(status: ExitStatus) -> String {
    const KILL: i32 = 9;
    match (status.signal(), status.code()) {
        (Some(KILL), _) => {
            "the process that decodes was killed: by the system, for want of memory, or by somebody"
                .to_owned()
        }
        (Some(signal), _) => format!(
            "the process that decodes died of signal {signal}: it met its limit on memory, or a fault in a \
             decoder"
        ),
        (None, code) => {
            format!("the process that decodes ended early, with status {}", code.unwrap_or(-1))
        }
    }
}

/// What the thread that feeds a process tells the one that reads from it.
#[derive(Default)]
struct Feed {
    /// Why there is no more input.
    error: Mutex<Option<io::Error>>,
    /// Pieces that the process took.
    taken: AtomicU64,
    /// Whether it waits for input itself.
    is_hungry: AtomicBool,
    /// Whether nobody wants what the process would make of it.
    is_over: AtomicBool,
}

impl Feed {
    /// Feeds the process with all of `input`; false where that failed.
    fn run(&self, compression: Compression, mut input: impl Read, pipe: &mut impl Write) -> bool {
        let mut piece = vec![0; LENGTH + PIECE];
        if pipe.write_all(&[frame::code(compression)]).is_err() {
            return false;
        }
        while !self.is_over.load(Ordering::Relaxed) {
            self.is_hungry.store(true, Ordering::Relaxed);
            let filled = fill(&mut input, piece.get_mut(LENGTH..).unwrap_or_default());
            self.is_hungry.store(false, Ordering::Relaxed);
            let length = match filled {
                Ok(length) => length,
                Err(error) => {
                    // The pipe is closed then, and with it the process's output ends.
                    *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return false;
                }
            };
            let head = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
            piece.iter_mut().zip(head).for_each(|(to, from)| *to = from);
            // Whoever reads from the process learns why.
            if pipe.write_all(piece.get(..LENGTH + length).unwrap_or_default()).is_err() {
                return false;
            }
            // Nobody else writes it.
            self.taken.store(self.taken.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            if length == 0 {
                return true;
            }
        }
        false
    }

    fn error(&self) -> Option<io::Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a process makes of one payload.
struct Answer<'p> {
    process: &'p mut Process,
    feed: &'p Feed,
    /// Bytes that are left of a piece.
    left: usize,
    is_over: bool,
}

impl Answer<'_> {
    /// Passes over what nobody wanted; false where that is much, or does not come.
    fn finish(&mut self) -> bool {
        let passed = io::copy(&mut self.by_ref().take(REST), &mut io::sink());
        // An error at the end of a payload, which nobody wanted to read, is an end.
        self.is_over || passed.is_ok_and(|length| length < REST)
    }

    /// Reads what comes from the process, once it comes.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut quiet, mut taken) = (Duration::ZERO, 0);
        while !self.process.wait(TICK)? {
            let now = self.feed.taken.load(Ordering::Relaxed);
            quiet += TICK;
            if now != taken || self.feed.is_hungry.load(Ordering::Relaxed) {
                (quiet, taken) = (Duration::ZERO, now);
            }
            if quiet >= PATIENCE {
                let text = "the process that decodes gave nothing for two minutes";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
        self.process.output.read(buffer)
    }

    fn receive_all(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.receive(buffer) {
                Ok(0) => return Err(self.broken_off()),
                Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Why the process's output ended.
    fn broken_off(&mut self) -> io::Error {
        // It ends when its input does, and then there is a reason.
        let death = self.process.death();
        self.feed.error().unwrap_or(death)
    }

    /// Reads what is to be read next; false where that is nothing any more.
    fn advance(&mut self) -> io::Result<bool> {
        let mut start = [0; HEAD];
        self.receive_all(&mut start)?;
        match frame::head(start) {
            Some((Kind::Data, length)) => {
                self.left = length;
                Ok(true)
            }
            Some((Kind::End, _)) => {
                self.is_over = true;
                Ok(false)
            }
            Some((Kind::Error, length)) => {
                let mut bytes = vec![0; length];
                self.receive_all(&mut bytes)?;
                self.is_over = true;
                // What ends without its end is an error to the process, and there is a reason.
                Err(self.feed.error().unwrap_or_else(|| frame::error_from(&bytes)))
            }
            _ => Err(io::Error::other("the process that decodes gave something odd")),
        }
    }
}

impl Read for Answer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            if self.is_over || !self.advance()? {
                return Ok(0);
            }
        }
        let room = self.left.min(buffer.len());
        match self.receive(buffer.get_mut(..room).unwrap_or_default())? {
            0 if room > 0 => Err(self.broken_off()),
            count => {
                self.left -= count;
                Ok(count)
            }
        }
    }
}
