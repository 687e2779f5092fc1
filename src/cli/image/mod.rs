//! `elsewhere image`: container images as trees.

mod pull;
mod verify;

use clap::{Args, Subcommand};

use super::options::Output;
use crate::error::Error;
use crate::host::Host;
use crate::terminal::Terminal;

/// Make trees of container images, that every runtime runs as they lie
#[derive(Debug, Args)]
pub(super) struct ImageCommand {
    #[command(subcommand)]
    command: Inner,
}

#[derive(Debug, Subcommand)]
enum Inner {
    Pull(Box<pull::Pull>),
    Verify(verify::VerifyImage),
}

impl ImageCommand {
    /// What is shown, and how.
    pub(super) fn output(&self) -> &Output {
        match &self.command {
            Inner::Pull(command) => &command.output,
            Inner::Verify(command) => &command.output,
        }
    }

    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        match &self.command {
            Inner::Pull(command) => command.execute(host, terminal),
            Inner::Verify(command) => command.execute(host, terminal),
        }
    }
}
