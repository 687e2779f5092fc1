//! `elsewhere completions`: what a shell needs to complete command lines.

use clap::{Args, Command};
use clap_complete::Shell;
use serde_json::json;

use super::options::Output;
use crate::terminal::Terminal;

/// Print completions for a shell
///
/// They come from the same definitions as --help.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere completions bash > ~/.local/share/bash-completion/completions/elsewhere
  elsewhere completions zsh > ~/.zfunc/_elsewhere     with ~/.zfunc in fpath
  elsewhere completions fish > ~/.config/fish/completions/elsewhere.fish")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Completions {
    /// Runs the command, for the program whose command line is `command`.
    pub(super) fn execute(&self, mut command: Command, terminal: &Terminal) {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "elsewhere", &mut script);
        let script = String::from_utf8_lossy(&script);
        if self.output.json {
            let shell = self.shell.to_string();
            return terminal.output_json(&json!({ "shell": shell, "script": script }));
        }
        terminal.output_document(script.trim_end());
    }
}
