//! Whether programs can be run from a directory at all.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::error::TEST_LIMIT;
use super::{SmokeError, sandbox};
use crate::model::Arch;
use crate::tools::programs::{self, End, Listen, Patience};

/// Proves that programs can be run from `directory`, where trees for `arch`, this machine's
/// architecture, are to be: with the smallest of programs, before anything is made there.
///
/// # Errors
/// [`SmokeError::NoExec`], or that the directory cannot be written.
pub fn probe(directory: &Path, arch: Arch) -> Result<(), SmokeError> {
    let path = directory.join("probe");
    let failed = |source| SmokeError::Io { action: "write", path: path.clone(), source };
    sandbox::write_true(&path, arch).map_err(failed)?;
    let mut command = Command::new(&path);
    command.env_clear();
    let ran = programs::run(command, Listen::Both, Patience::of(TEST_LIMIT));
    fs::remove_file(&path).map_err(failed)?;
    let no_exec = |source| SmokeError::NoExec { path: directory.to_owned(), source };
    let problem = match ran.map_err(no_exec)?.end {
        End::Exited(status) if status.success() => return Ok(()),
        End::Exited(status) => format!("a program ended with {status}"),
        End::TimedOut | End::Cancelled => "a program did not end".to_owned(),
    };
    Err(no_exec(io::Error::other(problem)))
}
