//! What is needed everywhere and is nobody's own.

pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod manners;
pub(crate) mod network;
pub(crate) mod space;
pub(crate) mod threads;
