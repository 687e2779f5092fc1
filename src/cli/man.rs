//! `elsewhere man`: manual pages, from the same definitions as `--help`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};

use super::options::Output;
use crate::error::Error;
use crate::host::{Host, date};
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
    /// Runs the command, for the program whose command line is `command`.
    pub(super) fn execute(
        &self,
        mut command: Command,
        host: &Host,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        let directory = &self.directory;
        let date = date(host.now()?);
        command.build();
        fs::create_dir_all(directory)
            .and_then(|()| write(&command, &date, directory))
            .map_err(|source| Error::File { path: directory.clone(), source })?;
        if self.output.json {
            terminal.output_json(&serde_json::json!({ "directory": directory.to_string_lossy() }));
        }
        terminal.line(format_args!("wrote {}", directory.join("elsewhere*.1").display()));
        Ok(())
    }
}

/// Writes the page of `command`, and those of the commands below it.
fn write(command: &Command, date: &str, directory: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let page = clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .date(date)
        .source(concat!("elsewhere ", env!("CARGO_PKG_VERSION")))
        .manual("elsewhere");
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(directory.join(format!("{name}.1")), tidy(&String::from_utf8_lossy(&text)))?;
    let mut below = command.get_subcommands().filter(|below| !below.is_hide_set());
    below.try_for_each(|below| write(below, date, directory))
}

/// Without line breaks around an empty line, of which readers of manual pages complain, and with a
/// heading for people.
fn tidy(page: &str) -> String {
    page.replace(".br\n\n.br\n", ".sp\n").replace(".SH EXTRA\n", ".SH NOTES\n")
}
