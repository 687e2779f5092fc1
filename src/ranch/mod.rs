//! Shows a directory to a command as its root directory, with files in it that it does not have, without that it is
//! changed, and without overlayfs: the symlink ranch.
//!
//! A user namespace with mounts of its own is all that it takes, which kernels have since 3.9 and EL7. [`drawing`]
//! says how a directory that cannot be written becomes one that can.
//!
//! # Three processes
//!
//! The one that was started waits, in the namespaces where it always was. Another makes new ones and waits there, and a
//! third becomes the command. If the second became it, its namespace would end where the command makes another for itself, as
//! container runtimes do, and what is mounted there would be torn down: then `/proc/self/exe`, by which they find their
//! own files, is a path of the mount and no more of the root directory. Where that is a file, [`image`] says who else there
//! is.

mod asked;
mod drawing;
mod error;
mod fitting;
mod image;
mod keeping;
mod orders;
mod steps;
mod telling;
mod walk;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};

use rustix::thread::UnshareFlags;

pub(crate) use asked::{Injection, Ranch};
pub use error::RanchError;
pub(crate) use fitting::DriverNeeds;
pub(crate) use image::{Image, serve};
pub(crate) use keeping::hold;
pub(crate) use telling::line;

use drawing::Drawn;
use orders::Orders;
use steps::{Place, Step};

use crate::model::shell_word;
use crate::tools::foreground;
use crate::tools::namespaces::{self, Ids};
use crate::tools::programs::{self, Running};

/// Options of the scratch file system: what is written there takes memory.
const SCRATCH: &str = "mode=0755";

/// Where in the scratch directory a file is mounted that holds the root directory.
const IMAGE: &str = "image";

/// Where a command is to start, and as whom.
pub(crate) struct Start<'a> {
    /// The program and its arguments.
    pub(crate) command: &'a [OsString],
    /// An empty directory, in which the root directory is made.
    pub(crate) scratch: &'a Path,
    /// The working directory, where that is there.
    pub(crate) home: &'a Path,
    /// The process that waits for this one, which ends with it.
    pub(crate) waiting: u32,
    /// Says something to the user.
    pub(crate) tell: &'a dyn Fn(&str),
}

impl Ranch {
    /// Runs what becomes a command by [`Self::go_in`], which will see the directory `root` as its root, and waits for it.
    /// The process must have one thread.
    ///
    /// # Errors
    /// When there can be no such namespace, what was asked for makes no sense, or the process cannot be started.
    pub(crate) fn run(
        &self,
        root: &Path,
        start: &Start<'_>,
        enter: Command,
    ) -> Result<ExitStatus, RanchError> {
        let drawn = drawing::steps(self, root, None)?;
        prepare(Ids::ROOT, Ids::own(), start.scratch)?;
        end_with(start.waiting)?;
        make(&drawn, start)?;
        foreground::run(enter).map_err(|source| RanchError::Process { source })
    }

    /// Lets this process see the directory `root` as its root, in namespaces of its own. `scratch` is an empty
    /// directory, and `home` where it goes, where that is there. The process must have one thread.
    ///
    /// # Errors
    /// When there can be no such namespace, or what was asked for makes no sense.
    pub(crate) fn enter(&self, root: &Path, scratch: &Path, home: &Path) -> Result<(), RanchError> {
        let own = Ids::own();
        let drawn = drawing::steps(self, root, None)?;
        // Who it is to be from the first: what asks who it is outside finds its user there, and not root.
        prepare(if self.is_root { Ids::ROOT } else { own }, own, scratch)?;
        take(&drawn.steps, scratch)?;
        settle(None, scratch, home)
    }

