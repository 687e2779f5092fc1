//! Layers of container images become files below one directory: tar archives, one over the other, with the
//! whiteouts of OCI's image specification (layer.md), as root would see them and without its rights.
//!
//! Nothing leaves the directory, whatever an archive says: every path is walked from the directory's own handle,
//! one name at a time, and a symlink on the way is followed as a program would that has the directory as its root.
//! Where the programs of this field differ, what umoci does is done here: an entry below a symlink of a lower layer
//! goes to where that leads.
//!
//! What a user without rights cannot make is not made, and remembered: owners, devices (an empty file stands for
//! one), set-user-id bits, file capabilities. Whoever makes a tree may always read, write and remove it: files have
//! at least mode 0600, directories 0700.

mod apply;
mod error;
mod node;
mod numbers;
mod pax;
mod sparse;
mod tar;
mod tree;
mod walk;

pub use apply::apply;
pub use error::LayerError;
pub use node::{Attribute, ImageNode, NodeKind};
pub use tree::ImageTree;
pub(crate) use tree::{on_disk_directory, on_disk_file};
