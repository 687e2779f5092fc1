//! Runs a program in this one's place, as far as its user can tell: with the same terminal, in the same
//! process group, and with the signals that are meant for it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::programs::{self, Patience};
use super::threads;

/// Runs `command` and waits. What is sent to this process alone is passed on; Ctrl-C and Ctrl-\ reach the program
/// by themselves, because it is in the same group, and do not end this process.
///
/// # Errors
/// When it cannot be started or waited for, or signals cannot be caught.
pub(crate) fn run(command: Command) -> io::Result<ExitStatus> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])?;
    let handle = signals.handle();
    let mut child = programs::spawn(command, Patience::of(Duration::ZERO))?;
    let pid = Pid::from_child(&child);
    let pass_on = move || {
        for number in signals.forever().filter(|number| ![SIGINT, SIGQUIT].contains(number)) {
            if let Some(signal) = Signal::from_named_raw(number) {
                let _ = kill_process(pid, signal);
            }
        }
    };
    // Without the thread, signals are swallowed: better than to end before the program does.
    let _ = threads::detach("signals", pass_on);
    let ended = child.wait();
    handle.close();
    ended
}

/// Lets this process end when the one that started it does, until it gets other rights.
///
/// # Errors
/// When the kernel does not do that.
pub(crate) fn end_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// The exit status that stands for how a program ended: its own, or 128 and the number of the signal that ended
/// it, as shells have it.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|number| number.saturating_add(128));
    let code = status.code().or(signal);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
