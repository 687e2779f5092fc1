//! `elsewhere pin` and `elsewhere unpin`: runtimes that stay at a version.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::options::{Output, Turn};
use super::owners;
use super::parts;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::Whole;
use crate::model::escape;
use crate::terminal::Terminal;

/// Keep a runtime at its version
///
/// Install and update then leave the runtime where it is; the packages that it needs are still
/// updated. A version such as 1.4 lets it move within 1.4.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere pin ~/apptainer apptainer        at the version that is installed
  elsewhere pin ~/apptainer apptainer@1.4    within 1.4
  elsewhere pin ~/apptainer                  list the pins")]
pub(super) struct Pin {
    #[command(flatten)]
    turn: Turn,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix that it is installed in
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
    /// Runtime, and the version if it is not the installed one; none: list the pins
    #[arg(value_name = "RUNTIME[@VERSION]")]
    runtime: Option<String>,
}

/// Let a pinned runtime be updated again
#[derive(Debug, Args)]
pub(super) struct Unpin {
    #[command(flatten)]
    turn: Turn,
    #[command(flatten)]
    pub(super) output: Output,
    /// Prefix that it is installed in
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
    /// Runtime
    #[arg(value_name = "RUNTIME")]
    runtime: String,
}

impl Pin {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let whole = Whole::open(&host.absolute(&self.prefix))?.trusting(owners::by_files(host)?);
        let Some(runtime) = &self.runtime else { return self.list(&whole, terminal) };
        let (name, version) = match runtime.split_once('@') {
            Some((name, version)) if !version.is_empty() => (name, Some(version.to_owned())),
            Some((name, _)) => (name, None),
            None => (runtime.as_str(), None),
        };
        let is_word = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+~^:-".contains(&byte))
        };
        if name.is_empty() || !is_word(name) || version.as_deref().is_some_and(|it| !is_word(it)) {
            let typed = escape(runtime);
            return Err(Error::Usage(format!("{typed} is no RUNTIME or RUNTIME@VERSION")));
        }
        let (version, pins) = whole.pin(name, version, self.turn.waits(), terminal)?;
        if self.output.json {
            terminal.output_json(&json!({ "pins": pins }));
        }
        let (name, version) = (escape(name), escape(&version));
        terminal.line(format_args!(
            "{name}: pinned at {version}; to let it go: elsewhere unpin {} {name}",
            parts::typed(&self.prefix)
        ));
        Ok(())
    }

    fn list(&self, whole: &Whole, terminal: &Terminal) -> Result<(), Error> {
        let pins = whole.pins()?;
        if self.output.json {
            terminal.output_json(&json!({ "pins": pins }));
            return Ok(());
        }
        if pins.is_empty() {
            terminal.output(format_args!("{}: nothing is pinned", self.prefix.display()));
        }
        for (name, version) in &pins {
            terminal.output(format_args!("{} {}", escape(name), escape(version)));
        }
        Ok(())
    }
}

impl Unpin {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let whole = Whole::open(&host.absolute(&self.prefix))?.trusting(owners::by_files(host)?);
        let is_over = |name: &str| name == self.runtime;
        let (was_pinned, pins) = whole.unpin(&is_over, self.turn.waits(), terminal)?;
        if self.output.json {
            terminal.output_json(&json!({ "pins": pins }));
        }
        let name = escape(&self.runtime);
        match was_pinned {
            true => terminal.line(format_args!("{name}: no longer pinned")),
            false => terminal.line(format_args!("{name}: was not pinned")),
        }
        Ok(())
    }
}
