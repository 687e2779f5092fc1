//! What is installed in a tree, and how it came there. Lies in the tree itself, so that a tree
//! can be copied or published without its prefix. `docs/receipt.md` describes the format.

use serde::{Deserialize, Serialize};

use super::{
    Arch, Checksum, Fingerprint, GlibcVersion, Nevra, PlannedRuntime, Reason, RelPath, total,
};

/// The version of the receipt's format that this program writes.
pub const RECEIPT_FORMAT: u32 = 1;

/// The account of one complete tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`RECEIPT_FORMAT`].
    pub format: u32,
    /// The architecture.
    pub arch: Arch,
    /// The dist's name.
    pub dist: String,
    /// The runtimes.
    pub runtimes: Vec<PlannedRuntime>,
    /// When the tree was made, in seconds since 1970 (`SOURCE_DATE_EPOCH` where that is set).
    pub installed_at: u64,
    /// The version of this program.
    pub elsewhere: String,
    /// The newest glibc symbol version that any file asks for.
    pub glibc_needed: Option<GlibcVersion>,
    /// Every package.
    pub packages: Vec<PackageReceipt>,
    /// Every file, directory and symlink, sorted by path.
    pub files: Vec<ReceiptFile>,
}

impl Receipt {
    /// Whether the tree has something at `path`.
    #[must_use]
    pub fn has(&self, path: &RelPath) -> bool {
        self.files.binary_search_by(|file| file.path.cmp(path)).is_ok()
    }

    /// Bytes of all regular files.
    #[must_use]
    pub fn size(&self) -> u64 {
        let size = |file: &ReceiptFile| match file.kind {
            FileKind::File { size, .. } => size,
            FileKind::Directory | FileKind::Symlink { .. } => 0,
        };
        total(self.files.iter().map(size))
    }
}

/// What is known of one installed package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageReceipt {
    /// Name, epoch, version, release, architecture.
    #[serde(flatten)]
    pub nevra: Nevra,
    /// Where its bytes came from: the URL that was asked for, before any mirror.
    pub url: String,
    /// Bytes of the package file.
    pub size: u64,
    /// Digest of the package file.
    pub checksum: Checksum,
    /// Fingerprint of the primary key of the signature; `None` when `--allow-unsigned` let an
    /// unsigned package in.
    pub signed_by: Option<Fingerprint>,
    /// When it was signed, in seconds since 1970.
    pub signed_at: Option<u64>,
    /// Whether the key is one that `--trust-key` gave.
    #[serde(default)]
    pub trusted_by_user: bool,
    /// The licence that its header names.
    pub license: String,
    /// The source package that it was built from.
    pub source_rpm: String,
    /// Why it is in.
    pub reason: Reason,
}

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
