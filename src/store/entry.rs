//! One package of the store: as it is read, and as it is made.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags, Timespec, Timestamps, UTIME_NOW, futimens, openat};
use rustix::io::Errno;

use super::shelves::Shelves;
use crate::model::Checksum;
use crate::owned::Owners;

/// The file with what a package file begins with.
const HEAD: &str = "head";
/// Most digits of the line in which it says how many bytes the package has.
const DIGITS: u64 = 20;

/// A package that is there, whatever its files are by now.
#[derive(Debug)]
pub(crate) struct StoredPackage {
    directory: File,
    head: BufReader<File>,
    /// Bytes that its files have together, as it says itself.
    pub(super) size: u64,
}

impl StoredPackage {
    /// The package in an open directory.
    pub(super) fn of(directory: File, owners: &Owners) -> io::Result<Self> {
        let head = open(&directory, HEAD)?;
        // No digest proves which package this is: only its directory's name says so.
        if !owners.has(&directory.metadata()?) || !owners.has(&head.metadata()?) {
            return Err(odd("it is not of those whom this run trusts"));
        }
        let mut head = BufReader::new(head);
        let size = read_size(&mut head)?;
        Ok(Self { directory, head, size })
    }

    /// What the package file began with, up to its payload. It can be read once.
    pub(crate) fn head(&mut self) -> &mut impl Read {
        &mut self.head
    }

    /// The file that should have this digest.
    ///
    /// # Errors
    /// When it is not there, or no file.
    pub(crate) fn open(&self, digest: &Checksum) -> io::Result<File> {
        open(&self.directory, &digest.hex())
    }

    /// Lets it count as used now. Where that fails it goes earlier.
    pub(crate) fn touch(&self) {
        // The time of a file that is somewhere else too is not this one's to set.
        if self.head.get_ref().metadata().is_ok_and(|metadata| metadata.nlink() != 1) {
            return;
        }
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        let _ = futimens(self.head.get_ref(), &times);
    }

    /// When it was used last, in seconds since 1970.
    pub(super) fn used(&self) -> u64 {
        let used = self.head.get_ref().metadata().and_then(|metadata| metadata.modified());
        let since = used.ok().and_then(|used| used.duration_since(std::time::UNIX_EPOCH).ok());
        since.map_or(0, |since| since.as_secs())
    }
}

/// A package that is being made. It goes away when dropped, unless it was put in its place.
#[derive(Debug)]
pub(crate) struct NewStoredPackage<'s> {
    shelves: &'s Shelves,
    /// What it will be called, and what it is called.
    names: (String, String),
    directory: File,
    is_put: bool,
}

impl<'s> NewStoredPackage<'s> {
    /// Begins the package `name`, whose file begins with `head` and whose files have `size` bytes together.
    pub(super) fn begin(
        shelves: &'s Shelves,
        name: &str,
        head: &[u8],
        size: u64,
    ) -> io::Result<Self> {
        let (new, directory) = shelves.begin(name)?;
        let entry = Self { shelves, names: (name.to_owned(), new), directory, is_put: false };
        let mut file = create(&entry.directory, HEAD)?;
        file.write_all(format!("{size}\n").as_bytes())?;
        file.write_all(head)?;
        Ok(entry)
    }

    /// A new file for what has this digest. `None` where that is there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create(&self, digest: &Checksum) -> io::Result<Option<File>> {
        match create(&self.directory, &digest.hex()) {
            Err(Errno::EXIST) => Ok(None),
            file => Ok(Some(file?)),
        }
    }

    /// Puts it in its place, whole, unless another run was faster.
    ///
    /// # Errors
    /// When that fails, or somebody has swept it away.
    pub(crate) fn put(mut self) -> io::Result<()> {
        self.is_put = self.shelves.put(&self.names.1, &self.names.0)?;
        Ok(())
    }
}

impl Drop for NewStoredPackage<'_> {
    fn drop(&mut self) {
        if !self.is_put {
            self.shelves.give_up(&self.names.1);
        }
    }
}

fn create(directory: &File, name: &str) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// Opens a file to be read, and nothing else: nothing is followed or waited for.
fn open(directory: &File, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(directory, name, flags, Mode::empty())?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(odd("it is not a regular file")),
    }
}

fn read_size(head: &mut impl BufRead) -> io::Result<u64> {
    let mut line = Vec::new();
    head.take(DIGITS + 1).read_until(b'\n', &mut line)?;
    let text = str::from_utf8(&line).ok().and_then(|text| text.strip_suffix('\n'));
    let size = text.and_then(|digits| digits.parse().ok());
    size.ok_or_else(|| odd("it does not say how large it is"))
}

fn odd(problem: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem)
}
