//! User and mount namespaces, as every user may make them where the host lets him: without helpers, and with
//! no more than kernels have had since 3.9.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::ffi::CString;
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::{CapabilitySet, UnshareFlags};

/// A user and a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl Ids {
    /// Those of root.
    pub(crate) const ROOT: Self = Self { user: 0, group: 0 };

    /// Those of this process.
    pub(crate) fn own() -> Self {
        let user = rustix::process::geteuid().as_raw();
        Self { user, group: rustix::process::getegid().as_raw() }
    }
}

/// Enters new namespaces. The process must have one thread.
#[expect(deprecated, reason = "what makes it unsafe is the flag FILES, which is never given here")]
pub(crate) fn enter(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}

/// Lets this process, in a user namespace that it has just entered, be `inside` who is `outside`: what any
/// user may do without helpers. Kernels before 3.19 know no `setgroups`.
pub(crate) fn map(inside: Ids, outside: Ids) -> io::Result<()> {
    map_at(inside, outside, &File::open("/proc")?)
}

/// The same where proc is mounted at `proc`.
pub(crate) fn map_at(inside: Ids, outside: Ids, proc: &File) -> io::Result<()> {
    let write = |name: &str, text: &str| {
        let file = openat(proc, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        File::from(file).write_all(text.as_bytes())
    };
    match write("self/setgroups", "deny") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write("self/uid_map", &format!("{} {} 1", inside.user, outside.user))?;
    write("self/gid_map", &format!("{} {} 1", inside.group, outside.group))
}

/// Lets the programs that this process starts mount file systems in its user namespace, whoever they are there, as
/// those of FUSE: without it only root may. Kernels know that since 4.3.
pub(crate) fn let_programs_mount() -> io::Result<()> {
    let admin = CapabilitySet::SYS_ADMIN;
    let mut sets = rustix::thread::capabilities(None)?;
    sets.inheritable |= admin;
    rustix::thread::set_capabilities(None, sets)?;
    Ok(rustix::thread::configure_capability_in_ambient_set(admin, true)?)
}

/// Takes that back, for the programs that this process becomes.
pub(crate) fn let_no_program_mount() -> io::Result<()> {
    Ok(rustix::thread::clear_ambient_capability_set()?)
}

/// Mounts the proc of the process namespace that this process is in over that of another.
pub(crate) fn mount_proc() -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(rustix::mount::mount("proc", "/proc", "proc", flags, None)?)
}

/// Lets nobody else see what is mounted in this namespace; with `follows`, what is mounted outside later is
/// seen here, as autofs does it.
pub(crate) fn keep_mounts_in(follows: bool) -> io::Result<()> {
    let kind = match follows {
        true => MountPropagationFlags::DOWNSTREAM,
        false => MountPropagationFlags::PRIVATE,
    };
    Ok(rustix::mount::mount_change("/", kind | MountPropagationFlags::REC)?)
}

/// Mounts a file system of this type.
pub(crate) fn mount(kind: &str, target: &Path, data: &str) -> io::Result<()> {
    let data = CString::new(data)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(rustix::mount::mount(kind, target, kind, flags, data.as_c_str())?)
}

/// Lets what is seen at `from` be seen at `at` too, with all that is mounted below: a user namespace may not
/// show a part of its mounts and hide the rest.
pub(crate) fn bind(from: &Path, at: &Path) -> io::Result<()> {
    Ok(rustix::mount::mount_bind_recursive(from, at)?)
}

/// What the mount at `path` is like: flags that whoever mounts it once more must give again, since a user namespace may not
/// take any of them back.
pub(crate) fn flags_of(path: &Path) -> io::Result<MountFlags> {
    use rustix::fs::StatVfsMountFlags as Had;
    let had = rustix::fs::statvfs(path)?.f_flag;
    let known = [
        (Had::RDONLY, MountFlags::RDONLY),
        (Had::NOSUID, MountFlags::NOSUID),
        (Had::NODEV, MountFlags::NODEV),
        (Had::NOEXEC, MountFlags::NOEXEC),
        (Had::NOATIME, MountFlags::NOATIME),
        (Had::NODIRATIME, MountFlags::NODIRATIME),
        (Had::RELATIME, MountFlags::RELATIME),
    ];
    let has = known.into_iter().filter(|(flag, _)| had.contains(*flag));
    let flags = has.fold(MountFlags::empty(), |all, (_, flag)| all | flag);
    let is_strict = !flags.intersects(MountFlags::NOATIME | MountFlags::RELATIME);
    Ok(if is_strict { flags | MountFlags::STRICTATIME } else { flags })
}

/// The names of flags, as mount(8) takes them.
pub(crate) fn flag_names(flags: MountFlags) -> Vec<&'static str> {
    let known = [
        (MountFlags::RDONLY, "ro"),
        (MountFlags::NOSUID, "nosuid"),
        (MountFlags::NODEV, "nodev"),
        (MountFlags::NOEXEC, "noexec"),
        (MountFlags::NOATIME, "noatime"),
        (MountFlags::NODIRATIME, "nodiratime"),
        (MountFlags::RELATIME, "relatime"),
        (MountFlags::STRICTATIME, "strictatime"),
    ];
    let has = known.into_iter().filter(|(flag, _)| flags.contains(*flag));
    has.map(|(_, name)| name).collect()
}

/// Gives the mount at `at`, and none below it, these flags and no other.
pub(crate) fn restrict(at: &Path, flags: MountFlags) -> io::Result<()> {
    Ok(rustix::mount::mount_remount(at, MountFlags::BIND | flags, "")?)
}

/// Makes the mount at `root` the root directory of this process, and of its namespace, and lets go of what was
/// mounted elsewhere. Unlike after chroot(2), programs can make user namespaces there.
pub(crate) fn change_root(root: &Path) -> io::Result<()> {
    rustix::process::chdir(root)?;
    rustix::process::pivot_root(".", ".")?;
    // The old one lies on top now.
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/")?)
}
