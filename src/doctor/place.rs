//! The file systems of the prefix and of the temporary directory.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags};

use super::explain::at;
use super::{Observation, State, Subject};
use crate::model::escape;
use crate::tools::mounts;

/// The cause where no program may be run from the prefix.
pub(crate) const NOEXEC: &str = "prefix-noexec";

/// Bytes that an install needs at the very least …
const LEAST_ROOM: u64 = 32 << 20;
/// … and that leave room for a second generation.
const GOOD_ROOM: u64 = 1 << 30;

/// The checks `prefix` and `temporary`.
pub(super) fn observe(subject: &Subject) -> Vec<Observation> {
    let prefix = subject.prefix.as_deref().map(|path| prefix(subject, path));
    prefix.into_iter().chain([temporary(subject)]).collect()
}

fn prefix(subject: &Subject, path: &Path) -> Observation {
    const CHECK: &str = "prefix";
    let place = match FileSystem::of(&subject.root, path) {
        Ok(place) => place,
        Err(reason) => return Observation::new(CHECK, State::Unknown, reason),
    };
    let problem = |state, cause| {
        Observation::new(CHECK, state, place.evidence())
            .because(cause)
            .with("path", escape(&path.to_string_lossy()))
            .with("mount", escape(&place.mount_point.to_string_lossy()))
            .with("room", room(place.room))
            .with("type", escape(&place.kind))
    };
    let is_installed = subject.installed.is_some();
    if place.is_noexec {
        problem(State::Broken, NOEXEC)
    } else if !place.is_writable && !is_installed {
        problem(State::Broken, "prefix-unwritable")
    } else if place.is_writable && place.room < LEAST_ROOM {
        let state = if is_installed { State::Limited } else { State::Broken };
        problem(state, "prefix-full")
    } else if mounts::is_network(&place.kind) {
        problem(State::Limited, "prefix-network")
    } else if place.is_writable && place.room < GOOD_ROOM {
        problem(State::Limited, "prefix-tight")
    } else {
        Observation::new(CHECK, State::Ok, place.evidence())
    }
}

fn temporary(subject: &Subject) -> Observation {
    const CHECK: &str = "temporary";
    let path = &subject.temporary_dir;
    let place = match FileSystem::of(&subject.root, path) {
        Ok(place) => place,
        Err(reason) => return Observation::new(CHECK, State::Unknown, reason),
    };
    let limited = |cause| {
        Observation::new(CHECK, State::Limited, place.evidence())
            .because(cause)
            .with("path", escape(&path.to_string_lossy()))
            .with("room", room(place.room))
    };
    if place.is_noexec {
        limited("temporary-noexec")
    } else if !place.is_writable || place.room < GOOD_ROOM {
        limited("temporary-full")
    } else {
        Observation::new(CHECK, State::Ok, place.evidence())
    }
}

/// What is known of the file system at a path.
struct FileSystem {
    /// The path, or the directory above it that exists.
    path: PathBuf,
    /// Its type: `ext4`.
    kind: String,
    mount_point: PathBuf,
    is_noexec: bool,
    is_writable: bool,
    /// Bytes that this user can still write; 0 where no more files can be made.
    room: u64,
}

impl FileSystem {
    fn of(root: &Path, path: &Path) -> Result<Self, String> {
        let existing = path.ancestors().find_map(|path| path.canonicalize().ok());
        let path = existing.ok_or_else(|| format!("{} cannot be found", path.display()))?;
        let about = rustix::fs::statvfs(&path)
            .map_err(|error| format!("{} does not answer: {error}", path.display()))?;
        let table = fs::read(at(root, "/proc/self/mountinfo")).unwrap_or_default();
        let mount = mounts::holding(&table, &path);
        let (mount_point, kind) = mount.map(|mount| (mount.point, mount.kind)).unwrap_or_default();
        let is_writable = rustix::fs::access(&path, Access::WRITE_OK).is_ok()
            && !about.f_flag.contains(StatVfsMountFlags::RDONLY);
        let is_out_of_files = about.f_files > 0 && about.f_favail == 0;
        let room = about.f_bavail.saturating_mul(about.f_frsize);
        Ok(Self {
            kind,
            mount_point,
            is_noexec: about.f_flag.contains(StatVfsMountFlags::NOEXEC),
            is_writable,
            room: if is_out_of_files { 0 } else { room },
            path,
        })
    }

    fn evidence(&self) -> String {
        let kind = if self.kind.is_empty() { "an unknown file system" } else { &self.kind };
        let noexec = if self.is_noexec { ", noexec" } else { "" };
        let writable = if self.is_writable { "" } else { ", not writable" };
        format!(
            "{} is on {}{noexec}{writable}, {} left; quotas are not known",
            escape(&self.path.to_string_lossy()),
            escape(kind),
            room(self.room)
        )
    }
}

/// Bytes, for people.
fn room(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
