//! A receipt in the bytes of its file, of this format and of earlier ones.

use serde::Deserialize;

use super::{FileKind, RECEIPT_FORMAT, Receipt, ReceiptFile, older};

/// The modes that files of trees have; directories have the latter.
const MODES: [u32; 2] = [0o644, 0o755];

/// What a symlink may have: nobody asks for it.
const OF_LINKS: u32 = 0o777;

/// Why a receipt cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// It is no receipt, or says what none does.
    #[error("{0}")]
    Damaged(String),
    /// A newer program wrote it.
    #[error("it has format {0}, which is newer than this program")]
    Newer(u32),
}

impl Receipt {
    /// The receipt in the bytes of its file.
    ///
    /// # Errors
    /// When it is damaged, or a newer version of this program wrote it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReceiptError> {
        /// What every format has, whatever else it has.
        #[derive(Deserialize)]
        struct FormatOnly {
            format: u32,
        }
        let damaged = |error: serde_json::Error| ReceiptError::Damaged(error.to_string());
        let FormatOnly { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        if format > RECEIPT_FORMAT {
            return Err(ReceiptError::Newer(format));
        }
        let mut receipt: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        if format < RECEIPT_FORMAT {
            receipt = older::receipt(receipt, serde_json::from_slice(bytes).map_err(damaged)?);
        }
        // Whoever puts such a file back gives it away, or lends its maker their identity.
        let reused = receipt.parts().filter_map(|part| part.reuse.as_ref());
        let reused = reused.flat_map(|reuse| reuse.packages.values());
        let reused = reused.flat_map(|package| &package.differing).map(|packaged| &packaged.file);
        let mut files = receipt.parts().flat_map(|part| &part.files).chain(reused);
        if let Some(file) = files.find(|file| !has_own_mode(file)) {
            return Err(ReceiptError::Damaged(format!(
                "{} has a mode that no tree has",
                file.path
            )));
        }
        drop(files);
        Ok(receipt)
    }
}

/// Whether the mode of `file` is one that trees have.
fn has_own_mode(file: &ReceiptFile) -> bool {
    match file.kind {
        FileKind::File { .. } => MODES.contains(&file.mode),
        FileKind::Directory => file.mode == MODES[1],
        FileKind::Symlink { .. } => file.mode & !OF_LINKS == 0,
    }
}
