//! `elsewhere man`: manual pages, from the same definitions as `--help`.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::options::Output;
use crate::error::Error;
use crate::terminal::Terminal;

/// Write the manual pages into a directory
///
/// One page for the program and one for each command, in section 1. The directory is made if it
/// does not exist.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere man ~/.local/share/man/man1
  man elsewhere-install")]
pub(super) struct Man {
    #[command(flatten)]
    pub(super) output: Output,
    /// Directory to write to
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    /// Runs the command.
    pub(super) fn execute(&self, terminal: &Terminal) -> Result<(), Error> {
        let directory = &self.directory;
        let mut command = super::Cli::command();
        command.build();
        fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .map_err(|source| Error::File { path: directory.clone(), source })?;
        terminal.line(format_args!("wrote {}", directory.join("elsewhere*.1").display()));
        Ok(())
    }
}
