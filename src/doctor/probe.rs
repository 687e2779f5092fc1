//! The child process that tries what would harm this one: namespaces and mounts. It tells of every
//! step at once, in a line of its own, so that a step that hangs leaves those before it known.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::ffi::CString;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;

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
            tell("user", number(unshare(UnshareFlags::NEWUSER)));
            let _ = io::stdin().read_to_end(&mut Vec::new());
        }
    }
}

fn namespaces(tell: &dyn Fn(&str, i32)) {
    let step = |name: &str, outcome: io::Result<()>| {
        tell(name, number(outcome));
    };
    step("fuse-device", open_fuse().map(drop));
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let made = unshare(UnshareFlags::NEWUSER);
    let is_in = made.is_ok();
    step("user", made);
    if !is_in {
        return;
    }
    step("map", map_to_root(user, group));
    let made = unshare(UnshareFlags::NEWNS).and_then(|()| {
        let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        Ok(rustix::mount::mount_change("/", flags)?)
    });
    let Some(target) = TARGETS.map(Path::new).into_iter().find(|path| path.is_dir()) else {
        return step("mounts", Err(Errno::NOENT.into()));
    };
    let mounted = made.and_then(|()| mount("tmpfs", target, "mode=755"));
    let is_private = mounted.is_ok();
    step("mounts", mounted);
    if is_private {
        step("overlay", overlay(target));
        step("fuse", fuse(target));
    }
    step("network", unshare(UnshareFlags::NEWNET));
}

/// Enters new namespaces. This process has one thread, and shares no file descriptors with others.
#[expect(deprecated, reason = "what makes it unsafe is the flag FILES, which is never given here")]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}

/// Maps this user to root of the namespace: what any user may do without helpers.
fn map_to_root(user: u32, group: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

fn overlay(scratch: &Path) -> io::Result<()> {
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(scratch.join(name))?;
    }
    let at = scratch.display();
    let data = format!("lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work");
    mount("overlay", &scratch.join("merged"), &format!("{data},userxattr"))
        .or_else(|_| mount("overlay", &scratch.join("merged"), &data))
}

/// Opens the device anew: the kernel wants it opened within the namespace of the mount. Nothing
/// looks at the mount, which nobody serves.
fn fuse(scratch: &Path) -> io::Result<()> {
    let target = scratch.join("fuse");
    fs::create_dir(&target)?;
    let device = open_fuse()?;
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    mount("fuse", &target, &data)
}

fn open_fuse() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/fuse")
}

fn mount(kind: &str, target: &Path, data: &str) -> io::Result<()> {
    let data = CString::new(data)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(rustix::mount::mount(kind, target, kind, flags, data.as_c_str())?)
}

/// 0, or the system's error number; -1 for an error that is none of the system's.
fn number(outcome: io::Result<()>) -> i32 {
    outcome.err().map_or(0, |error| error.raw_os_error().unwrap_or(-1))
}
