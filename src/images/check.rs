//! A tree, held against its receipt.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::receipt::{EntryKind, IMAGE_RECEIPT, ImageEntry, ImageReceipt, bytes_of, written};
use crate::error::Error;
use crate::layers::{on_disk_directory, on_disk_file};
use crate::model::{Algorithm, Checksum};
use crate::owned::open_to_read;
use crate::report::{Event, Phase, Reporter};

/// What of a tree is not as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ImageFinding {
    /// Where, below the root, written as receipts have it.
    pub(crate) path: String,
    /// How.
    pub(crate) change: ImageChange,
}

/// How something is not as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ImageChange {
    /// It is not there.
    Missing,
    /// It is something else, or has other content.
    Changed,
    /// It has other permissions.
    Mode,
    /// It does not belong there.
    Foreign,
}

/// What of the tree at `root` is not as its receipt says, and how many things that names.
///
/// # Errors
/// When there is no receipt, or the tree cannot be read.
pub(crate) fn check(
    root: &Path,
    reporter: &dyn Reporter,
) -> Result<(Vec<ImageFinding>, usize), Error> {
    let receipt = ImageReceipt::read(root)?;
    let size = |entry: &ImageEntry| match entry.kind {
        EntryKind::File { size, .. } => size,
        _ => 0,
    };
    let total = Some(crate::model::total(receipt.files.iter().map(size)));
    reporter.event(Event::Started { phase: Phase::Verify, total });
    let mut there = BTreeMap::new();
    list(root, &mut PathBuf::new(), &mut there)
        .map_err(|(path, source)| Error::File { path, source })?;
    there.remove(Path::new(IMAGE_RECEIPT));
    let mut findings = Vec::new();
    let count = receipt.files.len();
    for entry in &receipt.files {
        if reporter.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let path = bytes_of(&entry.path).map(PathBuf::from);
        let found = path.as_ref().and_then(|path| Some((path, there.remove(path)?)));
        let change = match found {
            None => Some(ImageChange::Missing),
            Some((path, about)) => compare(&root.join(path), entry, &about)?,
        };
        reporter.advanced(Phase::Verify, size(entry));
        findings.extend(change.map(|change| ImageFinding { path: entry.path.clone(), change }));
    }
    let foreign = there.into_keys().map(|path| ImageFinding {
        path: written(path.as_os_str().as_bytes()),
        change: ImageChange::Foreign,
    });
    findings.extend(foreign);
    reporter.event(Event::Finished { phase: Phase::Verify });
    Ok((findings, count))
}

/// How something is not what `entry` says.
fn compare(
    path: &Path,
    entry: &ImageEntry,
    about: &Metadata,
) -> Result<Option<ImageChange>, Error> {
    let error = |source| Error::File { path: path.to_owned(), source };
    let is_same = match &entry.kind {
        EntryKind::Directory => about.is_dir(),
        EntryKind::File { size, checksum } => {
            about.is_file() && about.len() == *size && {
                let file = open_to_read(path).map_err(error)?;
                let (got, _) = Checksum::of_reader(Algorithm::Sha256, file).map_err(error)?;
                got == *checksum
            }
        }
        EntryKind::Symlink { target } => {
            about.is_symlink() && {
                let text: OsString = fs::read_link(path).map_err(error)?.into_os_string();
                bytes_of(target).is_some_and(|target| target == text)
            }
        }
        EntryKind::Fifo => about.file_type().is_fifo(),
        EntryKind::Device { .. } => about.is_file() && about.len() == 0,
    };
    if !is_same {
        return Ok(Some(ImageChange::Changed));
    }
    let mode = u32::from_str_radix(&entry.mode, 8).unwrap_or_default();
    let mode = match &entry.kind {
        EntryKind::Symlink { .. } => return Ok(None),
        EntryKind::Directory => on_disk_directory(mode),
        _ => on_disk_file(mode),
    };
    Ok((about.mode() & 0o7777 != mode).then_some(ImageChange::Mode))
}

/// Everything below `root`, by its place; symlinks are not followed.
fn list(
    root: &Path,
    place: &mut PathBuf,
    found: &mut BTreeMap<PathBuf, Metadata>,
) -> Result<(), (PathBuf, io::Error)> {
    let here = root.join(&place);
    let failed = |source| (here.clone(), source);
    if place.as_os_str().is_empty() {
        found.insert(PathBuf::new(), fs::metadata(&here).map_err(failed)?);
    }
    for entry in fs::read_dir(&here).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let about = entry.metadata().map_err(failed)?;
        place.push(entry.file_name());
        if about.is_dir() {
            list(root, place, found)?;
        }
        found.insert(place.clone(), about);
        place.pop();
    }
    Ok(())
}
