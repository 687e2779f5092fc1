//! Puts what was made into its place, step by step: whatever is killed, `current` leads to a whole version.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::about::{Record, text};
use super::base::{BIN, CURRENT, STAGE, bin_text};
use super::changes::Changes;
use crate::model::PUBLISHED_NAME;
use crate::tools::files;
use crate::tools::replacement::{Care, Replacement};

/// What becomes of what was staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stays {
    /// It goes into its place.
    Nowhere,
    /// It stays, too: for when all is done again.
    Staged,
}

/// Brings the base at `root` to be as `changes` say. What is added lies in `stage`, each by its name: on the same
/// file system, else it is copied. New versions come first, then the links, then the others go.
///
/// # Errors
/// When something cannot be written. Whatever was done by then, every version that stands is whole, and the links
/// lead to one.
pub(crate) fn converge(
    root: &Path,
    (stage, stays): (&Path, Stays),
    changes: &Changes,
    record: &Record,
) -> io::Result<()> {
    files::make_directory(root, 0o755)?;
    let own = root.join(STAGE);
    files::make_directory(&own, 0o755)?;
    for addition in &changes.added {
        put((&stage.join(&addition.name), stays), &own, &root.join(&addition.name))?;
    }
    files::sync_directory(root)?;
    if let Some(switch) = &changes.switched {
        link(&own, Path::new(&switch.to), &root.join(CURRENT))?;
    }
    if changes.makes_bin {
        link(&own, &bin_text(), &root.join(BIN))?;
    }
    let bytes = text(record)?;
    let fill = |file: &mut File| file.write_all(bytes.as_bytes());
    let new = files::unique(&own, "record");
    Replacement::file(new, Care::Durable(0o644), fill)?.put(&root.join(PUBLISHED_NAME))?;
    files::sync_directory(root)?;
    for name in &changes.dropped {
        take_away(&root.join(name), &own)?;
    }
    if own != stage {
        files::remove_tree(&own)?;
    }
    files::sync_directory(root).map(drop)
}

/// Puts the directory `from` where `to` is: in one step, by way of `own`.
fn put((from, stays): (&Path, Stays), own: &Path, to: &Path) -> io::Result<()> {
    let moved = match stays {
        Stays::Nowhere => fs::rename(from, to),
        Stays::Staged => Err(io::ErrorKind::CrossesDevices.into()),
    };
    match moved {
        Err(error) if files::cannot_move(&error) => {
            let near = files::unique(own, "copy");
            copy_tree(from, &near)?;
            fs::rename(&near, to)
        }
        moved => moved,
    }
}

/// Copies a directory with all in it.
pub(super) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    files::make_directory(to, fs::metadata(from)?.permissions().mode() & 0o777)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&path, &copy)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&path)?, &copy)?;
        } else {
            let copied = files::copy(&File::open(&path)?, |mode| files::create(&copy, mode))?;
            files::sync_written(&copied)?;
        }
    }
    Ok(())
}

/// Puts a link with this text into the place of `link`, in one step.
fn link(own: &Path, text: &Path, link: &Path) -> io::Result<()> {
    Replacement::link(files::unique(own, "link"), text)?.put(link)
}

/// Removes a version: out of sight first, where its directory can be renamed.
fn take_away(version: &Path, own: &Path) -> io::Result<()> {
    let gone = files::unique(own, "gone");
    match fs::rename(version, &gone) {
        Ok(()) => files::remove_tree(&gone),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if files::cannot_move(&error) => files::remove_tree(version),
        Err(error) => Err(error),
    }
}
