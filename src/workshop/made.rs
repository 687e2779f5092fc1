//! A tree that was made, wherever it lies: a directory that holds its receipt. Nothing is written to it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::{WorkshopError, failed};
use crate::model::{CONTAINER_DIRECTORY, RECEIPT_NAME, Receipt, ReceiptError};
use crate::owned::open_to_read;

/// The largest receipt that is read, in bytes: some hundred thousand files.
const RECEIPT_LIMIT: u64 = 128 << 20;

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
        let receipt = read_receipt(path)?;
        Ok(receipt.map(|receipt| Self { path: path.to_owned(), receipt }))
    }

    /// The tree within it, where what is bound into containers is one.
    #[must_use]
    pub fn within(&self) -> Option<Self> {
        let receipt = self.receipt.container.as_deref()?.clone();
        Some(Self { path: self.path.join(CONTAINER_DIRECTORY), receipt })
    }
}

/// The receipt of the tree at `tree`; `None` where there is none.
///
/// # Errors
/// As [`MadeTree::open`].
pub(crate) fn read_receipt(tree: &Path) -> Result<Option<Receipt>, WorkshopError> {
    let path = tree.join(RECEIPT_NAME);
    let file = match open_to_read(&path) {
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(WorkshopError::Damaged { path, problem: error.to_string() });
        }
        file => file.map_err(failed("open", &path))?,
    };
    let mut bytes = Vec::new();
    file.take(RECEIPT_LIMIT + 1).read_to_end(&mut bytes).map_err(failed("read", &path))?;
    let read = match bytes.len() as u64 > RECEIPT_LIMIT {
        true => Err(ReceiptError::Damaged(format!("it is larger than {RECEIPT_LIMIT} bytes"))),
        false => Receipt::from_json(&bytes),
    };
    match read {
        Ok(receipt) => Ok(Some(receipt)),
        Err(ReceiptError::Damaged(problem)) => Err(WorkshopError::Damaged { path, problem }),
        Err(ReceiptError::Newer(format)) => Err(WorkshopError::NewerFormat { path, format }),
    }
}

/// Whether nothing is there.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
