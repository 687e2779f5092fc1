//! Puts single things of a generation back, in one step each: whoever looks sees the damaged one
//! or the right one, whole.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, PermissionsExt};

use super::error::{PrefixError, failed};
use super::{Generation, Locked, files};
use crate::model::{FileKind, ReceiptFile};
use crate::tools::files as steps;

/// What a directory may have inherited, and keeps: set-group-id.
const INHERITED: u32 = 0o2000;

impl Locked {
    /// Makes `file` in `generation` what its receipt says. Directories and symlinks are made from
    /// the receipt alone; a regular file gets its mode, and is replaced by the one at `new` if
    /// there is one: that must be right already, and lie in this prefix's staging directory.
    ///
    /// Nothing outside the tree is touched, whatever its directories have become. Restore
    /// directories before what lies in them.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub fn restore(
        &self,
        generation: &Generation,
        file: &ReceiptFile,
        new: Option<&Path>,
    ) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let shown = generation.path.join(&file.path);
        let restored = Dir::open_ambient_dir(&generation.path, ambient_authority())
            .and_then(|tree| self.restore_in(&tree, file, new));
        restored.map_err(failed("restore", &shown))?;
        shown.parent().map_or(Ok(()), files::sync_directory)
    }

    fn restore_in(&self, tree: &Dir, file: &ReceiptFile, new: Option<&Path>) -> io::Result<()> {
        match (&file.kind, new) {
            (FileKind::Directory, _) => self.restore_directory(tree, file),
            (FileKind::Symlink { target }, _) => {
                let new = files::unique(&self.layout.staging(), "link");
                symlink(target, &new)?;
                self.put(tree, file, &new)
            }
            (FileKind::File { .. }, Some(new)) => {
                let opened = fs::File::open(new)?;
                steps::set_mode(&opened, file.mode)?;
                drop(opened);
                steps::sync_as_writer(new)?;
                self.put(tree, file, new)
            }
            (FileKind::File { .. }, None) => steps::set_mode_in(tree, &file.path, file.mode),
        }
    }

    fn restore_directory(&self, tree: &Dir, file: &ReceiptFile) -> io::Result<()> {
        if !tree.symlink_metadata(&file.path).is_ok_and(|there| there.is_dir()) {
            self.move_away(tree, file)?;
            tree.create_dir(&file.path)?;
        }
        let inherited = tree.metadata(&file.path)?.permissions().mode() & INHERITED;
        steps::set_mode_in(tree, &file.path, file.mode | inherited)
    }

    /// Renames `new`, which lies in the staging directory, to the place of `file`.
    fn put(&self, tree: &Dir, file: &ReceiptFile, new: &Path) -> io::Result<()> {
        if tree.symlink_metadata(&file.path).is_ok_and(|there| there.is_dir()) {
            self.move_away(tree, file)?;
        }
        let (parent, name) = (new.parent(), new.file_name());
        let (Some(parent), Some(name)) = (parent, name) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let staging = Dir::open_ambient_dir(parent, ambient_authority())?;
        staging.rename(name, tree, &file.path)
    }

    /// Deletes what is at the place of `file`, whatever it is.
    fn move_away(&self, tree: &Dir, file: &ReceiptFile) -> io::Result<()> {
        let trash = files::unique(&self.layout.trash(), "damaged");
        let room = Dir::open_ambient_dir(self.layout.trash(), ambient_authority())?;
        let name = trash.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        match tree.rename(&file.path, &room, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if steps::cannot_move(&error) => steps::remove_all(tree, &file.path),
            // What cannot be deleted now is `Locked::clean`'s.
            moved => moved.map(|()| drop(files::remove_tree(&trash))),
        }
    }
}
