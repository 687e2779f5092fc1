//! What is needed everywhere and is nobody's own.

pub(crate) mod limits;
pub(crate) mod threads;
