//! Programs of the machine that tests and demo need. A missing one is an error that names the
//! Debian package, never a reason to skip.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Where `program` is.
///
/// # Panics
/// When it is neither on `PATH` nor in the directories of administrators' programs: the message
/// names the Debian `package` to install.
pub fn need(program: &str, package: &str) -> PathBuf {
    find(program).unwrap_or_else(|| {
        panic!("`{program}` is missing: as root, type: apt-get install {package}")
    })
}

/// Where `program` is, if it is there.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administration = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(administration)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started or fails: with what it printed.
pub fn run(command: &mut Command) -> Output {
    let output =
        command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What a command prints, without the last line's end.
///
/// # Panics
/// As [`run`] does.
pub fn stdout(command: &mut Command) -> String {
    String::from_utf8_lossy(&run(command).stdout).trim_end().to_owned()
}
