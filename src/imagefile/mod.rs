//! Where in a file the file system of an image lies: in a squashfs file, or in the partition of a SIF file that
//! runtimes start from.
//!
//! Whatever such a file says is somebody's claim: every place and length is held against the file's size before
//! it is used, and nothing is read that it names without that.

mod found;
mod sif;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

pub use found::{ImageFile, ImageFileError, ImageMachine};

use found::{ImageFault, number, unusable};

/// The first bytes of a squashfs file system of little-endian machines, which all are since 4.0.
const SQUASHFS: [u8; 4] = *b"hsqs";

/// The superblock of a squashfs file system, in bytes, and what of it is read: the major version at 28, and
/// the bytes that are used at 40 (Linux, fs/squashfs/squashfs_fs.h).
const SUPERBLOCK: usize = 96;
const VERSION_AT: usize = 28;
const USED_AT: usize = 40;

/// The one version of the format that anything mounts.
const VERSION: u16 = 4;

impl ImageFile {
    /// Looks into the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or holds no squashfs file system that can be mounted.
    pub fn open(path: &Path) -> Result<Self, ImageFileError> {
        let file = File::open(path).map_err(|error| ImageFault::from(error).of(path))?;
        Self::read(file).map_err(|fault| fault.of(path))
    }

    /// The same of what is in memory, for whoever feeds this with anything at all.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, ImageFileError> {
        Self::read(io::Cursor::new(bytes)).map_err(|fault| fault.of(Path::new("image")))
    }

    fn read(mut file: impl Read + Seek) -> Result<Self, ImageFault> {
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let mut head = Vec::new();
        file.by_ref().take(sif::HEADER as u64).read_to_end(&mut head)?;
        let found = match head {
            head if head.starts_with(&SQUASHFS) => Self { offset: 0, size: length, machine: None },
            head if sif::is_one(&head) => sif::system_partition(&mut file, &head, length)?,
            _ => return Err(unusable("it is neither squashfs nor SIF")),
        };
        check_squashfs(&mut file, &found)?;
        Ok(found)
    }
}

/// Refuses what no squashfs file system begins, and one that is longer than what holds it.
fn check_squashfs(file: &mut (impl Read + Seek), found: &ImageFile) -> Result<(), ImageFault> {
    let mut block = [0; SUPERBLOCK];
    file.seek(SeekFrom::Start(found.offset))?;
    file.read_exact(&mut block)?;
    if !block.starts_with(&SQUASHFS) {
        return Err(unusable("its system partition does not begin as squashfs does"));
    }
    let version = number(&block, VERSION_AT).map(u16::from_le_bytes);
    if version != Some(VERSION) {
        return Err(unusable("it is squashfs of another version than 4"));
    }
    let used = number(&block, USED_AT).map(u64::from_le_bytes);
    match used.is_some_and(|used| used <= found.size) {
        true => Ok(()),
        false => Err(unusable("it is cut off: its file system is longer than the file")),
    }
}
