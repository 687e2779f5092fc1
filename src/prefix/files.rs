//! Small steps on files that are whole at every instant, and the same under every umask.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::{PrefixError, failed};
use crate::tools::files;

/// Makes a directory with exactly `mode` if it is not there; a set-group-id bit that it inherits
/// stays, because project directories and their quotas rely on it. Whether it was made.
pub(super) fn make_directory(path: &Path, mode: u32) -> Result<bool, PrefixError> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => set_directory_mode(path, mode).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(failed("make the directory", path)(error)),
    }
}

/// Gives a directory exactly `mode`, and keeps its set-group-id bit.
pub(super) fn set_directory_mode(path: &Path, mode: u32) -> Result<(), PrefixError> {
    let inherited = fs::metadata(path).map_err(failed("read", path))?.permissions().mode() & 0o2000;
    files::set_mode_at(path, mode | inherited).map_err(failed("set the mode of", path))
}

/// Makes `path` and the directories above it that are missing, searchable for everyone. Returns
/// those that it made, outermost first.
pub(super) fn make_directories(path: &Path) -> Result<Vec<PathBuf>, PrefixError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    let mut made = Vec::new();
    for directory in missing.into_iter().rev() {
        if make_directory(directory, 0o755)? {
            made.push(directory.to_owned());
        }
    }
    Ok(made)
}

/// A name that no other file of this run has, nor one of a run beside it on another machine that
/// works without locks.
pub(super) fn unique(directory: &Path, stem: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{stem}.{}.{number}", std::process::id()));
        if fs::symlink_metadata(&path).is_err() {
            return path;
        }
    }
}

/// Replaces the file `path` by one with these bytes and this mode, in one step, durably. The new
/// file is made in `temporary`, a directory on the same file system.
pub(super) fn write(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    temporary: &Path,
) -> Result<(), PrefixError> {
    let new = unique(temporary, "file");
    let result = write_new(&new, bytes, mode)
        .map_err(failed("write", path))
        .and_then(|()| rename(&new, path));
    if result.is_err() {
        let _ = fs::remove_file(&new);
    }
    result
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    files::set_mode(&file, mode)?;
    files::sync_written(&file)
}

/// Replaces whatever file or link is at `path` by a symlink with this text, in one step, durably.
pub(super) fn link(path: &Path, text: &Path, temporary: &Path) -> Result<(), PrefixError> {
    let new = unique(temporary, "link");
    symlink(text, &new).map_err(failed("write", path))?;
    let result = rename(&new, path);
    if result.is_err() {
        let _ = fs::remove_file(&new);
    }
    result
}

/// Renames, durably.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), PrefixError> {
    fs::rename(from, to).map_err(failed("rename something to", to))?;
    for path in [from, to] {
        if let Some(directory) = path.parent() {
            sync_directory(directory)?;
        }
    }
    Ok(())
}

/// Removes the file or symlink `path` if it is there, durably.
pub(super) fn remove_file(path: &Path) -> Result<(), PrefixError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result.map_err(failed("remove", path))?,
    }
    path.parent().map_or(Ok(()), sync_directory)
}

/// Makes a directory's entries durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), PrefixError> {
    // Some file systems cannot, and do not need to.
    files::sync_directory(path).map(drop).map_err(failed("sync", path))
}

/// Deletes the directory at `path`: renamed into `trash` before, so that it is never there in part. Where
/// it cannot be renamed, as in a lower layer of an overlay, `begin` sees to it before that nothing takes it
/// for whole. What cannot be deleted after the renaming is [`Prefix::clean`]'s.
///
/// [`Prefix::clean`]: super::Prefix::clean
pub(super) fn discard(
    path: &Path,
    trash: &Path,
    begin: impl FnOnce() -> Result<(), PrefixError>,
) -> Result<(), PrefixError> {
    let moved = fs::rename(path, trash);
    match moved {
        Ok(()) => {
            for changed in [path, trash] {
                changed.parent().map_or(Ok(()), sync_directory)?;
            }
            let _ = remove_tree(trash);
            Ok(())
        }
        Err(error) if files::cannot_move(&error) => {
            begin()?;
            remove_tree(path).map_err(failed("remove", path))
        }
        Err(error) => Err(failed("rename something to", trash)(error)),
    }
}

/// Deletes a directory and all in it, directories without write permission included. Symlinks are
/// deleted, not followed.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.is_dir() {
        return fs::remove_file(path);
    }
    if metadata.permissions().mode() & 0o700 != 0o700 {
        files::set_mode_at(path, 0o700)?;
    }
    for entry in fs::read_dir(path)? {
        remove_tree(&entry?.path())?;
    }
    fs::remove_dir(path)
}

/// Reads a file of at most `limit` bytes; `None` when there is none.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, PrefixError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed("open", path))?,
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.len() as u64 > limit {
        let problem = format!("it is larger than {limit} bytes");
        return Err(PrefixError::Damaged { path: path.to_owned(), problem });
    }
    Ok(Some(bytes))
}

/// Bytes that an ordinary user can still write at `path`, or where it will be.
pub(super) fn available_space(path: &Path) -> io::Result<u64> {
    let there = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let answer = rustix::fs::statvfs(there)?;
    if answer.f_blocks == 0 {
        return Err(rustix::io::Errno::NOSYS.into());
    }
    Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
}
