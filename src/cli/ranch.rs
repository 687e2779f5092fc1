//! `elsewhere ranch`: a directory as a command's root, with files in it that it does not have.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::options::Output;
use crate::error::Error;
use crate::host::Host;
use crate::ranch::{Injection, Ranch, RanchError};
use crate::terminal::{Form, Terminal};
use crate::tools::{files, foreground};

/// What is run where no command is named.
const SHELL: &str = "/bin/sh";

/// Run a command that sees a directory as its root, with files in it that it does not have
///
/// The directory, a tree of a container image for example, may be read-only and stays as it is: what is
/// added is seen by the command alone. Directories on the way to what is added are made anew, of links and bind
/// mounts, in a user namespace; that needs neither overlayfs nor root. /dev, /proc, /sys and /tmp are this machine's, where
/// the directory has a place for them. What is written to --writable directories is gone when the command has
/// ended. Its exit status is the command's: 127 where there is no such command, 126 where it cannot be started.
///
/// Apptainer and podman do not see what is mounted below an image's directory: give them --bind and -v instead.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere ranch /cvmfs/images.example.org/alpine -- cat /etc/os-release
  elsewhere ranch -i ~/site.conf:/etc/app/site.conf -i ./lib:/opt/lib IMAGE -- /opt/app/run
  elsewhere ranch -w /var/cache IMAGE                     a shell
  elsewhere ranch -i ~/sw:/cvmfs/sw.example.org / -- make   this machine, with a /cvmfs
  elsewhere ranch --print -i ~/lib.so:/usr/lib/lib.so IMAGE")]
pub(super) struct RanchCommand {
    /// Show FROM, a file or directory of this machine, at TO: in place of what is there, or beside it (the last
    /// colon divides)
    #[arg(short, long = "inject", value_name = "FROM:TO")]
    injections: Vec<InjectedPath>,
    /// Let the command write to this directory of the root; its subdirectories stay as they are
    #[arg(short, long, value_name = "DIR")]
    writable: Vec<PathBuf>,
    /// Let the command be root, as far as files are this user's
    #[arg(long)]
    map_root: bool,
    /// Print what would be mounted, as a script for `unshare`, and run nothing
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    pub(super) output: Output,
    /// The directory; / is this machine's own root
    #[arg(value_name = "ROOT")]
    root: PathBuf,
    /// The command and its arguments [default: /bin/sh]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What `--inject` takes.
#[derive(Clone, Debug)]
struct InjectedPath {
    source: PathBuf,
    place: PathBuf,
}

impl FromStr for InjectedPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once(':') {
            Some((source, place)) if !source.is_empty() && place.starts_with('/') => {
                Ok(Self { source: source.into(), place: place.into() })
            }
            _ => Err("write FROM:TO, where TO begins with /".to_owned()),
        }
    }
}

/// The first word of the command line of the process that becomes the command: no command of users', and so in no
/// help.
const INSIDE: &str = "ranch-inside";

/// The scratch directory and what the user typed, where this process is to become a command.
pub(super) fn asked_inside(host: &Host) -> Option<(PathBuf, Vec<OsString>)> {
    let mut words = host.arguments();
    let program = words.next()?;
    (words.next()? == INSIDE).then_some(())?;
    let scratch = words.next()?;
    Some((scratch.into(), [program].into_iter().chain(words).collect()))
}

impl RanchCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// When it cannot be run; and [`Error::Ended`], with its exit status, when it has run.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        if self.print {
            let script = self.ranch(host).script(&self.words())?;
            if self.output.json {
                terminal.output_json(&json!({ "script": script }));
            } else {
                terminal.output_document(script.trim_end());
            }
            return Ok(());
        }
        let scratch = files::unique(&host.temporary_dir(), "elsewhere-ranch");
        DirBuilder::new().mode(0o700).create(&scratch).map_err(|source| {
            let path = scratch.clone();
            Error::File { path, source }
        })?;
        let mut inside = Command::new(host.executable());
        inside.arg(INSIDE).arg(&scratch).args(host.arguments().skip(1));
        let ended = foreground::run(inside);
        // Outside nothing was ever mounted there.
        let _ = fs::remove_dir(&scratch);
        let status = ended.map_err(|source| RanchError::Process { source })?;
        Err(Error::Ended(foreground::exit_code(status)))
    }

    /// Becomes the command, in the process that was started for that; or says why not, and with which status.
    pub(super) fn run_inside(&self, host: &Host, scratch: &Path) -> ExitCode {
        let home = host.absolute(Path::new("."));
        let outcome = self.ranch(host).become_command(&self.words(), scratch, &home);
        let error = match outcome {
            Ok(never) => match never {},
            Err(error) => Error::from(error),
        };
        let terminal = self.output.terminal(host, Arc::default(), Form::Events);
        terminal.error(&error, error.hint().as_deref(), error.exit_status());
        ExitCode::from(error.exit_status())
    }

    fn ranch(&self, host: &Host) -> Ranch {
        let injection = |InjectedPath { source, place }: &InjectedPath| Injection {
            source: host.absolute(source),
            place: place.clone(),
        };
        Ranch {
            root: host.absolute(&self.root),
            injections: self.injections.iter().map(injection).collect(),
            writable: self.writable.clone(),
            is_root: self.map_root,
        }
    }

    fn words(&self) -> Vec<OsString> {
        if self.command.is_empty() { vec![SHELL.into()] } else { self.command.clone() }
    }
}
