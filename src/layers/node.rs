//! What an image has in a place.

use crate::model::Checksum;

/// An extended attribute: its name and its value.
pub type Attribute = (Vec<u8>, Vec<u8>);

/// Something that an image has, as its layers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageNode {
    /// What it is.
    pub kind: NodeKind,
    /// Permissions, with the bits above.
    pub mode: u32,
    /// User id and group id.
    pub owner: (u64, u64),
    /// Seconds since 1970, and nanoseconds; `None` of what no layer has, and merely is on the way to something.
    pub mtime: Option<(i64, u32)>,
    /// Extended attributes that were not kept: only root gives them, or the file system has none.
    pub lost: Vec<Attribute>,
    /// The layer that brought it, from 0.
    pub(super) layer: u32,
}

impl ImageNode {
    /// Whether a tree has of it all that the image says.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        let is_device = matches!(self.kind, NodeKind::Device { .. });
        self.owner == (0, 0) && self.mode & 0o6000 == 0 && self.lost.is_empty() && !is_device
    }
}

/// What something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// SHA-256 of them.
        digest: Checksum,
    },
    /// A symlink, with its text.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A device, for which an empty file stands.
    Device {
        /// Whether it is a block device.
        is_block: bool,
        /// Major and minor number.
        number: (u64, u64),
    },
}
