//! How much a command tells, and in which form.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::document;
use crate::error::Error;
use crate::host::Host;
use crate::terminal::{Form, Terminal, Verbosity};

/// How much is shown, and in which form.
#[derive(Debug, Default, Args)]
pub(super) struct Output {
    /// Tell every decision
    #[arg(long, conflicts_with = "quiet")]
    verbose: bool,
    /// Tell errors only
    #[arg(short, long)]
    quiet: bool,
    /// Tell as JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
    /// Show download errors and retries as they happen
    #[arg(short = 'e')]
    show_retries: bool,
    /// Write down what took how long, for a viewer of Chrome's traces (docs/performance.md)
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

impl Output {
    /// What `--json` alone asks for.
    pub(super) fn json() -> Self {
        Self { json: true, ..Self::default() }
    }

    /// The terminal that these options ask for. For programs it has the form `json`.
    pub(super) fn terminal(&self, host: &Host, cancelled: Arc<AtomicBool>, json: Form) -> Terminal {
        self.terminal_of(Verbosity::Normal, host, cancelled, json)
    }

    /// The same for what is run by nobody: on no terminal, warnings and results alone are told.
    pub(super) fn terminal_for_cron(
        &self,
        host: &Host,
        cancelled: Arc<AtomicBool>,
        json: Form,
    ) -> Terminal {
        let usual = match std::io::stderr().is_terminal() {
            true => Verbosity::Normal,
            false => Verbosity::Terse,
        };
        self.terminal_of(usual, host, cancelled, json)
    }

    fn terminal_of(
        &self,
        usual: Verbosity,
        host: &Host,
        cancelled: Arc<AtomicBool>,
        json: Form,
    ) -> Terminal {
        let verbosity = match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => usual,
        };
        let tty = std::io::stderr().is_terminal() && !host.is_dumb_terminal();
        let form = match (self.json, tty) {
            (true, _) => json,
            (_, true) => Form::Bars,
            _ => Form::Lines,
        };
        let colour = tty && !host.no_colour();
        Terminal::new(verbosity, form, self.show_retries, colour, cancelled)
            .with_columns(host.columns())
            .recording(self.trace.is_some())
    }

    /// Writes what `terminal` recorded, where that was asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write_trace(&self, terminal: &Terminal) -> Result<(), Error> {
        match (&self.trace, terminal.trace()) {
            (Some(path), Some(trace)) => document::write(path, &format!("{trace}\n"), terminal),
            _ => Ok(()),
        }
    }
}
