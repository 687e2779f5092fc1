//! Small steps on files that are whole at every instant, and the same under every umask.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::error::{PrefixError, failed};
use crate::owned::open_to_read;
use crate::tools::files;
pub(super) use crate::tools::files::{remove_tree, unique};
use crate::tools::replacement::{Care, Replacement};

/// Makes a directory with exactly `mode` if it is not there; a set-group-id bit that it inherits
/// stays. Whether it was made.
pub(super) fn make_directory(path: &Path, mode: u32) -> Result<bool, PrefixError> {
    files::make_directory(path, mode).map_err(failed("make the directory", path))
}

/// Gives a directory exactly `mode`, and keeps its set-group-id bit.
pub(super) fn set_directory_mode(path: &Path, mode: u32) -> Result<(), PrefixError> {
    files::set_directory_mode(path, mode).map_err(failed("set the mode of", path))
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

/// Replaces the file `path` by one with these bytes and this mode, in one step, durably. The new
/// file is made in `temporary`, a directory on the same file system.
pub(super) fn write(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    temporary: &Path,
) -> Result<(), PrefixError> {
    let fill = |file: &mut File| file.write_all(bytes);
    let new = Replacement::file(unique(temporary, "file"), Care::Durable(mode), fill);
    put(new.map_err(failed("write", path))?, path)
}

/// Replaces whatever file or link is at `path` by a symlink with this text, in one step, durably.
pub(super) fn link(path: &Path, text: &Path, temporary: &Path) -> Result<(), PrefixError> {
    let new = Replacement::link(unique(temporary, "link"), text);
    put(new.map_err(failed("write", path))?, path)
}

/// Puts what was made beside into its place, durably.
fn put(new: Replacement, path: &Path) -> Result<(), PrefixError> {
    let beside = new.path().to_owned();
    new.put(path).map_err(failed("rename something to", path))?;
    sync_parents(&beside, path)
}

/// Renames, durably.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), PrefixError> {
    fs::rename(from, to).map_err(failed("rename something to", to))?;
    sync_parents(from, to)
}

/// Makes durable that something was renamed.
fn sync_parents(from: &Path, to: &Path) -> Result<(), PrefixError> {
    let directories = [from, to].into_iter().filter_map(Path::parent);
    directories.into_iter().try_for_each(sync_directory)
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
/// for whole. What cannot be deleted after the renaming is [`Locked::clean`]'s.
///
/// [`Locked::clean`]: super::Locked::clean
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

/// Reads a file of at most `limit` bytes; `None` when there is none.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, PrefixError> {
    let file = match open_to_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(PrefixError::Damaged { path: path.to_owned(), problem: error.to_string() });
        }
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
