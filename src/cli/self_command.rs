//! `elsewhere self update`: a newer version of this program.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::options::Output;
use crate::error::Error;
use crate::fetch::{self, FetchOptions, Fetcher};
use crate::host::Host;
use crate::release::{self, ReleaseError};
use crate::terminal::Terminal;

/// Look after the program `elsewhere` itself
#[derive(Debug, Args)]
pub(super) struct SelfCommand {
    #[command(subcommand)]
    command: Inner,
}

#[derive(Debug, Subcommand)]
enum Inner {
    Update(Update),
}

/// Replace this program by the newest release
///
/// The release's list of files must be signed by the key that this program was built with, the new
/// program must have the digest that the list says and run here, and it must not be older. It then
/// takes the place of the file that runs, in one step: a prefix's own `bin/elsewhere` updates the
/// program in that prefix. What is installed by it does not change.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere self update --check
  elsewhere self update --from /media/usb/elsewhere-0.2.0")]
struct Update {
    /// Only say whether there is a newer release
    #[arg(long)]
    check: bool,
    /// Where the release's files are: an https URL or a directory [default: the newest release]
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    /// Where downloads are kept [default: $XDG_CACHE_HOME/elsewhere]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// What came of it, as `--json` shows it.
#[derive(Serialize)]
struct UpdateReport<'a> {
    /// The version that ran.
    running: &'a str,
    /// The release's version, where it is newer.
    newer: Option<&'a str>,
    /// Whether the program was replaced.
    updated: bool,
}

impl SelfCommand {
    /// What is shown, and how.
    pub(super) fn output(&self) -> &Output {
        let Inner::Update(update) = &self.command;
        &update.output
    }

    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let Inner::Update(update) = &self.command;
        update.execute(host, terminal)
    }
}

impl Update {
    fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let cache_dir = self.cache_dir.clone().map_or_else(|| host.cache_dir(), Ok)?;
        let mut options = FetchOptions::new(cache_dir);
        options.mirror = host.mirror()?.map(str::to_owned);
        options.variables = host.network_variables();
        let fetcher = Fetcher::new(options, terminal)?;
        let base = self.base(host);
        let running = release::RUNNING;
        let newer = release::newer_release(&fetcher, &base, release::PINNED_KEY, running)?;
        if let (Some(release), false) = (&newer, self.check) {
            let (arch, program) =
                host.program_arch().zip(host.program()).ok_or(ReleaseError::Unknown)?;
            release::replace_program(&fetcher, &base, release, arch, &program)?;
            terminal.line(format_args!("replaced {}", program.display()));
        }
        let newer = newer.as_ref().map(|release| release.version());
        let answer = UpdateReport { running, newer, updated: newer.is_some() && !self.check };
        self.tell(&answer, terminal);
        Ok(())
    }

    /// The URL below which the release's files are.
    fn base(&self, host: &Host) -> String {
        match &self.from {
            None => release::NEWEST.to_owned(),
            Some(url) if url.contains("://") => url.clone(),
            Some(path) => fetch::join("file://", &host.absolute(path.as_ref()).to_string_lossy()),
        }
    }

    fn tell(&self, answer: &UpdateReport<'_>, terminal: &Terminal) {
        let running = answer.running;
        match answer.newer {
            _ if self.output.json => terminal.output_json(answer),
            None => terminal.output(format_args!("elsewhere {running} is the newest")),
            Some(newer) if answer.updated => {
                terminal.output(format_args!("elsewhere {newer} replaces {running}"));
            }
            Some(newer) => terminal.output(format_args!(
                "elsewhere {newer} is there, and this is {running}: see elsewhere self update"
            )),
        }
    }
}
