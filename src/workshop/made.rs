//! A tree that was made, wherever it lies: a directory that holds its receipt, and maybe a signature over
//! that. Nothing else is written to it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::error::{WorkshopError, failed};
use crate::model::{CONTAINER_DIRECTORY, RECEIPT_NAME, Receipt, ReceiptError, SIGNATURE_NAME};
use crate::owned::open_to_read;
use crate::tools::files;
use crate::tools::replacement::{Care, Replacement};

/// The largest receipt that is read, in bytes: some hundred thousand files.
const RECEIPT_LIMIT: u64 = 128 << 20;

/// The largest signature that is read, in bytes: minisign's comments have some thousand.
const SIGNATURE_LIMIT: u64 = 64 << 10;

/// A finished tree.
#[derive(Clone, Debug)]
pub struct MadeTree {
    /// Its root.
    pub path: PathBuf,
    /// What is in it.
    pub receipt: Receipt,
}

impl MadeTree {
    /// The tree at `path`; `None` where there is no receipt.
    ///
    /// # Errors
    /// When the receipt cannot be read, is damaged, or a newer version of this program wrote it.
    pub fn open(path: &Path) -> Result<Option<Self>, WorkshopError> {
        let Some(bytes) = read_receipt_bytes(path)? else { return Ok(None) };
        let receipt = parse_receipt(path, &bytes)?;
        Ok(Some(Self { path: path.to_owned(), receipt }))
    }

    /// The tree within it, where what is bound into containers is one.
    #[must_use]
    pub fn within(&self) -> Option<Self> {
        let receipt = self.receipt.container.as_deref()?.clone();
        Some(Self { path: self.path.join(CONTAINER_DIRECTORY), receipt })
    }

    /// Puts the text of a signature over its receipt beside that, durably and in one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_signature(&self, text: &str) -> Result<(), WorkshopError> {
        let path = self.path.join(SIGNATURE_NAME);
        let new = files::unique(&self.path, "signature");
        let write = || {
            let fill = |file: &mut File| file.write_all(text.as_bytes());
            Replacement::file(new, Care::Durable(0o644), fill)?.put(&path)?;
            files::sync_directory(&self.path).map(drop)
        };
        write().map_err(failed("write", &path))
    }
}

/// The receipt of the tree at `tree` that these are the bytes of.
///
/// # Errors
/// When it is damaged, or a newer version of this program wrote it.
pub(crate) fn parse_receipt(tree: &Path, bytes: &[u8]) -> Result<Receipt, WorkshopError> {
    let path = || tree.join(RECEIPT_NAME);
    Receipt::from_json(bytes).map_err(|error| match error {
        ReceiptError::Damaged(problem) => WorkshopError::Damaged { path: path(), problem },
        ReceiptError::Newer(format) => WorkshopError::NewerFormat { path: path(), format },
    })
}

/// The bytes of the receipt of the tree at `tree`; `None` where there is none.
///
/// # Errors
/// When they cannot be read, or are no receipt's.
pub(crate) fn read_receipt_bytes(tree: &Path) -> Result<Option<Vec<u8>>, WorkshopError> {
    read(tree.join(RECEIPT_NAME), RECEIPT_LIMIT)
}

/// The text of the signature over the receipt of the tree at `tree`; `None` where there is none.
///
/// # Errors
/// When it cannot be read, or is no signature's.
pub(crate) fn read_signature(tree: &Path) -> Result<Option<String>, WorkshopError> {
    let bytes = read(tree.join(SIGNATURE_NAME), SIGNATURE_LIMIT)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The bytes of the file at `path`, at most `limit`; `None` where there is none.
fn read(path: PathBuf, limit: u64) -> Result<Option<Vec<u8>>, WorkshopError> {
    let file = match open_to_read(&path) {
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(WorkshopError::Damaged { path, problem: error.to_string() });
        }
        file => file.map_err(failed("open", &path))?,
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed("read", &path))?;
    if bytes.len() as u64 > limit {
        let problem = format!("it is larger than {limit} bytes");
        return Err(WorkshopError::Damaged { path, problem });
    }
    Ok(Some(bytes))
}

/// Whether nothing is there.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
