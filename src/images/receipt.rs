//! What an image's tree consists of, and where it came from: the receipt in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::layers::{ImageNode, NodeKind};
use crate::model::{Algorithm, Checksum, Digester, escape};
use crate::owned::open_to_read;

/// The receipt's name in its tree.
pub(super) const IMAGE_RECEIPT: &str = ".elsewhere-image.json";
/// Its format.
const FORMAT: u32 = 1;
/// A tree with a million files has some 200 MB.
const LARGEST: u64 = 4 << 30;

/// A receipt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ImageReceipt {
    /// [`FORMAT`].
    pub(super) format: u32,
    /// What the user called the image, with a host.
    pub(super) name: String,
    /// `OS/ARCHITECTURE[/VARIANT]`, as its configuration says.
    pub(super) platform: String,
    /// The index that its name meant, where that was one.
    pub(super) index: Option<Checksum>,
    /// Its manifest.
    pub(super) manifest: Checksum,
    /// Its configuration.
    pub(super) config: Checksum,
    /// Its layers, base first.
    pub(super) layers: Vec<ReceiptLayer>,
    /// The version of this program.
    pub(super) made_with: String,
    /// The digest of `files`: what [`ImageEntry::line`] has of each, a line each.
    pub(super) tree: Checksum,
    /// Everything in it but the receipt, sorted by path.
    pub(super) files: Vec<ImageEntry>,
}

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReceiptLayer {
    /// As the registry has it.
    pub(super) digest: Checksum,
    /// Bytes of that.
    pub(super) size: u64,
    /// Not compressed.
    pub(super) diff_id: Checksum,
}

/// Something in an image's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageEntry {
    /// Below the root. Bytes that are no UTF-8 are `\xHH`, and a backslash is two.
    pub(super) path: String,
    /// What it is.
    #[serde(flatten)]
    pub(super) kind: EntryKind,
    /// Permissions as the image has them, with the bits above, in octal digits.
    pub(super) mode: String,
    /// User id and group id as the image has them, where they are not root's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<(u64, u64)>,
    /// Extended attributes of the image's that were not kept, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) lost: BTreeMap<String, String>,
}

/// What something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub(super) enum EntryKind {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// Digest.
        checksum: Checksum,
    },
    /// A symlink.
    Symlink {
        /// Its text, written as paths are.
        target: String,
    },
    /// A named pipe.
    Fifo,
    /// A device, for which an empty file stands.
    Device {
        /// `c` or `b`, major and minor number.
        device: String,
    },
}

impl ImageEntry {
    /// What the receipt says of something.
    fn of(path: &Path, node: &ImageNode) -> Self {
        let kind = match &node.kind {
            NodeKind::Directory => EntryKind::Directory,
            NodeKind::File { size, digest } => {
                EntryKind::File { size: *size, checksum: digest.clone() }
            }
            NodeKind::Symlink(text) => EntryKind::Symlink { target: written(text) },
            NodeKind::Fifo => EntryKind::Fifo,
            NodeKind::Device { is_block, number: (major, minor) } => {
                let kind = if *is_block { 'b' } else { 'c' };
                EntryKind::Device { device: format!("{kind} {major}:{minor}") }
            }
        };
        let lost = node.lost.iter().map(|(name, value)| (written(name), hex(value))).collect();
        let owner = (node.owner != (0, 0)).then_some(node.owner);
        let mode = format!("{:04o}", node.mode);
        Self { path: written(path.as_os_str().as_bytes()), kind, mode, owner, lost }
    }

    /// What of it belongs to the image, in one line, for its tree's digest.
    fn line(&self) -> String {
        let what = match &self.kind {
            EntryKind::Directory => "directory".to_owned(),
            EntryKind::File { size, checksum } => format!("file {size} {checksum}"),
            EntryKind::Symlink { target } => format!("symlink {}", target.replace('\n', "\\n")),
            EntryKind::Fifo => "fifo".to_owned(),
            EntryKind::Device { device } => format!("device {device}"),
        };
        let (user, group) = self.owner.unwrap_or_default();
        let path = self.path.replace('\n', "\\n");
        format!("{} {user}:{group} {what} {path}\n", self.mode)
    }
}

impl ImageReceipt {
    /// The entries of a tree, and their digest.
    pub(super) fn entries(nodes: &BTreeMap<PathBuf, ImageNode>) -> (Vec<ImageEntry>, Checksum) {
        let files: Vec<_> = nodes.iter().map(|(path, node)| ImageEntry::of(path, node)).collect();
        let digest = Self::digest(&files);
        (files, digest)
    }

    /// The digest of a tree.
    fn digest(files: &[ImageEntry]) -> Checksum {
        let mut digester = Digester::new(Algorithm::Sha256);
        files.iter().for_each(|file| digester.update(file.line().as_bytes()));
        digester.finish()
    }

    /// The format that this program writes.
    pub(super) const fn format() -> u32 {
        FORMAT
    }

    /// The receipt of the tree at `root`.
    ///
    /// # Errors
    /// When there is none, or one that makes no sense.
    pub(super) fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join(IMAGE_RECEIPT);
        let file = open_to_read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::Usage(format!(
                "{} is no tree that `elsewhere image pull` made: it has no receipt",
                escape(&root.to_string_lossy())
            )),
            _ => Error::File { path: path.clone(), source },
        })?;
        let reader = std::io::BufReader::new(file.take(LARGEST));
        let wrong =
            |why: String| Error::Usage(format!("{} {why}", escape(&path.to_string_lossy())));
        let read: Self = serde_json::from_reader(reader)
            .map_err(|error| wrong(format!("is no receipt of an image: {error}")))?;
        match read.format {
            FORMAT if Self::digest(&read.files) == read.tree => Ok(read),
            FORMAT => Err(wrong("was changed: its digest is another".to_owned())),
            other => {
                Err(wrong(format!("has the format {other}, which is newer than this program")))
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes as text: those that are no UTF-8 are `\xHH`, and a backslash is two.
pub(super) fn written(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        chunk.invalid().iter().for_each(|byte| {
            let _ = write!(text, "\\x{byte:02x}");
        });
    }
    text
}

/// The bytes that [`written`] made a text of; `None` where it made none such.
pub(super) fn bytes_of(text: &str) -> Option<OsString> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        if let Some(after) = after.strip_prefix('\\') {
            bytes.push(b'\\');
            rest = after;
        } else {
            let digits = after.strip_prefix('x')?;
            bytes.push(u8::from_str_radix(digits.get(..2)?, 16).ok()?);
            rest = digits.get(2..)?;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_can_be_written() {
        let names: [&[u8]; 5] =
            [b"plain", b"a\\x41", b"caf\xe9", "caf\u{e9}\n".as_bytes(), b"\\\\"];
        for name in names {
            assert_eq!(bytes_of(&written(name)).unwrap().as_bytes(), name);
        }
        assert_eq!(written(b"a\\b\xff"), "a\\\\b\\xff");
        assert!(
            bytes_of("\\y").is_none() && bytes_of("\\xg0").is_none() && bytes_of("\\").is_none()
        );
    }
}
