//! Shows a directory to a command as its root directory, with files in it that it does not have, without that it is
//! changed, and without overlayfs: the symlink ranch.
//!
//! A user namespace with mounts of its own is all that it takes, which kernels have since 3.9 and EL7. [`drawing`]
//! says how a directory that cannot be written becomes one that can.
//!
//! # Two processes
//!
//! The one that was started waits, in the namespaces where it always was, and the other makes new ones and becomes the
//! command. If the first became the command, its namespace would end when the command makes another for itself, as
//! container runtimes do, and what was mounted there would be gone.

mod drawing;
mod error;
mod steps;
mod walk;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use rustix::thread::UnshareFlags;

pub(crate) use drawing::{Injection, Ranch};
pub use error::RanchError;

use crate::model::shell_word;
use crate::tools::namespaces::{self, Ids};
use crate::tools::{foreground, programs};

/// Options of the scratch file system: what is written there takes memory.
const SCRATCH: &str = "mode=0755";

impl Ranch {
    /// Becomes `command`, which sees the root directory. `scratch` is an empty directory, and `home` where
    /// it starts, where that is there. The process must have one thread.
    ///
    /// # Errors
    /// When there can be no such namespace, what was asked for makes no sense, or the command cannot be started.
    pub(crate) fn become_command(
        &self,
        command: &[OsString],
        scratch: &Path,
        home: &Path,
    ) -> Result<Infallible, RanchError> {
        self.enter(scratch, home)?;
        // Only now: new rights would take it back. If the other process ends, so does this.
        foreground::end_with_parent().map_err(|source| RanchError::Namespaces { source })?;
        let (program, arguments) = command.split_first().ok_or_else(|| RanchError::Start {
            command: OsString::new(),
            source: io::ErrorKind::InvalidInput.into(),
        })?;
        let mut become_it = Command::new(program);
        become_it.args(arguments);
        let source = programs::become_program(become_it);
        Err(RanchError::Start { command: program.clone(), source })
    }

    /// Lets this process see the root directory, in namespaces of its own. `scratch` is an empty directory, and
    /// `home` where it goes, where that is there. The process must have one thread.
    ///
    /// # Errors
    /// When there can be no such namespace, or what was asked for makes no sense.
    pub(crate) fn enter(&self, scratch: &Path, home: &Path) -> Result<(), RanchError> {
        let steps = drawing::steps(self)?;
        let namespaces = |source| RanchError::Namespaces { source };
        let own = Ids::own();
        enter(own).map_err(namespaces)?;
        namespaces::mount("tmpfs", scratch, SCRATCH).map_err(|source| {
            let step = "mount a file system in memory".to_owned();
            RanchError::Step { step, source }
        })?;
        for step in &steps {
            let told = |source| RanchError::Step { step: step.describe(), source };
            step.take(scratch).map_err(told)?;
        }
        let root = |source| {
            let step = "make it the root directory".to_owned();
            RanchError::Step { step, source }
        };
        // Opened while it is there: the root directory may have none.
        let proc = fs::File::open("/proc").map_err(root)?;
        namespaces::change_root(&scratch.join(steps::ROOT)).map_err(root)?;
        if !self.is_root {
            namespaces::enter(UnshareFlags::NEWUSER).map_err(namespaces)?;
            namespaces::map_at(own, Ids::ROOT, &proc).map_err(namespaces)?;
        }
        drop(proc);
        // What it starts with may not be there.
        let _ = rustix::process::chdir(home);
        Ok(())
    }

    /// A script that does the same by the tools of util-linux: for `unshare --user --map-root-user --mount`.
    ///
    /// # Errors
    /// When what was asked for makes no sense.
    pub(crate) fn script(&self, command: &[OsString]) -> Result<String, RanchError> {
        let steps = drawing::steps(self)?;
        let mut script = String::from(
            "#!/bin/sh\n# Run it so: unshare --user --map-root-user --mount sh FILE\nset -e\n\
             scratch=$(mktemp -d)\nmount --make-rslave /\n",
        );
        script.push_str(&format!("mount -t tmpfs -o {SCRATCH} tmpfs \"$scratch\"\n"));
        for step in &steps {
            script.push_str(&step.command());
            script.push('\n');
        }
        let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
        let words: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
        let Ids { user, group } = Ids::own();
        let root = format!("\"$scratch\"/{}", steps::ROOT);
        let change = match self.is_root {
            true => format!("chroot {root}"),
            // Whoever is not root any more may not change it.
            false => {
                format!("unshare --user --map-user={user} --map-group={group} --root={root} --wd=/")
            }
        };
        script.push_str(&format!("exec {change} {}\n", words.join(" ")));
        match script.contains(char::REPLACEMENT_CHARACTER) {
            true => Err(RanchError::Unprintable),
            false => Ok(script),
        }
    }
}

/// Enters a user namespace, as its root, with mounts of its own.
fn enter(own: Ids) -> io::Result<()> {
    namespaces::enter(UnshareFlags::NEWUSER)?;
    namespaces::map(Ids::ROOT, own)?;
    namespaces::enter(UnshareFlags::NEWNS)?;
    // What autofs mounts later belongs to what is shown.
    namespaces::keep_mounts_in(true)
}
