//! What the file system of a workshop cannot do.

use std::sync::atomic::AtomicBool;

/// What the file system was found not to be able to do: it is not asked again.
#[derive(Debug, Default)]
pub(super) struct Inabilities {
    /// Two files cannot share their bytes.
    pub(super) reflink: AtomicBool,
    /// A file cannot have two names.
    pub(super) link: AtomicBool,
}