    /// Runs what becomes a command by [`Self::go_in`], and waits for it. Meanwhile the file `image` is what it
    /// will see as its root, mounted by what `serve` is, a process that becomes [`serve`]. The process must have one
    /// thread.
    ///
    /// # Errors
    /// When there can be no such namespace, the file cannot be mounted, what was asked for makes no sense, or the
    /// process cannot be started.
    pub(crate) fn run_in_image(
        &self,
        image: &Image,
        start: &Start<'_>,
        [serve, enter]: [Command; 2],
    ) -> Result<ExitStatus, RanchError> {
        let go_on = |drawn: Drawn| make(&drawn, start);
        let _mounted = self.mount_image(image, start, serve, go_on)?;
        foreground::run(enter).map_err(|source| RanchError::Process { source })
    }

    /// Mounts `image` within new namespaces, and does with the steps from there what is to be done with them.
    fn mount_image<T>(
        &self,
        image: &Image,
        start: &Start<'_>,
        serve: Command,
        go_on: impl FnOnce(Drawn) -> Result<T, RanchError>,
    ) -> Result<(Running, T), RanchError> {
        let failed = |source| RanchError::Process { source };
        prepare(Ids::ROOT, Ids::own(), start.scratch)?;
        end_with(start.waiting)?;
        let mounted = start.scratch.join(IMAGE);
        fs::create_dir(&mounted).map_err(failed)?;
        let running = image.mount(&mounted, serve)?;
        let drawn = drawing::steps(self, &mounted, Some(Place::Scratch(IMAGE.into())))?;
        Ok((running, go_on(drawn)?))
    }

    /// Becomes the command in a root directory that was made, in namespaces that this process is in already, as
    /// `own` outside. The process must have one thread.
    ///
    /// # Errors
    /// When that directory cannot be made the root, or the command cannot be started.
    pub(crate) fn go_in(&self, own: Ids, start: &Start<'_>) -> Result<Infallible, RanchError> {
        // While the scratch directory can be seen.
        let orders =
            Orders::left(start.scratch).map_err(|source| RanchError::Process { source })?;
        settle((!self.is_root).then_some(own), start.scratch, start.home)?;
        // Once more, if it was said before: new rights took it back.
        end_with(start.waiting)?;
        let (program, arguments) =
            start.command.split_first().ok_or_else(|| RanchError::Start {
                command: OsString::new(),
                source: io::ErrorKind::InvalidInput.into(),
            })?;
        let mut become_it = Command::new(program);
        become_it.args(arguments);
        orders.follow(&mut become_it, start.tell);
        let source = programs::become_program(become_it);
        Err(RanchError::Start { command: program.clone(), source })
    }

    /// A script that does what [`Self::run`] does, by the tools of util-linux: for `unshare --user
    /// --map-root-user --mount`.
    ///
    /// # Errors
    /// When what was asked for makes no sense.
    pub(crate) fn script(
        &self,
        root: &Path,
        command: &[OsString],
        tell: &dyn Fn(&str),
    ) -> Result<String, RanchError> {
        let drawn = drawing::steps(self, root, None)?;
        drawn.said.iter().for_each(|text| tell(text));
        self.script_of(&drawn, None, Ids::own(), command)
    }

    /// The same for a file, which must be mounted for that, as by [`Self::run_in_image`].
    ///
    /// # Errors
    /// When there can be no such namespace, the file cannot be mounted, or what was asked for makes no sense.
    pub(crate) fn script_of_image(
        &self,
        image: &Image,
        start: &Start<'_>,
        serve: Command,
    ) -> Result<String, RanchError> {
        // Before this process is root.
        let own = Ids::own();
        let script = |drawn: Drawn| {
            drawn.said.iter().for_each(|text| (start.tell)(text));
            self.script_of(&drawn, Some(image), own, start.command)
        };
        Ok(self.mount_image(image, start, serve, script)?.1)
    }

