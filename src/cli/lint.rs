//! `elsewhere lint`: can a directory be published?

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;

use super::options::Output;
use crate::error::Error;
use crate::host::Host;
use crate::model::escape;
use crate::publish::{self, LintFinding, LintProfile, Severity};
use crate::terminal::Terminal;

/// Say what of a directory must not be published as it is
///
/// Servers such as CVMFS's take almost everything, and readers then cannot make use of it: files that others cannot
/// read, links that lead elsewhere, devices, hard links, names, files and catalogs that are too large, paths of the
/// machine where something was made. Each finding is refused or only noted, and says what to do; exit status 13 says
/// that something is refused. Published versions pass this before they are published.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere lint /srv/publish/apptainer
  elsewhere lint --profile image /srv/images/alpine    absolute links are right in an image
  elsewhere lint --json /cvmfs/sw.example.org/sw | jq '.findings[] | select(.severity == \"refused\")'")]
pub(super) struct LintCommand {
    /// What lies there: `tree`, found where it lies, or `image`, trees of container images, whose programs see them as
    /// their root
    #[arg(long, value_enum, default_value_t, value_name = "PROFILE", hide_possible_values = true)]
    profile: LintProfile,
    #[command(flatten)]
    pub(super) output: Output,
    /// The directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl LintCommand {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let directory = host.absolute(&self.directory);
        let lint = publish::lint(&directory, self.profile)?;
        if self.output.json {
            terminal.output_json(&lint);
        } else {
            lint.findings.iter().for_each(|finding| terminal.output(describe(finding)));
            terminal.line(format_args!(
                "{} entries, {} files, {}; of different contents {}",
                lint.entries,
                lint.files,
                HumanBytes(lint.bytes),
                HumanBytes(lint.distinct_bytes)
            ));
        }
        lint.check(&directory)
    }
}

fn describe(finding: &LintFinding) -> String {
    let severity = match finding.severity {
        Severity::Refused => "refused",
        Severity::Noted => "noted",
    };
    format!(
        "{severity} {}: {} {}\n    {}",
        finding.rule.name(),
        escape(&finding.path),
        escape(&finding.problem),
        finding.help
    )
}
