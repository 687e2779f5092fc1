//! The tree that an image becomes, and what is known of it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, XattrFlags, chmodat, fsetxattr, linkat, mkdirat,
    openat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::error::LayerError;
use super::node::{Attribute, ImageNode, NodeKind};
use super::walk::{self, Missing, Spot};
use crate::model::Checksum;
use crate::tools::files;

/// What is kept of a file's permissions, and what its owner may do with it at least: files, directories.
const KEPT: u32 = 0o777;
const OWNERS: u32 = 0o600;
const OWNERS_DIRECTORY: u32 = 0o700;
/// What a directory has that no layer says anything of.
const IMPLIED: u32 = 0o755;

/// Most bytes that may be known of a tree: ten million files with names of usual length.
const MOST_KNOWN: usize = 2 << 30;

/// The permissions that a file has in a tree, of those that its image says.
pub(crate) const fn on_disk_file(mode: u32) -> u32 {
    mode & KEPT | OWNERS
}

/// The same of a directory.
pub(crate) const fn on_disk_directory(mode: u32) -> u32 {
    mode & KEPT | OWNERS_DIRECTORY
}

/// A tree that is being made below one directory, which nobody else writes to.
pub struct ImageTree<'a> {
    root: &'a Dir,
    nodes: BTreeMap<PathBuf, ImageNode>,
    /// Bytes that are known of all that was ever in it.
    known: usize,
    /// The layer that is being applied.
    pub(super) layer: u32,
    /// The directory that was used last, and the names that led there.
    last: Option<(Vec<OsString>, Spot)>,
}

/// Something new, as far as it does not matter what it is.
pub(super) struct About<'m> {
    pub(super) mode: u32,
    pub(super) owner: (u64, u64),
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: &'m [Attribute],
}

impl About<'_> {
    /// What is root's, with these permissions and no time.
    const fn of_root(mode: u32) -> Self {
        Self { mode, owner: (0, 0), mtime: None, xattrs: &[] }
    }

    fn node(&self, kind: NodeKind, layer: u32) -> ImageNode {
        let (mode, owner, mtime) = (self.mode, self.owner, self.mtime);
        ImageNode { kind, mode, owner, mtime, lost: Vec::new(), layer }
    }
}

/// Makes directories that are missing, as those of the layer.
struct Making<'t>(&'t mut BTreeMap<PathBuf, ImageNode>, u32);

impl Missing for Making<'_> {
    fn make(&mut self, directory: BorrowedFd<'_>, path: PathBuf, name: &OsStr) -> io::Result<bool> {
        match unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        mkdirat(directory, name, Mode::from_raw_mode(IMPLIED))?;
        give_mode(directory, name, IMPLIED)?;
        self.0.insert(path, About::of_root(IMPLIED).node(NodeKind::Directory, self.1));
        Ok(true)
    }
}

/// Makes nothing.
struct Leaving;

impl Missing for Leaving {
    fn make(&mut self, _: BorrowedFd<'_>, _: PathBuf, _: &OsStr) -> io::Result<bool> {
        Ok(false)
    }
}

impl<'a> ImageTree<'a> {
    /// The tree in the directory `root`, which is empty.
    #[must_use]
    pub fn new(root: &'a Dir) -> Self {
        let node = About::of_root(IMPLIED).node(NodeKind::Directory, 0);
        let nodes = BTreeMap::from([(PathBuf::new(), node)]);
        Self { root, nodes, known: 0, layer: 0, last: None }
    }

    /// What is in it, by its place.
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<PathBuf, ImageNode> {
        &self.nodes
    }

