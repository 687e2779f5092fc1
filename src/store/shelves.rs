//! The store's directories, open; and how packages come and go in them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, renameat, statat};
use rustix::io::Errno;

use crate::owned::{OwnedError, Owners};
use crate::tools::files;

/// Where whole packages are, and where those are that come or go.
const PACKAGES: &str = "packages";
const NEW: &str = "new";
/// What nobody has added a file to for this long is a dead run's; or of one that will do without.
const LEFT: Duration = Duration::from_secs(3600);

/// The directories.
#[derive(Debug)]
pub(super) struct Shelves {
    /// Where they are.
    pub(super) path: PathBuf,
    /// Whom this run trusts with what they write.
    pub(super) owners: Owners,
    packages: OwnedFd,
    new: OwnedFd,
    /// Whether this run has put something into them.
    has_grown: AtomicBool,
}

impl Shelves {
    /// Opens those at `path`, and makes those that are missing, for this user alone.
    pub(super) fn open(path: PathBuf, owners: Owners) -> Result<Self, OwnedError> {
        let open = |path: &Path| {
            match DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(OwnedError::io(path)(error));
                }
                _ => owners.check_directory(path)?,
            }
            let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
            let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
            opened.map(OwnedFd::from).map_err(OwnedError::io(path))
        };
        open(&path)?;
        let (packages, new) = (open(&path.join(PACKAGES))?, open(&path.join(NEW))?);
        let has_grown = AtomicBool::new(false);
        Ok(Self { path, owners, packages, new, has_grown })
    }

    /// Whether something of this name is there, whatever it is.
    pub(super) fn has(&self, name: &str) -> bool {
        statat(&self.packages, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Whether this run has put something into them.
    pub(super) fn has_grown(&self) -> bool {
        self.has_grown.load(Ordering::Relaxed)
    }

    /// The directory of a whole package.
    pub(super) fn package(&self, name: &str) -> io::Result<File> {
        open_directory(&self.packages, name)
    }

    /// The names of all that is there.
    pub(super) fn packages(&self) -> io::Result<Vec<String>> {
        names(&self.packages)
    }

    /// A new directory that will be the package `name`, and what it is called until then.
    pub(super) fn begin(&self, name: &str) -> io::Result<(String, File)> {
        let unused = unused(name);
        mkdirat(&self.new, unused.as_str(), Mode::RWXU)?;
        match open_directory(&self.new, &unused) {
            Ok(directory) => Ok((unused, directory)),
            Err(error) => {
                self.give_up(&unused);
                Err(error)
            }
        }
    }

    /// Puts what was begun as `new` into its place. False where another run was faster.
    pub(super) fn put(&self, new: &str, name: &str) -> io::Result<bool> {
        match renameat(&self.new, new, &self.packages, name) {
            Ok(()) => {
                self.has_grown.store(true, Ordering::Relaxed);
                Ok(true)
            }
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what was begun. What cannot be removed stays until somebody sweeps.
    pub(super) fn give_up(&self, new: &str) {
        let _ = files::remove_below(self.new.as_fd(), new.as_ref());
    }

    /// Takes a package out, by one step for whoever looks. Whether it is gone.
    pub(super) fn remove(&self, name: &str) -> bool {
        let gone = unused(name);
        match renameat(&self.packages, name, &self.new, gone.as_str()) {
            Ok(()) => {
                self.give_up(&gone);
                true
            }
            Err(Errno::NOENT) => true,
            // Not every file system renames directories (overlays).
            Err(_) => files::remove_below(self.packages.as_fd(), name.as_ref()).is_ok(),
        }
    }

    /// Removes what dead runs left; or all that is on its way, where `all` is asked for.
    pub(super) fn sweep(&self, all: bool) {
        for name in names(&self.new).unwrap_or_default() {
            let age = || open_directory(&self.new, &name)?.metadata()?.modified();
            let is_left = || match age().map(|time| time.elapsed()) {
                Ok(age) => age.is_ok_and(|age| age > LEFT),
                // Nothing that is made here.
                Err(_) => true,
            };
            if all || is_left() {
                self.give_up(&name);
            }
        }
    }
}

/// The directory `name`, for which nothing else stands.
fn open_directory(parent: impl AsFd, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(parent, name, flags, Mode::empty())?))
}

/// The names in a directory; those that are no text are nobody's here.
fn names(directory: impl AsFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_str().unwrap_or_default();
        if !["", ".", ".."].contains(&name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// A name that no other run has.
fn unused(name: &str) -> String {
    format!("{name}.{:016x}", files::random())
}
