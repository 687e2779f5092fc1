//! `elsewhere lock`: whether what a lock file names is still what it should be.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::install::read_lock;
use super::options::{Output, Sources};
use super::session::Session;
use super::trust::TrustArgs;
use crate::error::Error;
use crate::host::Host;
use crate::model::{LockError, escape};
use crate::planning::{self, TreeStanding};
use crate::terminal::{Page, Terminal};

/// Look after a lock file
///
/// Says which of its packages there are newer versions of, which no mirror has any more, and whether a key
/// that signed any of them was revoked or has expired. The lock file stays as it is. The exit status is that of
/// the worst: 4 for a key, 5 for packages that are gone, 10 for newer ones, 0 where all is as it was.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere lock --check apptainer.lock")]
pub(super) struct Lock {
    /// The lock file, made by `elsewhere plan --lock FILE`
    #[arg(long, value_name = "FILE", required = true)]
    check: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Lock {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let plan = read_lock(&self.check)?;
        let settings = self.sources.settings(host)?;
        self.sources.check_mirror(host, &settings.config)?;
        let session = Session::with(host, &self.sources, settings, terminal)?;
        let keys = session.keys(&self.trust)?;
        let trees = planning::standing(session.context(), &keys, &plan)?;
        if self.output.json {
            terminal.output_json(&json!({ "trees": trees }));
        } else {
            let mut page = Page::new(terminal.width(), false);
            trees.iter().for_each(|tree| show(&mut page, tree));
            terminal.output_page(&page);
        }
        judge(&trees)
    }
}

/// The worst of what was found, as an error.
fn judge(trees: &[TreeStanding]) -> Result<(), Error> {
    let signed = trees.iter().flat_map(|tree| &tree.keys).map(|key| key.packages.len()).sum();
    let gone = trees.iter().map(|tree| tree.gone.len()).sum();
    let is_newer = trees.iter().any(|tree| !tree.newer.is_empty());
    match (signed, gone) {
        (0, 0) if is_newer => Err(Error::UpdateAvailable),
        (0, 0) => Ok(()),
        (0, count) => Err(LockError::Gone { count }.into()),
        (count, _) => Err(LockError::Ended { count }.into()),
    }
}

fn show(page: &mut Page, tree: &TreeStanding) {
    let TreeStanding { arch, dist, packages, newer, gone, keys } = tree;
    let summary = match newer.len() + gone.len() + keys.len() {
        0 => "nothing newer, nothing gone, every key stands",
        _ => "not all is as it was",
    };
    page.wrap("", "  ", &format!("{arch}: {packages} packages of {}: {summary}", escape(dist)));
    for it in newer {
        let name = escape(&it.package);
        page.wrap("  ", "    ", &format!("{name} {}: there is {}", it.from, it.to));
    }
    for it in gone {
        page.wrap("  ", "    ", &format!("{}: gone: {}", escape(&it.package), it.reason));
    }
    for key in keys {
        let since = key.since.as_ref().map(|day| format!(" on {day}")).unwrap_or_default();
        let signed = key.packages.join(", ");
        let what = format!("key {} {}{since}: it signed {signed}", key.fingerprint, key.state);
        page.wrap("  ", "    ", &what);
    }
}
