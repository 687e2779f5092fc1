//! The processes that a ranch takes beside the one that was started: no commands of users', and so in no help.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::Host;
use crate::tools::namespaces::Ids;

/// The first words of their command lines.
const INSIDE: &str = "ranch-inside";
const ENTER: &str = "ranch-enter";
const SERVE: &str = "ranch-serve";

/// What this process is for, where it is one of them.
pub(in crate::cli) enum Stage {
    /// To make namespaces, and there what the user typed.
    Inside(Post, Vec<OsString>),
    /// To become, as these ids outside, the command that the user typed, in the root that was made.
    Enter(Ids, Post, Vec<OsString>),
    /// To become a program that ends with this process's own parent.
    Serve(u32, Vec<OsString>),
}

/// Where a process does its part.
pub(in crate::cli) struct Post {
    /// The process that waits for it.
    pub(super) waiting: u32,
    /// The scratch directory.
    pub(super) scratch: PathBuf,
}

/// What this process is for.
pub(in crate::cli) fn asked_stage(host: &Host) -> Option<Stage> {
    let mut words = host.arguments();
    let program = words.next()?;
    let stage = words.next()?;
    let number = |word: OsString| word.to_str()?.parse().ok();
    match stage.to_str()? {
        INSIDE => {
            let post = Post { waiting: number(words.next()?)?, scratch: words.next()?.into() };
            Some(Stage::Inside(post, [program].into_iter().chain(words).collect()))
        }
        ENTER => {
            let ids = Ids { user: number(words.next()?)?, group: number(words.next()?)? };
            let post = Post { waiting: number(words.next()?)?, scratch: words.next()?.into() };
            Some(Stage::Enter(ids, post, [program].into_iter().chain(words).collect()))
        }
        SERVE => Some(Stage::Serve(number(words.next()?)?, words.collect())),
        _ => None,
    }
}

/// The process that makes namespaces, for what the user typed.
pub(super) fn inside(host: &Host, scratch: &Path) -> Command {
    let mut command = Command::new(host.executable());
    command.arg(INSIDE).arg(std::process::id().to_string());
    command.arg(scratch).args(host.arguments().skip(1));
    command
}

/// The one that becomes the command, who is `own` outside, where this process is the one before.
pub(super) fn enter(host: &Host, own: Ids, scratch: &Path) -> Command {
    let mut command = Command::new(host.executable());
    // What was typed stands behind this process's own words.
    command.arg(ENTER).args([own.user, own.group].map(|id| id.to_string()));
    command.arg(std::process::id().to_string());
    command.arg(scratch).args(host.arguments().skip(4));
    command
}

/// The one that becomes a program and ends with this one; what it becomes is added.
pub(super) fn serve(host: &Host) -> Command {
    let mut command = Command::new(host.executable());
    command.arg(SERVE).arg(std::process::id().to_string());
    command
}
