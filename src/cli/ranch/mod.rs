//! `elsewhere ranch`: a directory, or what is in a file, as a command's root, with files in it that it does not have.

mod drivers;
mod mounter;
mod stage;

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use self::drivers::DriverArgs;
use self::stage::Post;
pub(super) use self::stage::{Stage, asked_stage};
use super::options::{Definitions, Output};
use crate::error::Error;
use crate::host::Host;
use crate::model::shell_word;
use crate::ranch::{self, Injection, Ranch, RanchError, Start};
use crate::report::Reporter;
use crate::terminal::{Form, Terminal};
use crate::tools::namespaces::Ids;
use crate::tools::{files, foreground};

/// What is run where no command is named.
const SHELL: &str = "/bin/sh";

/// Run a command that sees a directory as its root, with files in it that it does not have
///
/// The directory, a tree of a container image for example, or what is in a squashfs or SIF file, may be read-only and
/// stays as it is: what is
/// added is seen by the command alone. Directories on the way to what is added are made anew, of links and bind
/// mounts, in a user namespace; that needs neither overlayfs nor root. /dev, /proc, /sys and /tmp are this machine's, where
/// the directory has a place for them. What is written to --writable directories is gone when the command has
/// ended, unless --keep names a place for it. Its exit status is the command's: 127 where there is no such command, 126 where it cannot be started.
///
/// Apptainer and podman do not see what is mounted below an image's directory: --for prints what says the same to
/// them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere ranch /cvmfs/images.example.org/alpine -- cat /etc/os-release
  elsewhere ranch -i ~/site.conf:/etc/app/site.conf -i ./lib:/opt/lib IMAGE -- /opt/app/run
  elsewhere ranch -w /var/cache IMAGE                     a shell
  elsewhere ranch -w /opt -k ~/opt IMAGE -- install.sh    what is written is there next time
  elsewhere ranch --prefix ~/apptainer image.sif -- app   what is in a file
  elsewhere ranch -i ~/sw:/cvmfs/sw.example.org / -- make   this machine, with a /cvmfs
  elsewhere ranch --nv IMAGE -- nvidia-smi                with what this machine's GPUs need
  elsewhere ranch --cdi nvidia.com/gpu=0 IMAGE -- app     the same as a CDI specification says it
  elsewhere ranch --for apptainer -i ~/a.conf:/etc/a.conf image.sif -- app
  elsewhere ranch --print -i ~/lib.so:/usr/lib/lib.so IMAGE")]
