//! What is needed everywhere and is nobody's own.

pub(crate) mod base64;
pub(crate) mod claim;
pub(crate) mod copying;
pub(crate) mod excerpt;
pub(crate) mod files;
pub(crate) mod foreground;
pub(crate) mod limits;
pub(crate) mod machine;
pub(crate) mod manners;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod nearest;
pub(crate) mod network;
pub(crate) mod programs;
pub(crate) mod replacement;
pub(crate) mod space;
pub(crate) mod splice;
pub(crate) mod threads;
pub(crate) mod tree_text;
