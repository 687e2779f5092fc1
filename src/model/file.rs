//! One path of a tree, as receipts list it.

use serde::{Deserialize, Serialize};

use super::{CONTAINER_DIRECTORY, Checksum, RelPath};

/// The directory of a tree in which every file is configuration.
pub(crate) const CONFIG_DIRECTORY: &str = "etc";

/// What a path of a tree is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// Digest of the file in the tree.
        checksum: Checksum,
        /// Digest of the file in its package, where relocation changed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        packaged: Option<Checksum>,
    },
    /// A symlink and its text.
    Symlink {
        /// The link's text.
        target: String,
    },
}

/// The files of a tree, sorted by path, with those of the one within it.
pub(crate) fn with_inner(
    files: &[ReceiptFile],
    inner: Option<Vec<ReceiptFile>>,
) -> Vec<ReceiptFile> {
    let directory = RelPath::container_directory();
    let placed = |file: ReceiptFile| ReceiptFile { path: directory.join(&file.path), ..file };
    let mut all = files.to_vec();
    all.extend(inner.into_iter().flatten().map(placed));
    all.sort_by(|one, other| one.path.cmp(&other.path));
    all
}

/// One path of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptFile {
    /// Where it is.
    pub path: RelPath,
    /// What it is.
    #[serde(flatten)]
    pub kind: FileKind,
    /// Permission bits; meaningless for symlinks.
    pub mode: u32,
    /// The package's name; `None` for what the runtime's file declares (links, directories).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Whether the package marks it `%config`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub config: bool,
}

impl ReceiptFile {
    /// Whether the user may change it: what a package marks `%config`, and everything below
    /// [`CONFIG_DIRECTORY`].
    #[must_use]
    pub fn is_config(&self) -> bool {
        self.config || self.path.as_path().starts_with(CONFIG_DIRECTORY)
    }

    /// Whether it is a symlink.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        matches!(self.kind, FileKind::Symlink { .. })
    }

    /// Whether it is part of what is bound into containers, where that is of another dist.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.path.as_path().starts_with(CONTAINER_DIRECTORY)
    }

    /// The digest that a regular file had in its package.
    #[must_use]
    pub fn packaged_checksum(&self) -> Option<&Checksum> {
        match &self.kind {
            FileKind::File { checksum, packaged, .. } => {
                Some(packaged.as_ref().unwrap_or(checksum))
            }
            FileKind::Directory | FileKind::Symlink { .. } => None,
        }
    }
}

/// The file at `path` among `files`, which are sorted by path.
pub(super) fn find<'a>(files: &'a [ReceiptFile], path: &RelPath) -> Option<&'a ReceiptFile> {
    files.binary_search_by(|file| file.path.cmp(path)).ok().and_then(|at| files.get(at))
}
