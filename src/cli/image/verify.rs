//! `elsewhere image verify`: an image's tree, held against its receipt.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::options::Output;
use crate::error::Error;
use crate::host::Host;
use crate::images::{self, ImageChange};
use crate::model::escape;
use crate::terminal::Terminal;

/// Hold every file of an image's tree against the receipt in it
///
/// Says what is missing, changed, has other permissions, or does not belong there, and ends with status 8 if anything
/// is. The receipt itself is proved by nobody: what an image should be says its digest (`manifest` in it).
#[derive(Debug, Args)]
pub(super) struct VerifyImage {
    #[command(flatten)]
    pub(super) output: Output,
    /// The tree
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl VerifyImage {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let directory = host.absolute(&self.directory);
        let (findings, count) = images::check(&directory, terminal)?;
        if self.output.json {
            terminal.output_json(
                &json!({ "directory": directory, "files": count, "findings": findings }),
            );
        } else {
            for finding in &findings {
                let what = match finding.change {
                    ImageChange::Missing => "missing",
                    ImageChange::Changed => "changed",
                    ImageChange::Mode => "other permissions",
                    ImageChange::Foreign => "does not belong there",
                };
                terminal.output(format_args!("{what}: {}", escape(&finding.path)));
            }
        }
        if findings.is_empty() {
            terminal.line(format_args!("{count} files are as they were made"));
            return Ok(());
        }
        let hint =
            "pull it again: elsewhere image pull --replace, with the digest that its receipt names"
                .to_owned();
        Err(Error::Damaged { path: directory, count: findings.len(), hint })
    }
}
