//! What this machine and this process are: the only reader of the environment, of the arguments
//! and of the working directory. Everyone else is handed plain values.

mod clock;
mod environment;
mod machine;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

pub use clock::today;
pub use environment::{Environment, HostError, VARIABLES};
pub use machine::{facts, user_namespaces_refused};

/// The process's arguments, the program's own name first.
pub fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os()
}

/// The working directory.
///
/// # Errors
/// When it was removed, or cannot be read.
pub fn current_directory() -> io::Result<PathBuf> {
    std::env::current_dir()
}

/// Whether standard error, where progress and messages go, is a terminal.
#[must_use]
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether standard output is a terminal.
#[must_use]
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// The machine's name, to say who holds a lock.
#[must_use]
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The effective user's id.
#[must_use]
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// This process's id.
#[must_use]
pub fn process_id() -> u32 {
    std::process::id()
}
