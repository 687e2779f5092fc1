//! Steps on files that not every file system takes. What is refused and only cosmetic is let be; what is
//! refused and can be done in another way is done so.

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::BuildHasher;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::fs::{Dir, MetadataExt as _, Permissions, PermissionsExt};
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fstat};
use rustix::io::Errno;

use super::threads::unique_number;

/// What an owner may do with a file, of its permission bits.
const OWNERS: u32 = 0o700;

/// Whether `error` says that a file system does not have what was asked of it, and not that it failed.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    let refusals = [
        Errno::PERM,
        Errno::ACCESS,
        Errno::INVAL,
        Errno::NOSYS,
        Errno::OPNOTSUPP,
        Errno::BADF,
        Errno::NOTTY,
        Errno::ISDIR,
    ];
    refusals.iter().any(|refusal| error.raw_os_error() == Some(refusal.raw_os_error()))
}

/// Whether `error` says that there is no room, whatever way something is written.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether `error` says that a directory cannot be renamed where it is: one in a lower layer of an
/// overlay, say.
pub(crate) fn cannot_move(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::CrossesDevices || is_refusal(error)
}

/// Gives an open file these permissions, as far as its file system keeps any: where it refuses, what its
/// owner may do with it must suffice.
pub(crate) fn set_mode(file: impl AsFd, mode: u32) -> io::Result<()> {
    let result = fchmod(&file, Mode::from_raw_mode(mode)).map_err(io::Error::from);
    settle(result, mode, || Ok(fstat(&file)?.st_mode))
}

/// The same for the file or directory at `path`.
pub(crate) fn set_mode_at(path: &Path, mode: u32) -> io::Result<()> {
    let permissions = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(mode);
    settle(fs::set_permissions(path, permissions), mode, || Ok(fs::metadata(path)?.mode()))
}

/// The same for what is at `path` in `directory`.
pub(crate) fn set_mode_in(directory: &Dir, path: impl AsRef<Path>, mode: u32) -> io::Result<()> {
    let path = path.as_ref();
    let result = directory.set_permissions(path, Permissions::from_mode(mode));
    settle(result, mode, || Ok(directory.metadata(path)?.mode()))
}

/// What came of setting the permissions `wanted`: a refusal does not matter where those that `look` finds
/// let the owner do as much.
pub(crate) fn settle(
    result: io::Result<()>,
    wanted: u32,
    look: impl FnOnce() -> io::Result<u32>,
) -> io::Result<()> {
    match result {
        Err(error) if is_refusal(&error) => {
            let there = look()?;
            if wanted & OWNERS & !there == 0 { Ok(()) } else { Err(error) }
        }
        result => result,
    }
}

/// Copies the file `from`, with its permissions and its time, to the new one that `make` makes with these
/// permissions.
pub(crate) fn copy(
    mut from: &File,
    make: impl FnOnce(u32) -> io::Result<File>,
) -> io::Result<File> {
    let metadata = from.metadata()?;
    let mut to = make(metadata.mode() & 0o777)?;
    io::copy(&mut from, &mut to)?;
    set_mode(&to, metadata.mode() & 0o777)?;
    set_time(&to, metadata.modified());
    Ok(to)
}

/// Makes a file that was not there, for writing, with these permissions as far as the umask lets it.
pub(crate) fn create(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Sets when a file was changed, where its file system keeps that: nothing depends on it.
pub(crate) fn set_time(file: &File, modified: io::Result<SystemTime>) {
    let _ = modified.and_then(|modified| file.set_modified(modified));
}

/// Makes the bytes of the file at `path` durable. False where the file system does not do that for a
/// file that is open for reading only (CIFS).
pub(crate) fn sync(path: &Path) -> io::Result<bool> {
    synced(File::open(path)?.sync_all())
}

/// Makes what was written to an open file durable, as far as its file system does that.
pub(crate) fn sync_written(file: &File) -> io::Result<()> {
    synced(file.sync_all()).map(drop)
}

/// The same by a file that is open for writing: which a program that runs must not be.
pub(crate) fn sync_as_writer(path: &Path) -> io::Result<bool> {
    match OpenOptions::new().append(true).open(path) {
        // It runs, or is not to be written to: whoever wrote it has closed it.
        Err(error) if is_refusal(&error) || error.kind() == io::ErrorKind::ExecutableFileBusy => {
            Ok(false)
        }
        file => synced(file?.sync_all()),
    }
}

/// Makes the entries of the directory at `path` durable. False where the file system does not do that for
/// directories.
pub(crate) fn sync_directory(path: &Path) -> io::Result<bool> {
    synced(File::open(path)?.sync_all())
}

fn synced(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Err(error) if is_refusal(&error) => Ok(false),
        result => result.map(|()| true),
    }
}