pub(super) struct RanchCommand {
    /// Show FROM, a file or directory of this machine, at TO: in place of what is there, or beside it (the last
    /// colon divides)
    #[arg(short, long = "inject", value_name = "FROM:TO")]
    injections: Vec<InjectedPath>,
    /// Let the command write to this directory of the root; its subdirectories stay as they are
    #[arg(short, long, value_name = "DIR")]
    writable: Vec<PathBuf>,
    /// Keep in DIR what is written to --writable directories and beside what is injected, for the next run with DIR
    /// to see it; one run at a time has it
    #[arg(short, long, value_name = "DIR", conflicts_with = "print")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    drivers: DriverArgs,
    /// Let the command be root, as far as files are this user's
    #[arg(long)]
    map_root: bool,
    /// Print what would be mounted, as a script for `unshare`, and run nothing
    #[arg(long)]
    print: bool,
    /// Run nothing, and print what says the same to RUNTIME, which does not see a ranch in its images: its options, or
    /// with ROOT, the image as RUNTIME calls it, the whole command line
    #[arg(long = "for", value_name = "RUNTIME", conflicts_with_all = ["print", "keep", "map_root", "prefix"])]
    runtime: Option<String>,
    /// Take the program that mounts ROOT, where that is a file, and the list for --nv or --rocm from this prefix
    /// [default: that in which this program lies, else PATH and this machine's own]
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<PathBuf>,
    #[command(flatten)]
    definitions: Definitions,
    #[command(flatten)]
    pub(super) output: Output,
    /// The directory, or a squashfs or SIF file; / is this machine's own root
    #[arg(value_name = "ROOT", required_unless_present = "runtime")]
    root: Option<PathBuf>,
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

/// Becomes a program that ends with `parent`, this process's own; or says why not, and with which status.
pub(super) fn serve(host: &Host, parent: u32, words: Vec<OsString>) -> ExitCode {
    let command = words.first().cloned().unwrap_or_default();
    let source = ranch::serve(parent, words.into_iter());
    // To the one who started it, who says the rest.
    let error = Error::from(RanchError::Start { command, source });
    let terminal = Output::default().terminal(host, Arc::default(), Form::Events);
    terminal.error(&error, None, error.exit_status());
    ExitCode::from(error.exit_status())
}

impl RanchCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// When it cannot be run; and [`Error::Ended`], with its exit status, when it has run.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        if let Some(runtime) = &self.runtime {
            return self.tell_runtime(runtime, host, terminal);
        }
        let root = self.root(host);
        if self.print && !root.is_file() {
            let tell = |text: &str| terminal.warning(text.to_owned());
            self.show(&self.fitted_ranch(host)?.script(&root, &self.words(), &tell)?, terminal);
            return Ok(());
        }
        let _kept = match &self.keep {
            Some(keep) => Some(ranch::hold(&host.absolute(keep))?),
            None => None,
        };
        let scratch = files::unique(&host.temporary_dir(), "elsewhere-ranch");
        DirBuilder::new().mode(0o700).create(&scratch).map_err(|source| {
            let path = scratch.clone();
            Error::File { path, source }
        })?;
        let ended = foreground::run(stage::inside(host, &scratch));
        // Outside nothing was ever mounted there.
        let _ = fs::remove_dir(&scratch);
        let status = ended.map_err(|source| RanchError::Process { source })?;
        Err(Error::Ended(foreground::exit_code(status)))
    }

    /// Prints what says the same to a runtime.
    fn tell_runtime(&self, name: &str, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let catalog = self.definitions.catalog(host)?;
        let runtime = catalog.runtime(name)?;
        let bind = runtime.bind.as_ref().zip(runtime.commands.first());
        let (bind, program) =
            bind.ok_or_else(|| RanchError::NoWords { runtime: runtime.name.clone() })?;
        let (mut options, drivers) = self.drivers.told(host, runtime, bind)?;
        let ranch = Ranch { drivers, ..self.ranch(host) };
        options
            .extend(ranch.options(&runtime.name, bind, &|text| terminal.warning(text.to_owned()))?);
        let line = match &self.root {
            None => None,
            Some(image) => Some(ranch::line(&program.name, bind, &options, image, &self.words())?),
        };
        if self.output.json {
            terminal.output_json(&json!({ "options": options, "command": line }));
            return Ok(());
        }
        let words = line.unwrap_or(options);
        let words: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
        terminal.output_document(&words.join(" "));
        Ok(())
    }

    fn root(&self, host: &Host) -> PathBuf {
        // clap has seen to it where it is asked for.
        host.absolute(self.root.as_deref().unwrap_or_else(|| Path::new("/")))
    }

    /// Makes the namespaces, in the process that was started for that, and becomes the command, or waits for it; or
    /// says why not, and with which status.
    pub(super) fn run_inside(&self, host: &Host, post: &Post) -> ExitCode {
        match self.try_inside(host, post) {
            Ok(status) => status,
            Err(error) => self.tell(host, &error),
        }
    }

    fn try_inside(&self, host: &Host, post: &Post) -> Result<ExitCode, Error> {
        let (ranch, root, words) = (self.fitted_ranch(host)?, self.root(host), self.words());
        let home = host.absolute(Path::new("."));
        let Post { waiting, scratch } = post;
        let tell = |text: &str| self.warn(host, text);
        let start = Start { command: &words, scratch, home: &home, waiting: *waiting, tell: &tell };
        let enter = stage::enter(host, Ids::own(), scratch);
        if !root.is_file() {
            let status = ranch.run(&root, &start, enter)?;
            return Ok(ExitCode::from(foreground::exit_code(status)));
        }
        let catalog = self.definitions.catalog(host)?;
        let image = mounter::image(host, &catalog, root, self.prefix.as_deref())?;
        let serve = stage::serve(host);
        if self.print {
            let terminal = self.output.terminal(host, Arc::default(), Form::Document);
            let script = ranch.script_of_image(&image, &start, serve)?;
            self.show(&script, &terminal);
            terminal.finish();
            return Ok(ExitCode::SUCCESS);
        }
        let status = ranch.run_in_image(&image, &start, [serve, enter])?;
        Ok(ExitCode::from(foreground::exit_code(status)))
    }

    /// Becomes the command in the root directory that was made, in the process that was started for that; or says
    /// why not, and with which status.
    pub(super) fn enter(&self, host: &Host, own: Ids, post: &Post) -> ExitCode {
        let (words, home) = (self.words(), host.absolute(Path::new(".")));
        let Post { waiting, scratch } = post;
        let tell = |text: &str| self.warn(host, text);
        let start = Start { command: &words, scratch, home: &home, waiting: *waiting, tell: &tell };
        match self.ranch(host).go_in(own, &start) {
            Ok(never) => match never {},
            Err(error) => self.tell(host, &error.into()),
        }
    }

    /// Says something to the user, who has no terminal here yet: one that draws would have a second thread.
    fn warn(&self, host: &Host, text: &str) {
        let form = if self.print { Form::Document } else { Form::Events };
        let terminal = self.output.terminal(host, Arc::default(), form);
        terminal.warning(text.to_owned());
        terminal.finish();
    }

    /// Says why there is no command.
    fn tell(&self, host: &Host, error: &Error) -> ExitCode {
        let form = if self.print { Form::Document } else { Form::Events };
        let terminal = self.output.terminal(host, Arc::default(), form);
        terminal.error(error, error.hint().as_deref(), error.exit_status());
        ExitCode::from(error.exit_status())
    }

    fn show(&self, script: &str, terminal: &Terminal) {
        if self.output.json {
            terminal.output_json(&json!({ "script": script }));
        } else {
            terminal.output_document(script.trim_end());
        }
    }

    fn ranch(&self, host: &Host) -> Ranch {
        let injection = |InjectedPath { source, place }: &InjectedPath| Injection {
            source: host.absolute(source),
            place: place.clone(),
        };
        Ranch {
            injections: self.injections.iter().map(injection).collect(),
            writable: self.writable.clone(),
            keep: self.keep.as_ref().map(|keep| host.absolute(keep)),
            is_root: self.map_root,
            drivers: None,
        }
    }

    /// The same, with what was asked for of this machine's drivers.
    fn fitted_ranch(&self, host: &Host) -> Result<Ranch, Error> {
        if self.drivers.is_nothing() {
            return Ok(self.ranch(host));
        }
        let catalog = self.definitions.catalog(host)?;
        let drivers = self.drivers.needs(host, &catalog, self.prefix.as_deref())?;
        Ok(Ranch { drivers: Some(drivers), ..self.ranch(host) })
    }

    fn words(&self) -> Vec<OsString> {
        if self.command.is_empty() { vec![SHELL.into()] } else { self.command.clone() }
    }
}