    /// What is at `path`, symlinks on the way followed, and itself not.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn find(&mut self, path: &str) -> Result<Option<&ImageNode>, LayerError> {
        let names = walk::names(path.as_bytes());
        let Some(place) = self.place(&names, false)? else { return Ok(None) };
        Ok(self.nodes.get(&place))
    }

    /// Makes the directory `path`, and those on the way, where nothing is.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn add_directory(&mut self, path: &str) -> Result<(), LayerError> {
        let names = walk::names(path.as_bytes());
        self.enter(&names, true).map(drop)
    }

    /// Writes the file `path` with these permissions, in the place of what is there, if it is no directory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<(), LayerError> {
        let write = |file: &mut File| {
            io::Write::write_all(file, bytes)
                .map_err(|source| LayerError::Write { path: path.to_owned(), source })?;
            Ok((bytes.len() as u64, Checksum::of(bytes)))
        };
        self.file(&walk::names(path.as_bytes()), &About::of_root(mode), write)
    }

    /// Makes the symlink `path` with this text where nothing is.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn add_symlink(&mut self, path: &str, text: &str) -> Result<(), LayerError> {
        if self.find(path)?.is_some() {
            return Ok(());
        }
        self.symlink(&walk::names(path.as_bytes()), &About::of_root(KEPT), text.as_bytes())
    }

    /// Gives the directories their times, which are changed by what is made in them; and what no layer has, the newest
    /// time of all that they have, so that the same image is the same tree. Not every file system keeps times, and
    /// nothing depends on them.
    pub fn finish(&mut self) {
        self.last = None;
        let newest = self.nodes.values().filter_map(|node| node.mtime).max().unwrap_or_default();
        for (path, node) in self.nodes.iter().rev() {
            if node.kind == NodeKind::Directory || node.mtime.is_none() {
                let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
                let mtime = times(node.mtime.unwrap_or(newest));
                let _ = utimensat(self.root, path, &mtime, AtFlags::SYMLINK_NOFOLLOW);
            }
        }
    }

    /// Where these names lead, the last one not followed; `None` where there is no directory for it.
    pub(super) fn place(
        &mut self,
        names: &[OsString],
        makes: bool,
    ) -> Result<Option<PathBuf>, LayerError> {
        let Some((name, parents)) = names.split_last() else { return Ok(Some(PathBuf::new())) };
        let spot = self.enter(parents, makes)?;
        Ok(spot.map(|spot| spot.path.join(name)))
    }

    /// The directory that these names lead to.
    fn enter(&mut self, names: &[OsString], makes: bool) -> Result<Option<&Spot>, LayerError> {
        let is_last = self.last.as_ref().is_some_and(|(last, _)| last == names);
        if !is_last {
            let found = match makes {
                true => walk::follow(self.root, names, &mut Making(&mut self.nodes, self.layer)),
                false => walk::follow(self.root, names, &mut Leaving),
            };
            let Some(spot) = found.map_err(|source| failed(names, source))? else {
                return Ok(None);
            };
            self.last = Some((names.to_vec(), spot));
        }
        Ok(self.last.as_ref().map(|(_, spot)| spot))
    }

    /// The directory above, made, the name in it, and where that is.
    fn above<'n>(&mut self, names: &'n [OsString]) -> Result<(&'n OsStr, PathBuf), LayerError> {
        let wrong = || LayerError::entry(b"/", "is the root, which is a directory");
        let (name, parents) = names.split_last().ok_or_else(wrong)?;
        let spot = self.enter(parents, true)?;
        let spot = spot.ok_or_else(|| failed(names, Errno::NOENT.into()))?;
        Ok((name, spot.path.join(name)))
    }

    /// The directory that [`Self::above`] entered.
    fn here(&self) -> BorrowedFd<'_> {
        self.last.as_ref().map_or_else(|| self.root.as_fd(), |(_, spot)| spot.directory(self.root))
    }

    /// Makes a directory, or gives one that is there what this says.
    pub(super) fn directory(
        &mut self,
        names: &[OsString],
        about: &About<'_>,
    ) -> Result<(), LayerError> {
        let mode = on_disk_directory(about.mode);
        let mut node = about.node(NodeKind::Directory, self.layer);
        let place = if names.is_empty() {
            self.last = None;
            files::set_mode_in(self.root, ".", mode).map_err(|source| failed(names, source))?;
            node.lost = keep_xattrs(self.root.as_fd(), OsStr::new("."), about.xattrs);
            PathBuf::new()
        } else {
            let (name, place) = self.above(names)?;
            let is_there = self.nodes.get(&place).is_some_and(|it| it.kind == NodeKind::Directory);
            if !is_there {
                self.remove(&place)?;
                self.above(names)?;
                mkdirat(self.here(), name, Mode::from_raw_mode(mode))
                    .map_err(|error| failed(names, error.into()))?;
            }
            give_mode(self.here(), name, mode).map_err(|source| failed(names, source))?;
            node.lost = keep_xattrs(self.here(), name, about.xattrs);
            place
        };
        self.know(place, node)
    }

    /// Makes a file of what `fill` writes, which says how many bytes that were, and their digest.
    pub(super) fn file(
        &mut self,
        names: &[OsString],
        about: &About<'_>,
        fill: impl FnOnce(&mut File) -> Result<(u64, Checksum), LayerError>,
    ) -> Result<(), LayerError> {
        let (name, place) = self.make_room(names)?;
        let mode = on_disk_file(about.mode);
        let mut file = self.new_file(name, mode).map_err(|source| failed(names, source))?;
        let (size, digest) = fill(&mut file)?;
        let mut node = about.node(NodeKind::File { size, digest }, self.layer);
        node.lost = keep_xattrs_of(&file, about.xattrs);
        finish(&file, mode, about.mtime).map_err(|source| failed(names, source))?;
        self.know(place, node)
    }

    /// Makes an empty file that stands for a device.
    pub(super) fn device(
        &mut self,
        names: &[OsString],
        about: &About<'_>,
        (is_block, number): (bool, (u64, u64)),
    ) -> Result<(), LayerError> {
        self.file(names, about, |_| Ok((0, Checksum::of(b""))))?;
        if let Some(place) = self.place(names, false)?
            && let Some(node) = self.nodes.get_mut(&place)
        {
            node.kind = NodeKind::Device { is_block, number };
        }
        Ok(())
    }

    /// Makes a symlink.
    pub(super) fn symlink(
        &mut self,
        names: &[OsString],
        about: &About<'_>,
        text: &[u8],
    ) -> Result<(), LayerError> {
        let (name, place) = self.make_room(names)?;
        let made = symlinkat(OsStr::from_bytes(text), self.here(), name);
        made.map_err(|error| failed(names, error.into()))?;
        self.set_time(name, about.mtime);
        let mut node = about.node(NodeKind::Symlink(text.to_vec()), self.layer);
        node.lost = about.xattrs.to_vec();
        self.know(place, node)
    }

    /// Makes a named pipe.
    pub(super) fn fifo(&mut self, names: &[OsString], about: &About<'_>) -> Result<(), LayerError> {
        let (name, place) = self.make_room(names)?;
        let mode = on_disk_file(about.mode);
        let kind = rustix::fs::FileType::Fifo;
        let made = rustix::fs::mknodat(self.here(), name, kind, Mode::from_raw_mode(mode), 0);
        made.map_err(|error| failed(names, error.into()))?;
        give_mode(self.here(), name, mode).map_err(|source| failed(names, source))?;
        self.set_time(name, about.mtime);
        let mut node = about.node(NodeKind::Fifo, self.layer);
        node.lost = about.xattrs.to_vec();
        self.know(place, node)
    }

    /// Makes another name of what is at `target`. `false` where nothing is there.
    pub(super) fn hard_link(
        &mut self,
        names: &[OsString],
        target: &[OsString],
    ) -> Result<bool, LayerError> {
        let Some(from) = self.place(target, false)? else { return Ok(false) };
        let Some(node) = self.nodes.get(&from).cloned() else { return Ok(false) };
        let (_, place) = self.above(names)?;
        let shown = || place.as_os_str().as_bytes();
        if node.kind == NodeKind::Directory {
            return Err(LayerError::entry(shown(), "is a hard link to a directory"));
        }
        if place == from {
            return Ok(true);
        }
        if from.starts_with(&place) {
            return Err(LayerError::entry(shown(), "is a hard link to what is below it"));
        }
        let (name, place) = self.make_room(names)?;
        match linkat(self.root, &from, self.here(), name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::XDEV | Errno::MLINK) => self.copy(&from, name, &node)?,
            Err(error) if files::is_refusal(&error.into()) => self.copy(&from, name, &node)?,
            Err(error) => return Err(failed(names, error.into())),
        }
        self.know(place, ImageNode { layer: self.layer, ..node })?;
        Ok(true)
    }

    /// Notes what is at `place` now.
    fn know(&mut self, place: PathBuf, node: ImageNode) -> Result<(), LayerError> {
        let lost: usize = node.lost.iter().map(|(name, value)| name.len() + value.len()).sum();
        let text = if let NodeKind::Symlink(text) = &node.kind { text.len() } else { 0 };
        self.known += size_of::<ImageNode>() + place.as_os_str().len() + text + lost;
        if self.known > MOST_KNOWN {
            return Err(LayerError::archive("it has far more files than any image"));
        }
        self.nodes.insert(place, node);
        Ok(())
    }

    /// Makes a copy of what cannot have another name.
    fn copy(&self, from: &Path, name: &OsStr, node: &ImageNode) -> Result<(), LayerError> {
        let copied = || -> io::Result<()> {
            if let NodeKind::Symlink(text) = &node.kind {
                return Ok(symlinkat(OsStr::from_bytes(text), self.here(), name)?);
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let from = File::from(openat(self.root, from, flags, Mode::empty())?);
            files::copy(&from, |mode| self.new_file(name, mode)).map(drop)
        };
        copied().map_err(|source| failed(&[name.to_owned()], source))
    }

    /// Removes what is at the place of these names, so that something else can be made there: its name in the
    /// directory that is entered, and its place.
    fn make_room<'n>(&mut self, names: &'n [OsString]) -> Result<(&'n OsStr, PathBuf), LayerError> {
        let (name, place) = self.above(names)?;
        if self.nodes.contains_key(&place) {
            self.remove(&place)?;
            self.above(names)?;
        }
        Ok((name, place))
    }

    /// Removes what is at `place`, and all below it.
    fn remove(&mut self, place: &Path) -> Result<(), LayerError> {
        if !self.nodes.contains_key(place) {
            return Ok(());
        }
        self.last = None;
        let removed = files::remove_below(self.root.as_fd(), place.as_os_str());
        removed.map_err(|source| written(place, source))?;
        let gone: Vec<PathBuf> = self.below(place).cloned().collect();
        for path in gone {
            self.nodes.remove(&path);
        }
        Ok(())
    }

    /// Removes what lower layers have at `place` and below it; with `is_opaque` not what is at `place` itself.
    pub(super) fn hide(&mut self, place: &Path, is_opaque: bool) -> Result<(), LayerError> {
        self.last = None;
        let paths: Vec<PathBuf> = self.below(place).cloned().collect();
        let mut kept: Option<&PathBuf> = None;
        // What is below something comes first.
        for path in paths.iter().rev() {
            let is_own = self.nodes.get(path).is_some_and(|it| it.layer == self.layer);
            let holds = kept.is_some_and(|kept| kept.starts_with(path));
            if is_own || holds || is_opaque && path == place {
                kept = Some(path);
                continue;
            }
            files::remove_below(self.root.as_fd(), path.as_os_str())
                .map_err(|source| written(path, source))?;
            self.nodes.remove(path);
        }
        Ok(())
    }

    /// What is at `place` and below it, in order.
    fn below(&self, place: &Path) -> impl Iterator<Item = &PathBuf> {
        let from = self.nodes.range(place.to_owned()..).map(|(path, _)| path);
        from.take_while(move |path| path.starts_with(place))
    }

    fn new_file(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(self.here(), name, flags, Mode::from_raw_mode(mode))?))
    }

    /// Of something that is not opened. Not every file system keeps it, and nothing depends on it.
    fn set_time(&self, name: &OsStr, mtime: Option<(i64, u32)>) {
        if let Some(mtime) = mtime {
            let _ = utimensat(self.here(), name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW);
        }
    }
}