/// Deletes what is at `path` in `directory`, a directory with all in it. Types are asked for one by one:
/// not every file system tells them with the names.
pub(crate) fn remove_all(directory: &Dir, path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    if !directory.symlink_metadata(path)?.is_dir() {
        return directory.remove_file(path);
    }
    remove_contents(&directory.open_dir(path)?, None)?;
    directory.remove_dir(path)
}

/// Deletes all that is in `directory`; of its directory `kept` only what is in there.
pub(crate) fn remove_contents(directory: &Dir, kept: Option<&Path>) -> io::Result<()> {
    let names = directory.entries()?.map(|entry| entry.map(|entry| entry.file_name()));
    for name in names.collect::<io::Result<Vec<_>>>()? {
        match kept.is_some_and(|kept| name == kept) {
            true => remove_contents(&directory.open_dir(&name)?, None)?,
            false => remove_all(directory, &name)?,
        }
    }
    Ok(())
}

/// Makes a directory with exactly `mode` if it is not there; a set-group-id bit that it inherits
/// stays, because project directories and their quotas rely on it. Whether it was made.
pub(crate) fn make_directory(path: &Path, mode: u32) -> io::Result<bool> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => set_directory_mode(path, mode).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives a directory exactly `mode`, and keeps its set-group-id bit.
pub(crate) fn set_directory_mode(path: &Path, mode: u32) -> io::Result<()> {
    let inherited = fs::metadata(path)?.mode() & 0o2000;
    set_mode_at(path, mode | inherited)
}

/// A name that no other file of this run has, nor one of a run beside it on another machine that
/// works without locks.
pub(crate) fn unique(directory: &Path, stem: &str) -> PathBuf {
    loop {
        let number = unique_number();
        let path = directory.join(format!("{stem}.{}.{number}", std::process::id()));
        if fs::symlink_metadata(&path).is_err() {
            return path;
        }
    }
}

/// A number that no other run has: standard hash maps are seeded by the system.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Deletes a directory and all in it, directories without write permission included. Symlinks are
/// deleted, not followed, whoever puts them there meanwhile: each directory is opened as one.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(parent, directory, Mode::empty()) {
        Err(Errno::NOENT) => Ok(()),
        parent => remove_below(parent?.as_fd(), name),
    }
}

/// The same for the entry `name` of an open directory.
pub(crate) fn remove_below(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // EPERM is what POSIX has for directories.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(parent, name, flags, Mode::empty());
    let directory = match open() {
        // Only its owner can have taken that away, and only its owner can give it back.
        Err(Errno::ACCESS) => {
            let handle = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let closed = rustix::fs::openat(parent, name, handle, Mode::empty())?;
            // By its handle, which chmod(2) takes in no other way: its name may lead elsewhere by now.
            let link = format!("/proc/self/fd/{}", closed.as_raw_fd());
            rustix::fs::chmod(link, Mode::RWXU)?;
            open()?
        }
        directory => directory?,
    };
    if fstat(&directory)?.st_mode & 0o700 != 0o700 {
        set_mode(&directory, 0o700)?;
    }
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(&directory)? {
        let entry = entry?;
        if ![b".".as_slice(), b".."].contains(&entry.file_name().to_bytes()) {
            names.push(entry.file_name().to_owned());
        }
    }
    for name in names {
        remove_below(directory.as_fd(), OsStr::from_bytes(name.to_bytes()))?;
    }
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}
