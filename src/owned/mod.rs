//! Whose the directories and files are that a run writes to. A prefix or a cache may have been prepared
//! by somebody else, or come out of an archive: nothing is written where others can put links, or change
//! what was proved.
//!
//! The directory that the user names may be reached by symlinks, which are the user's own business. Below
//! it, only what elsewhere makes is followed.

mod error;
mod probe;

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

pub(crate) use error::OwnedError;
pub(crate) use error::OwnedProblem;

use probe::Probe;

/// Who may own, and write to, what a run writes to: this process's user and root, always, and whom the
/// configuration trusts (`trusted_owners`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// User ids.
    pub users: BTreeSet<u32>,
    /// Group ids: what belongs to one of them may be any user's, and the group may write to it.
    pub groups: BTreeSet<u32>,
}

/// Permission to write, of a group and of everybody.
const GROUP_WRITES: u32 = 0o020;
const ALL_WRITE: u32 = 0o002;
/// Names in a directory are their owners' to change.
const STICKY: u32 = 0o1000;

impl Owners {
    /// Checks the directory that the user named, symlinks followed. One like `/tmp`, in which everybody
    /// may make things and nobody change those of others, will do: what is in it is checked by itself.
    ///
    /// # Errors
    /// When it is no directory, or somebody else can write to it.
    pub(crate) fn check_root(&self, path: &Path) -> Result<(), OwnedError> {
        let metadata = fs::metadata(path).map_err(OwnedError::io(path))?;
        let is_sticky = metadata.mode() & STICKY != 0;
        match self.check_metadata(path, &metadata, path) {
            Err(OwnedError::Untrusted { problem: OwnedProblem::Writable, .. }) if is_sticky => {
                Ok(())
            }
            checked => checked,
        }
    }

    /// Checks a directory below one that was checked. One that is not there is none of anybody.
    ///
    /// # Errors
    /// When it is something else, a symlink to a directory included, or somebody else can write to it.
    pub(crate) fn check_directory(&self, path: &Path) -> Result<(), OwnedError> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            metadata => self.check_metadata(path, &metadata.map_err(OwnedError::io(path))?, path),
        }
    }

    fn check_metadata(
        &self,
        path: &Path,
        metadata: &Metadata,
        directory: &Path,
    ) -> Result<(), OwnedError> {
        if !metadata.is_dir() {
            return Err(OwnedError::new(path, metadata, OwnedProblem::NoDirectory));
        }
        self.check_owner(path, metadata, directory)
    }

    /// Checks whose something is; what the file system makes of ids and modes is tried in `directory`.
    fn check_owner(
        &self,
        path: &Path,
        metadata: &Metadata,
        directory: &Path,
    ) -> Result<(), OwnedError> {
        let Some(problem) = self.problem(metadata) else { return Ok(()) };
        // Servers may map ids (`root_squash`, user namespaces), or keep no modes: what this process makes
        // tells.
        let is_so_made = Probe::of(directory).is_ok_and(|probe| match problem {
            OwnedProblem::Writable => probe.is_writable_by_others,
            _ => probe.user == metadata.uid() && self.problem_of_mode(metadata).is_none(),
        });
        match is_so_made {
            true => Ok(()),
            false => Err(OwnedError::new(path, metadata, problem)),
        }
    }

    fn problem(&self, metadata: &Metadata) -> Option<OwnedProblem> {
        let user = metadata.uid();
        let is_owner = user == this_user() || user == 0 || self.users.contains(&user);
        match is_owner || self.groups.contains(&metadata.gid()) {
            false => Some(OwnedProblem::Owner),
            true => self.problem_of_mode(metadata),
        }
    }

    fn problem_of_mode(&self, metadata: &Metadata) -> Option<OwnedProblem> {
        let group = metadata.gid();
        let may_group = self.groups.contains(&group) || probe::is_private(metadata.uid(), group);
        let others = if may_group { ALL_WRITE } else { ALL_WRITE | GROUP_WRITES };
        (metadata.mode() & others != 0).then_some(OwnedProblem::Writable)
    }

    /// Opens the file at `path`, in a directory that was checked, to write to what it has; makes it where
    /// it is not there.
    ///
    /// # Errors
    /// When it is no file, has other names, or somebody else can write to it; or it cannot be opened.
    pub(crate) fn open_or_make(&self, path: &Path, mode: u32) -> Result<File, OwnedError> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(mode)
            .custom_flags(flags.bits().cast_signed())
            .open(path);
        let file = match file {
            // A symlink, or a socket.
            Err(error) if is_no_file(&error) => return Err(self.describe(path, error)),
            file => file.map_err(OwnedError::io(path))?,
        };
        let metadata = file.metadata().map_err(OwnedError::io(path))?;
        if !metadata.is_file() {
            return Err(OwnedError::new(path, &metadata, OwnedProblem::NoFile));
        }
        if metadata.nlink() > 1 {
            return Err(OwnedError::new(path, &metadata, OwnedProblem::OtherNames));
        }
        self.check_owner(path, &metadata, path.parent().unwrap_or(path))?;
        Ok(file)
    }

    fn describe(&self, path: &Path, error: io::Error) -> OwnedError {
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                OwnedError::new(path, &metadata, OwnedProblem::NoFile)
            }
            _ => OwnedError::io(path)(error),
        }
    }

    /// Whether the file is of those whom this run trusts with what they write.
    #[must_use]
    pub(crate) fn has(&self, metadata: &Metadata) -> bool {
        self.problem(metadata).is_none()
    }
}

/// Opens a file to be read that elsewhere wrote: no symlink is followed, and nothing that is no file is
/// waited for.
///
/// # Errors
/// When it cannot be opened, or is no file (`InvalidData`).
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let no_file = || io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file");
    let file = match opened {
        Err(error) if is_no_file(&error) => return Err(no_file()),
        file => file?,
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(no_file()),
    }
}

/// Whether opening failed because of what is there: ELOOP for a symlink, ENXIO for a socket.
fn is_no_file(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let kinds = [Errno::LOOP, Errno::NXIO, Errno::ISDIR];
    kinds.iter().any(|kind| error.raw_os_error() == Some(kind.raw_os_error()))
}

fn this_user() -> u32 {
    rustix::process::geteuid().as_raw()
}
