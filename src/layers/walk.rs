//! Where a path of an image leads: every symlink is followed as a program would that has the image as its root.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

/// As many symlinks as Linux follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Directories that may lie in each other: each is open while what is in it is looked for. No real image has a quarter.
const DEEPEST: usize = 256;

/// The names of a path, which may climb no higher than the root: `a/../../b` is `b`.
pub(super) fn names(path: &[u8]) -> Vec<OsString> {
    let mut names: Vec<OsString> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(OsStr::from_bytes(name).to_owned()),
        }
    }
    names
}

/// A directory of an image.
#[derive(Debug)]
pub(super) struct Spot {
    /// Where it is, without symlinks.
    pub(super) path: PathBuf,
    /// It; the root where there is none.
    handle: Option<OwnedFd>,
}

impl Spot {
    /// It, in the image at `root`.
    pub(super) fn directory<'a>(&'a self, root: &'a Dir) -> BorrowedFd<'a> {
        self.handle.as_ref().map_or_else(|| root.as_fd(), AsFd::as_fd)
    }
}

/// What a walk does where there is no directory.
pub(super) trait Missing {
    /// Makes one called `name` in `directory`, which is at `path`, in the place of a file that is no symlink, where
    /// there is one. `false` where none is to be made.
    fn make(&mut self, directory: BorrowedFd<'_>, path: PathBuf, name: &OsStr) -> io::Result<bool>;
}

/// The directory that these names lead to in the image at `root`; `None` where there is none.
///
/// # Errors
/// When there are too many symlinks, or something cannot be looked at.
pub(super) fn follow(
    root: &Dir,
    path: &[OsString],
    missing: &mut dyn Missing,
) -> io::Result<Option<Spot>> {
    let mut ahead: VecDeque<OsString> = path.iter().cloned().collect();
    let mut way: Vec<(OsString, OwnedFd)> = Vec::new();
    let mut links = 0;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            way.pop();
            continue;
        }
        if way.len() >= DEEPEST {
            return Err(Errno::NAMETOOLONG.into());
        }
        let here = way.last().map_or_else(|| root.as_fd(), |(_, handle)| handle.as_fd());
        match openat(here, &name, flags, Mode::empty()) {
            Ok(handle) => way.push((name, handle)),
            Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => {
                // EINVAL says that it is no symlink.
                if let Ok(text) = readlinkat(here, &name, Vec::new()) {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    if text.to_bytes().starts_with(b"/") {
                        way.clear();
                    }
                    let names = text.to_bytes().split(|byte| *byte == b'/');
                    let names = names.filter(|name| !matches!(*name, b"" | b"."));
                    let names: Vec<_> = names.map(|it| OsString::from_vec(it.to_vec())).collect();
                    names.into_iter().rev().for_each(|name| ahead.push_front(name));
                    continue;
                }
                if error == Errno::LOOP {
                    return Err(error.into());
                }
                let path = way.iter().map(|(name, _)| name).chain([&name]).collect();
                if !missing.make(here, path, &name)? {
                    return Ok(None);
                }
                let handle = openat(here, &name, flags, Mode::empty())?;
                way.push((name, handle));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let path = way.iter().map(|(name, _)| name).collect();
    Ok(Some(Spot { path, handle: way.pop().map(|(_, handle)| handle) }))
}
