//! Files of one tree in another: by reflink where the file system can, else by a hard link,
//! else as a copy. What may be written to in place is never linked.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::Workshop;
use super::error::{WorkshopError, failed};
use crate::model::{Algorithm, Checksum, FileKind, ReceiptFile, RelPath};
use crate::owned::Owners;
use crate::tools::files;

/// A file to take over.
#[derive(Clone, Debug)]
pub struct Share<'a> {
    /// What it is in the tree that it comes from.
    pub file: &'a ReceiptFile,
    /// Whether it may be the same file on disk, because nothing writes to it in place.
    pub is_linkable: bool,
}

impl Workshop {
    /// Puts `files` of the tree at `from` into this tree, with the directories above them. False, and nothing
    /// but directories is there, when one of them is not in `from` as it is said to be. What is there
    /// already stays.
    ///
    /// # Errors
    /// When one of the trees cannot be read or written.
    pub fn take_over(&self, from: &Path, shares: &[Share<'_>]) -> Result<bool, WorkshopError> {
        let mut session = Sharing { workshop: self, from, put: Vec::new(), inodes: HashMap::new() };
        for share in shares {
            if !session.put(share)? {
                for path in session.put {
                    fs::remove_file(&path).map_err(failed("remove", &path))?;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// How a file may come into another tree, beside being copied.
#[derive(Clone, Copy)]
struct Way {
    is_linkable: bool,
    is_clonable: bool,
}

/// One package's way from one tree into another.
struct Sharing<'a> {
    workshop: &'a Workshop,
    from: &'a Path,
    /// What was made so far.
    put: Vec<PathBuf>,
    /// Hard links stay hard links: where each file of several names is now.
    inodes: HashMap<(u64, u64), PathBuf>,
}

impl Sharing<'_> {
    /// Puts one file. False when it is not as it is said to be.
    fn put(&mut self, share: &Share<'_>) -> Result<bool, WorkshopError> {
        let path = self.workshop.path().join(&share.file.path);
        if !self.make_parents(&share.file.path)? {
            return Ok(false);
        }
        let is_there = fs::symlink_metadata(&path).is_ok();
        match &share.file.kind {
            FileKind::Directory => {
                return Ok(is_there || make_directory(&path)?);
            }
            _ if is_there => return Ok(true),
            FileKind::Symlink { target } => {
                symlink(target, &path).map_err(failed("write", &path))?;
            }
            FileKind::File { checksum, .. } => {
                if !self.put_file(share, checksum, &path)? {
                    return Ok(false);
                }
            }
        }
        self.put.push(path);
        Ok(true)
    }

    /// Makes the directories above `path`. False when something else is in the way.
    fn make_parents(&self, path: &RelPath) -> Result<bool, WorkshopError> {
        let Some(parent) = path.parent() else { return Ok(true) };
        let directory = self.workshop.path().join(&parent);
        match fs::symlink_metadata(&directory) {
            Ok(metadata) => Ok(metadata.is_dir()),
            Err(_) if !self.make_parents(&parent)? => Ok(false),
            Err(_) => make_directory(&directory),
        }
    }

    fn put_file(
        &mut self,
        share: &Share<'_>,
        checksum: &Checksum,
        path: &Path,
    ) -> Result<bool, WorkshopError> {
        let source = self.from.join(&share.file.path);
        let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
        let opened = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(&source);
        let Ok(mut file) = opened else { return Ok(false) };
        let metadata = file.metadata().map_err(failed("read", &source))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if !metadata.is_file() || (self.workshop.keeps_modes() && mode != share.file.mode) {
            return Ok(false);
        }
        let inode = (metadata.dev(), metadata.ino());
        if let Some(first) = self.inodes.get(&inode).filter(|_| share.is_linkable) {
            return Ok(fs::hard_link(first, path).is_ok());
        }
        // Damage does not spread, and edits do not either.
        if digest(&mut file).map_err(failed("read", &source))? != *checksum {
            return Ok(false);
        }
        // What somebody else can change is copied, and the copy is what was proved.
        let is_safe = Owners::default().has(&metadata);
        let way = Way { is_linkable: is_safe && share.is_linkable, is_clonable: is_safe };
        let is_whole = self.clone_file(&mut file, &source, way, path, checksum)?;
        if is_whole && metadata.nlink() > 1 {
            self.inodes.insert(inode, path.to_owned());
        }
        Ok(is_whole)
    }

    /// False when the file was changed meanwhile.
    fn clone_file(
        &self,
        file: &mut File,
        source: &Path,
        way: Way,
        path: &Path,
        checksum: &Checksum,
    ) -> Result<bool, WorkshopError> {
        let cannot = &self.workshop.inabilities;
        if way.is_clonable && !cannot.reflink.load(Ordering::Relaxed) {
            match make(file, path, |new| Ok(rustix::fs::ioctl_ficlone(new, &*file)?)) {
                Ok(()) => return Ok(true),
                Err(error) if files::is_full(&error) => return Err(failed("write", path)(error)),
                Err(_) => cannot.reflink.store(true, Ordering::Relaxed),
            }
        }
        if way.is_linkable && !cannot.link.load(Ordering::Relaxed) {
            match fs::hard_link(source, path) {
                Ok(()) if is_same(file, path) => return Ok(true),
                // Somebody put another file into its place.
                Ok(()) => fs::remove_file(path).map_err(failed("remove", path))?,
                Err(error) if files::is_full(&error) => return Err(failed("write", path)(error)),
                // This file has too many names, or is another user's; the next may do.
                Err(error) if error.kind() == io::ErrorKind::TooManyLinks => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(_) => cannot.link.store(true, Ordering::Relaxed),
            }
        }
        let mut copied = None;
        let copy = |mut new: &File| {
            io::Seek::rewind(&mut &*file)?;
            io::copy(&mut &*file, &mut new)?;
            io::Seek::rewind(&mut new)?;
            copied = Some(digest(&mut new)?);
            Ok(())
        };
        make(file, path, copy).map_err(failed("write", path))?;
        let is_whole = copied.as_ref() == Some(checksum);
        if !is_whole {
            fs::remove_file(path).map_err(failed("remove", path))?;
        }
        Ok(is_whole)
    }
}

/// Whether `path` names the open file.
fn is_same(file: &File, path: &Path) -> bool {
    let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => inode(open) == inode(there),
        _ => false,
    }
}

fn make_directory(path: &Path) -> Result<bool, WorkshopError> {
    files::make_directory(path, 0o755).map_err(failed("make the directory", path))
}

/// Makes the file `path`, fills it, and gives it the mode and the time of `like`.
fn make(like: &File, path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let metadata = like.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    let new = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)?;
    let finish = || {
        files::set_mode(&new, mode)?;
        files::set_time(&new, metadata.modified());
        Ok(())
    };
    let result = fill(&new).and_then(|()| finish());
    if result.is_err() {
        let _ = fs::remove_file(path);
    }
    result
}

fn digest(file: &mut impl io::Read) -> io::Result<Checksum> {
    Checksum::of_reader(Algorithm::Sha256, file).map(|(checksum, _)| checksum)
}
