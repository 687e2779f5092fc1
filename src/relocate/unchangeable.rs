//! Why a file cannot get a run path.

use crate::elf::ElfError;

/// Why a file cannot get a run path.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unchangeable {
    /// The file is malformed.
    #[error("{0}")]
    Elf(#[from] ElfError),
    /// It has no place for what must be written.
    #[error("{0}")]
    NoRoom(&'static str),
    /// The result would not load.
    #[error("the result would be wrong: {0}")]
    Wrong(&'static str),
}
