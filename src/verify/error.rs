//! Why a tree cannot be held against its receipt.

use std::io;
use std::path::PathBuf;

use crate::model::escape;

/// Why a tree cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A directory of it cannot be read.
    #[error("cannot read {}", escape(&path.to_string_lossy()))]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The user stopped the run.
    #[error("stopped while verifying")]
    Cancelled,
}
