//! The words with which launchers start this program where directories of a tree must stand at places of the
//! machine: `launch-in-places TREE [DIRECTORY PLACE]... -- PROGRAM WORDS`. No command of users', and so in no
//! help.
//!
//! The process that was started makes the namespace, starts the program and waits in it. If it became the program,
//! its namespace would end where the program makes one of its own, and what is mounted there would be torn down: then
//! `/proc/self/exe`, by which programs find their files, is a path of the mount and no more of the machine.
//! Without places this process becomes the program, and ends when the one that waits does.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use super::options::Output;
use crate::error::Error;
use crate::host::Host;
use crate::model::{END_OF_PLACES, IN_PLACES, PLACING_SCRATCH};
use crate::ranch::{Injection, Ranch, RanchError};
use crate::terminal::Form;
use crate::tools::{foreground, namespaces, programs};

/// The status of shells for a command that cannot be started.
const NOT_STARTED: u8 = 126;

/// What comes after the first word, where this is asked for.
pub(super) fn asked(host: &Host) -> Option<Vec<OsString>> {
    let mut words = host.arguments().skip(1);
    (words.next()? == IN_PLACES).then(|| words.collect())
}

/// Starts the program and ends with its status: 127 where there is none, 126 where it cannot be started.
pub(super) fn run(words: Vec<OsString>, host: &Host) -> ExitCode {
    let outcome = Placed::of(words).and_then(|placed| placed.run(host));
    outcome.map_or_else(
        |error| {
            let status = match &error {
                Error::Ranch(error) => error.start_status().unwrap_or(NOT_STARTED),
                _ => NOT_STARTED,
            };
            let terminal = Output::default().terminal(host, Arc::default(), Form::Events);
            terminal.error(&error, error.hint().as_deref(), status);
            ExitCode::from(status)
        },
        ExitCode::from,
    )
}

/// A program, and what it is to see where.
struct Placed {
    tree: PathBuf,
    /// Directories of the tree, and their places.
    places: Vec<(OsString, PathBuf)>,
    program: OsString,
    words: Vec<OsString>,
}

impl Placed {
    fn of(words: Vec<OsString>) -> Result<Self, Error> {
        let wrong = || Error::Usage(format!("{IN_PLACES} is for launchers: it cannot be typed so"));
        let mut words = words.into_iter();
        let tree = words.next().ok_or_else(wrong)?.into();
        let mut places = Vec::new();
        loop {
            let word = words.next().ok_or_else(wrong)?;
            if word == END_OF_PLACES {
                break;
            }
            places.push((word, words.next().ok_or_else(wrong)?.into()));
        }
        let program = words.next().ok_or_else(wrong)?;
        Ok(Self { tree, places, program, words: words.collect() })
    }

    fn run(self, host: &Host) -> Result<u8, Error> {
        let Self { tree, places, program, words } = self;
        if places.is_empty() {
            let _ = foreground::end_with_parent();
            let mut command = Command::new(&program);
            command.args(words);
            let source = programs::become_program(command);
            return Err(RanchError::Start { command: program, source }.into());
        }
        // The generation that is live now, whatever becomes so while the program runs.
        let tree = host.absolute(&tree);
        let tree = fs::canonicalize(&tree).map_err(|source| Error::File { path: tree, source })?;
        let injection = |(name, place): (OsString, PathBuf)| {
            let source = tree.join(name);
            Injection { source, place }
        };
        let ranch = Ranch {
            drivers: None,
            injections: places.into_iter().map(injection).collect(),
            writable: Vec::new(),
            keep: None,
            is_root: false,
        };
        // What the machine says of this process is told by the mounts of today.
        let (own, home) = (host.executable(), host.absolute(Path::new(".")));
        ranch.enter(Path::new("/"), &tree.join(PLACING_SCRATCH), &home)?;
        // The setuid helpers of the host, which would do that for it, have no rights here.
        let _ = namespaces::let_programs_mount();
        let mut command = Command::new(own);
        command.arg(IN_PLACES).arg(&tree).arg(END_OF_PLACES).arg(program).args(words);
        let status = foreground::run(command).map_err(|source| RanchError::Process { source })?;
        Ok(foreground::exit_code(status))
    }
}
