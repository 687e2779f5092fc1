//! A receipt in the bytes of its file, of this format and of earlier ones.

use serde::Deserialize;

use super::{RECEIPT_FORMAT, Receipt, ReceiptFile, older};

/// What a file of a tree may have of a mode: no set-user-id, set-group-id or sticky bit.
const PERMISSIONS: u32 = 0o777;

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
        // Whoever puts such a file back lends its maker their identity.
        let is_lent = |file: &&ReceiptFile| file.mode & !PERMISSIONS != 0;
        let mut files = receipt.parts().flat_map(|part| &part.files);
        if let Some(file) = files.find(is_lent) {
            return Err(ReceiptError::Damaged(format!(
                "{} has a mode that no tree has",
                file.path
            )));
        }
        drop(files);
        Ok(receipt)
    }
}
