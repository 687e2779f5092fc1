//! A directory that one run at a time has: what it makes there is nobody else's, and what a run left that
//! was killed is the next one's to remove.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use super::files;

/// Makes the directory `new`, empty, and holds it as long as the file lives that comes back. What a dead run left
/// there is removed.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] where another run has it; or that it cannot be made.
pub(crate) fn claim(new: &Path) -> io::Result<File> {
    let busy = || io::Error::from(io::ErrorKind::WouldBlock);
    let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let there = rustix::fs::open(new, directory, Mode::empty());
    if let Ok(there) = &there
        && flock(there, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    {
        return Err(busy());
    }
    // A dead run's, or nothing that is made here.
    files::remove_tree(new)?;
    fs::create_dir(new).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => busy(),
        _ => source,
    })?;
    files::set_directory_mode(new, 0o755)?;
    let lock = File::open(new)?;
    // Where there are no locks, nobody is told.
    let _ = flock(&lock, FlockOperation::NonBlockingLockExclusive);
    Ok(lock)
}
