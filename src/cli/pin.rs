//! `elsewhere pin` and `elsewhere unpin`: runtimes that stay at a version.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::options::{Output, Turn};
use super::parts;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle;
use crate::model::{Pins, escape};
use crate::prefix::Prefix;
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
        let prefix = Prefix::open(&host.absolute(&self.prefix))?;
        let Some(runtime) = &self.runtime else { return self.list(&prefix, terminal) };
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
        let version = version.map_or_else(|| installed(&prefix, name, terminal), Ok)?;
        let mut pins = Pins::new();
        for part in parts::all(&prefix)? {
            let part = part.lock(self.turn.waits(), terminal)?;
            pins = part.pins()?;
            pins.insert(name.to_owned(), version.clone());
            part.set_pins(&pins)?;
        }
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

    fn list(&self, prefix: &Prefix, terminal: &Terminal) -> Result<(), Error> {
        let pins = parts::pins(prefix)?;
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
        let prefix = Prefix::open(&host.absolute(&self.prefix))?;
        let (mut pins, mut was_pinned) = (Pins::new(), false);
        for part in parts::whole_and_members(&prefix)? {
            let part = part.lock(self.turn.waits(), terminal)?;
            pins = part.pins()?;
            if pins.remove(&self.runtime).is_some() {
                was_pinned = true;
                part.set_pins(&pins)?;
            }
        }
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

/// The version in which the runtime is installed.
fn installed(prefix: &Prefix, name: &str, terminal: &Terminal) -> Result<String, Error> {
    let mut versions = BTreeSet::new();
    for part in parts::all(prefix)? {
        for tree in lifecycle::present(&part, terminal)?.trees.into_values() {
            let runtimes = tree.runtimes.into_iter().filter(|runtime| runtime.name == name);
            versions.extend(runtimes.map(|runtime| runtime.version));
        }
    }
    let name = escape(name);
    match Vec::from_iter(versions).as_slice() {
        [version] => Ok(version.clone()),
        [] => Err(Error::Usage(format!(
            "{name} is not installed here: name the version, as in {name}@1.4"
        ))),
        several => Err(Error::Usage(format!(
            "{name} is installed in several versions ({}): name one, as in {name}@{}",
            escape(&several.join(", ")),
            escape(several.last().map_or("1.4", String::as_str))
        ))),
    }
}