fn give_mode(directory: BorrowedFd<'_>, name: &OsStr, mode: u32) -> io::Result<()> {
    let result = chmodat(directory, name, Mode::from_raw_mode(mode), AtFlags::empty());
    let look = || Ok(rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
    files::settle(result.map_err(io::Error::from), mode, look)
}

fn finish(file: &File, mode: u32, mtime: Option<(i64, u32)>) -> io::Result<()> {
    files::set_mode(file, mode)?;
    if let Some(mtime) = mtime {
        let _ = rustix::fs::futimens(file, &times(mtime));
    }
    Ok(())
}

/// Gives a file the attributes that its owner may give, and says which are left.
fn keep_xattrs_of(file: &File, xattrs: &[Attribute]) -> Vec<Attribute> {
    let is_lost = |(name, value): &&(Vec<u8>, Vec<u8>)| {
        !name.starts_with(b"user.")
            || fsetxattr(file, name.as_slice(), value, XattrFlags::empty()).is_err()
    };
    xattrs.iter().filter(is_lost).cloned().collect()
}

/// The same of the directory `name`.
fn keep_xattrs(directory: BorrowedFd<'_>, name: &OsStr, xattrs: &[Attribute]) -> Vec<Attribute> {
    if xattrs.is_empty() {
        return Vec::new();
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(directory, name, flags, Mode::empty()) {
        Ok(opened) => keep_xattrs_of(&File::from(opened), xattrs),
        Err(_) => xattrs.to_vec(),
    }
}

fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// The error for what happened to what these names lead to.
pub(super) fn failed(names: &[OsString], source: io::Error) -> LayerError {
    written(&names.iter().collect::<PathBuf>(), source)
}

fn written(path: &Path, source: io::Error) -> LayerError {
    let path = Path::new("/").join(path).to_string_lossy().into_owned();
    LayerError::Write { path, source }
}
