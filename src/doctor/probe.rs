//! The child process that tries what would harm this one: namespaces and mounts. It tells of every
//! step at once, in a line of its own, so that a step that hangs leaves those before it known.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use crate::tools::namespaces::{self, Ids};

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Namespaces, and mounts in them.
    Namespaces,
    /// A user namespace that waits, until its input ends, for someone to map ids into it.
    Wait,
}

impl Probe {
    /// The first word of the command line of a child process.
    pub(crate) const COMMAND: &str = "doctor-probe";

    /// The probe that a word stands for.
    #[must_use]
    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Namespaces, Self::Wait].into_iter().find(|probe| probe.word() == word)
    }

    /// The second word of such a command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Wait => "wait",
        }
    }
}

/// Directories that exist everywhere; what is mounted there is visible to this process alone.
const TARGETS: [&str; 3] = ["/tmp", "/mnt", "/var"];

/// Takes the steps of `probe`, and tells of each: its name, and 0 or the system's error number. The
/// process must have one thread, and end afterwards: it is in other namespaces then.
pub(crate) fn probe(probe: Probe, tell: &dyn Fn(&str, i32)) {
    match probe {
        Probe::Namespaces => namespaces(tell),
        Probe::Wait => {
            tell("user", number(namespaces::enter(UnshareFlags::NEWUSER)));
            let _ = io::stdin().read_to_end(&mut Vec::new());
        }
    }
}

fn namespaces(tell: &dyn Fn(&str, i32)) {
    let step = |name: &str, outcome: io::Result<()>| {
        tell(name, number(outcome));
    };
    step("fuse-device", open_fuse().map(drop));
    let own = Ids::own();
    let made = namespaces::enter(UnshareFlags::NEWUSER);
    let is_in = made.is_ok();
    step("user", made);
    if !is_in {
        return;
    }
    step("map", namespaces::map(Ids::ROOT, own));
    let made =
        namespaces::enter(UnshareFlags::NEWNS).and_then(|()| namespaces::keep_mounts_in(false));
    let Some(target) = TARGETS.map(Path::new).into_iter().find(|path| path.is_dir()) else {
        return step("mounts", Err(Errno::NOENT.into()));
    };
    let mounted = made.and_then(|()| namespaces::mount("tmpfs", target, "mode=755"));
    let is_private = mounted.is_ok();
    step("mounts", mounted);
    if is_private {
        step("overlay", overlay(target));
        step("fuse", fuse(target));
    }
    step("network", namespaces::enter(UnshareFlags::NEWNET));
}

fn overlay(scratch: &Path) -> io::Result<()> {
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(scratch.join(name))?;
    }
    let at = scratch.display();
    let data = format!("lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work");
    namespaces::mount("overlay", &scratch.join("merged"), &format!("{data},userxattr"))
        .or_else(|_| namespaces::mount("overlay", &scratch.join("merged"), &data))
}

/// Opens the device anew: the kernel wants it opened within the namespace of the mount. Nothing
/// looks at the mount, which nobody serves.
fn fuse(scratch: &Path) -> io::Result<()> {
    let target = scratch.join("fuse");
    fs::create_dir(&target)?;
    let device = open_fuse()?;
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    namespaces::mount("fuse", &target, &data)
}

fn open_fuse() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/fuse")
}

/// 0, or the system's error number; -1 for an error that is none of the system's.
fn number(outcome: io::Result<()>) -> i32 {
    outcome.err().map_or(0, |error| error.raw_os_error().unwrap_or(-1))
}
