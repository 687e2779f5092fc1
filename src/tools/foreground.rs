//! Runs a program in this one's place, as far as its user can tell: with the same terminal, in the same
//! process group, and with the signals that are meant for it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::programs::{self, Patience};
use super::threads;

/// Runs `command` and waits. What is sent to this process alone is passed on; Ctrl-C and Ctrl-\ reach the program
/// by themselves, because it is in the same group, and do not end this process.
///
/// # Errors
/// When it cannot be started or waited for, or signals cannot be caught.
pub(crate) fn run(command: Command) -> io::Result<ExitStatus> {
    let passed = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD];
    let mut signals = Signals::new(passed)?;
    let handle = signals.handle();
    let mut child = programs::spawn(command, Patience::of(Duration::ZERO))?;
    let pid = Pid::from_child(&child);
    let pass_on = move || {
        for number in signals.forever().filter(|number| ![SIGINT, SIGQUIT].contains(number)) {
            if number != SIGCHLD {
                if let Some(signal) = Signal::from_named_raw(number) {
                    let _ = kill_process(pid, signal);
                }
            } else if has_ended(pid) {
                return;
            }
        }
    };
    // There is none for who has entered a namespace of processes that it is not in itself.
    if let Err(mut pass_on) = threads::detach("signals", pass_on) {
        pass_on();
    }
    let ended = match std::process::id() {
        1 => wait_as_first(pid),
        _ => child.wait(),
    };
    handle.close();
    ended
}

/// Whether the program has ended, and maybe somebody has waited for it.
fn has_ended(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match rustix::process::waitid(WaitId::Pid(pid), options) {
        Ok(ended) => ended.is_some(),
        Err(error) => error != Errno::INTR,
    }
}

/// Waits for the program, and for all whose parent has ended: the first process of a namespace is theirs then.
fn wait_as_first(program: Pid) -> io::Result<ExitStatus> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => {
                return Ok(ExitStatus::from_raw(status.as_raw()));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Lets this process end when the one that started it does, until it gets other rights.
///
/// # Errors
/// When the kernel does not do that.
pub(crate) fn end_with_parent() -> io::Result<()> {
    end_with_parent_by(Signal::KILL)
}

/// Lets this process, whose parent is `parent` (0 where that is in another namespace), get `signal` when that ends, be it
/// now.
///
/// # Errors
/// When the kernel does not do that, or the parent has ended.
pub(crate) fn end_with(parent: u32, signal: Signal) -> io::Result<()> {
    end_with_parent_by(signal)?;
    let there = rustix::process::getppid().map_or(0, Pid::as_raw_pid);
    match u32::try_from(there).ok() == Some(parent) {
        true => Ok(()),
        false => Err(io::Error::other("the process that waits for it has ended")),
    }
}

fn end_with_parent_by(signal: Signal) -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(signal))?)
}

/// The exit status that stands for how a program ended: its own, or 128 and the number of the signal that ended
/// it, as shells have it.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|number| number.saturating_add(128));
    let code = status.code().or(signal);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
