//! Whether programs can be run from a directory at all.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{SmokeError, sandbox};
use crate::model::Arch;

/// Proves that programs can be run from `directory`, where trees for `arch`, this machine's
/// architecture, are to be: with the smallest of programs, before anything is made there.
///
/// # Errors
/// [`SmokeError::NoExec`], or that the directory cannot be written.
pub fn probe(directory: &Path, arch: Arch) -> Result<(), SmokeError> {
    let path = directory.join("probe");
    let failed = |source| SmokeError::Io { action: "write", path: path.clone(), source };
    sandbox::write_true(&path, arch).map_err(failed)?;
    let run = || Command::new(&path).env_clear().stdin(Stdio::null()).status();
    let mut ran = run();
    // Another thread's new child may still have it open for writing, for a moment.
    for _ in 0..50 {
        if !ran.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
        ran = run();
    }
    fs::remove_file(&path).map_err(failed)?;
    let no_exec = |source| SmokeError::NoExec { path: directory.to_owned(), source };
    match ran.map_err(no_exec)? {
        status if status.success() => Ok(()),
        status => Err(no_exec(io::Error::other(format!("a program ended with {status}")))),
    }
}