    fn script_of(
        &self,
        drawn: &Drawn,
        image: Option<&Image>,
        Ids { user, group }: Ids,
        command: &[OsString],
    ) -> Result<String, RanchError> {
        let mut script = String::from(
            "#!/bin/sh\n# Run it so: unshare --user --map-root-user --mount sh FILE\nset -e\n\
             scratch=$(mktemp -d)\nmount --make-rslave /\n",
        );
        script.push_str(&format!("mount -t tmpfs -o {SCRATCH} tmpfs \"$scratch\"\n"));
        if let Some(image) = image {
            script.push_str(&image.commands(&format!("\"$scratch\"/{IMAGE}")));
        }
        for step in &drawn.steps {
            script.push_str(&step.command());
            script.push('\n');
        }
        let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
        let words: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
        let root = format!("\"$scratch\"/{}", steps::ROOT);
        let (line, variables) = drawn.orders.commands(&root);
        script.push_str(&line);
        let change = match self.is_root {
            true => format!("chroot {root}"),
            // Whoever is not root any more may not change it.
            false => {
                format!("unshare --user --map-user={user} --map-group={group} --root={root} --wd=/")
            }
        };
        // Where a program is to be ended afterwards, somebody must be left to do so.
        let exec = if image.is_some() { "" } else { "exec " };
        script.push_str(&format!("{exec}{variables}{change} {}\n", words.join(" ")));
        match script.contains(char::REPLACEMENT_CHARACTER) {
            true => Err(RanchError::Unprintable),
            false => Ok(script),
        }
    }
}

/// Makes the root directory that was made this process's own, and goes there: as `user`, where this process is root
/// and is not to stay so.
fn settle(user: Option<Ids>, scratch: &Path, home: &Path) -> Result<(), RanchError> {
    let namespaces = |source| RanchError::Namespaces { source };
    let root = |source| {
        let step = "make it the root directory".to_owned();
        RanchError::Step { step, source }
    };
    // Opened while it is there: the root directory may have none.
    let proc = fs::File::open("/proc").map_err(root)?;
    namespaces::change_root(&scratch.join(steps::ROOT)).map_err(root)?;
    if let Some(user) = user {
        namespaces::enter(UnshareFlags::NEWUSER).map_err(namespaces)?;
        namespaces::map_at(user, Ids::ROOT, &proc).map_err(namespaces)?;
    }
    drop(proc);
    // What it starts with may not be there.
    let _ = rustix::process::chdir(home);
    Ok(())
}

/// Lets this process end with the one that waits for it, until it gets other rights.
fn end_with(waiting: u32) -> Result<(), RanchError> {
    image::end_with(waiting).map_err(|source| RanchError::Process { source })
}

/// Enters namespaces in which this process is `inside`, and mounts the scratch directory.
fn prepare(inside: Ids, own: Ids, scratch: &Path) -> Result<(), RanchError> {
    enter(inside, own).map_err(|source| RanchError::Namespaces { source })?;
    namespaces::mount("tmpfs", scratch, SCRATCH).map_err(|source| {
        let step = "mount a file system in memory".to_owned();
        RanchError::Step { step, source }
    })
}

/// Makes the root directory, says what is to be said, and leaves the orders for who becomes the command.
fn make(drawn: &Drawn, start: &Start<'_>) -> Result<(), RanchError> {
    take(&drawn.steps, start.scratch)?;
    drawn.said.iter().for_each(|text| (start.tell)(text));
    drawn.orders.leave(start.scratch).map_err(|source| {
        let step = "leave orders in the scratch directory".to_owned();
        RanchError::Step { step, source }
    })
}

fn take(steps: &[Step], scratch: &Path) -> Result<(), RanchError> {
    let told = |step: &Step, source| RanchError::Step { step: step.describe(), source };
    steps.iter().try_for_each(|step| step.take(scratch).map_err(|source| told(step, source)))
}

/// Enters a user namespace as `inside`, with mounts of its own. Until this process becomes another program it has all
/// rights there, whoever it is.
fn enter(inside: Ids, own: Ids) -> io::Result<()> {
    namespaces::enter(UnshareFlags::NEWUSER)?;
    namespaces::map(inside, own)?;
    namespaces::enter(UnshareFlags::NEWNS)?;
    // What autofs mounts later belongs to what is shown.
    namespaces::keep_mounts_in(true)
}
