//! What is installed in a tree, and how it came there. Lies in the tree itself, so that a tree
//! can be copied or published without its prefix. `docs/receipt.md` describes the format.

use serde::{Deserialize, Serialize};

use super::file::{find, with_inner};
use super::{
    Arch, Checksum, FileKind, Fingerprint, GlibcVersion, Loading, MadeWith, Nevra, PackageReason,
    PlannedPackage, PlannedRuntime, ReceiptFile, RelPath, Reusable, Reuse, Source, TreePlan, total,
};

/// The version of the receipt's format that this program writes. It reads earlier ones too.
pub const RECEIPT_FORMAT: u32 = 2;

/// The receipt's name in the root of a tree.
pub const RECEIPT_NAME: &str = ".elsewhere.json";

/// The name of the file in a directory of published versions that says when each was published.
pub(crate) const PUBLISHED_NAME: &str = ".elsewhere-versions.json";

/// The name of the file in each published version that says what it is.
pub(crate) const VERSION_NAME: &str = ".elsewhere-version.json";

/// The name of the signature over it, beside it: the one that minisign looks for.
pub const SIGNATURE_NAME: &str = ".elsewhere.json.minisig";

/// The account of one complete tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`RECEIPT_FORMAT`].
    pub format: u32,
    /// The architecture.
    pub arch: Arch,
    /// The dist's name.
    pub dist: String,
    /// Repositories that the command line said not to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disabled_repositories: Vec<String>,
    /// Repositories that the command line said to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enabled_repositories: Vec<String>,
    /// The runtimes.
    pub runtimes: Vec<PlannedRuntime>,
    /// When the tree was made, in seconds since 1970 (`SOURCE_DATE_EPOCH` where that is set).
    pub installed_at: u64,
    /// The version of this program.
    pub elsewhere: String,
    /// The newest glibc symbol version that any file asks for, of [`Self::container`] too.
    pub glibc_needed: Option<GlibcVersion>,
    /// The repositories that the packages came from, with the keys that were asked for.
    pub sources: Vec<Source>,
    /// Every package.
    pub packages: Vec<PackageReceipt>,
    /// Every file, directory and symlink, sorted by path; but what is within `CONTAINER_DIRECTORY`
    /// where that is a tree of its own.
    pub files: Vec<ReceiptFile>,
    /// Files below `etc/`, and their directories, that whoever published the tree set before anybody saw it; each stands
    /// in the place of what a package brought there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<ReceiptFile>,
    /// How its programs find its libraries; older receipts do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading: Option<Loading>,
    /// What a later generation needs to take files over; older receipts do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<Reuse>,
    /// Whether it was made on a file system that does not keep permissions as they are set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_modes: bool,
    /// What of the definitions later readers need; older receipts do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_with: Option<MadeWith>,
    /// What is bound into containers, where that comes from another dist: a tree of its own in
    /// `CONTAINER_DIRECTORY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Box<Self>>,
}

impl Receipt {
    /// The tree, and those within it.
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |part| part.container.as_deref())
    }

    /// Every package, those of the trees within it too.
    pub fn all_packages(&self) -> impl Iterator<Item = &PackageReceipt> {
        self.parts().flat_map(|part| &part.packages)
    }

    /// Every package's name and version, and whether it is bound into containers.
    pub fn nevras(&self) -> impl Iterator<Item = (bool, &Nevra)> {
        self.parts().enumerate().flat_map(|(depth, part)| {
            part.packages.iter().map(move |package| (depth > 0, &package.nevra))
        })
    }

    /// Every file, directory and symlink, those of the trees within it too, sorted by path.
    #[must_use]
    pub fn all_files(&self) -> Vec<ReceiptFile> {
        with_inner(&self.files, self.container.as_ref().map(|part| part.all_files()))
    }

    /// How all its programs find their libraries; `None` where an older receipt does not say it.
    #[must_use]
    pub fn all_loading(&self) -> Option<Loading> {
        let mut loading = self.loading.clone()?;
        if let Some(part) = &self.container {
            loading.add(&RelPath::container_directory(), part.all_loading()?);
        }
        Some(loading)
    }

    /// Whether the tree has something at `path`.
    #[must_use]
    pub fn has(&self, path: &RelPath) -> bool {
        self.file(path).is_some()
    }

    /// What the tree has at `path`.
    #[must_use]
    pub fn file(&self, path: &RelPath) -> Option<&ReceiptFile> {
        find(&self.files, path)
    }

    /// What the package `name`, of which `only` some files are wanted unless that is empty, has in
    /// this tree. `None` where it cannot be taken over by the rules `relocator`.
    #[must_use]
    pub fn reusable(&self, name: &str, only: &[RelPath], relocator: u32) -> Option<Reusable> {
        self.reuse.as_ref()?.reusable(&self.files, name, only, relocator)
    }

    /// Bytes of all regular files.
    #[must_use]
    pub fn size(&self) -> u64 {
        let size = |file: &ReceiptFile| match file.kind {
            FileKind::File { size, .. } => size,
            FileKind::Directory | FileKind::Symlink { .. } => 0,
        };
        total(self.parts().flat_map(|part| &part.files).map(size))
    }

    /// The dist of what is bound into containers, where that is another one.
    #[must_use]
    pub fn container_dist(&self) -> Option<&str> {
        self.container.as_ref().map(|part| part.dist.as_str())
    }

    /// Whether it has the packages that `tree` asks for, and so has the one within it.
    #[must_use]
    pub fn is_of(&self, tree: &TreePlan) -> bool {
        let packages = self.packages.iter().map(|package| (&package.nevra, &package.checksum));
        let planned = tree.packages.iter().map(|package| (&package.nevra, &package.checksum));
        self.dist == tree.dist
            && self.disabled_repositories == tree.disabled_repositories
            && self.enabled_repositories == tree.enabled_repositories
            && packages.eq(planned)
            && match (&self.container, &tree.container) {
                (Some(receipt), Some(tree)) => receipt.is_of(tree),
                (receipt, tree) => receipt.is_none() && tree.is_none(),
            }
    }

    /// The plan that this tree was made by: carried out again, it makes the same tree.
    #[must_use]
    pub fn plan(&self) -> TreePlan {
        TreePlan {
            arch: self.arch,
            dist: self.dist.clone(),
            runtimes: self.runtimes.clone(),
            disabled_repositories: self.disabled_repositories.clone(),
            enabled_repositories: self.enabled_repositories.clone(),
            glibc: self.glibc_needed,
            sources: self.sources.clone(),
            packages: self.packages.iter().map(PackageReceipt::plan).collect(),
            container: self.container.as_ref().map(|part| Box::new(part.plan())),
        }
    }
}

/// What is known of one installed package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageReceipt {
    /// Name, epoch, version, release, architecture.
    #[serde(flatten)]
    pub nevra: Nevra,
    /// Where its bytes came from: the URL that was asked for, before any mirror.
    #[serde(with = "super::userinfo::one")]
    pub url: String,
    /// Id of the [`Source`].
    pub source: String,
    /// Its place below the source's base URLs, as in [`PlannedPackage::location`].
    #[serde(with = "super::userinfo::one")]
    pub location: String,
    /// Bytes of the package file.
    pub size: u64,
    /// Bytes of its files when installed, as metadata declares.
    pub installed_size: u64,
    /// Digest of the package file.
    pub checksum: Checksum,
    /// When not empty, only these files of the package were unpacked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<RelPath>,
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
    pub reason: PackageReason,
}

impl PackageReceipt {
    /// What is known of `planned`, which was asked for at `url`, before its header is read.
    pub(crate) fn of(planned: &PlannedPackage, url: String) -> Self {
        Self {
            nevra: planned.nevra.clone(),
            url,
            source: planned.source.clone(),
            location: planned.location.clone(),
            size: planned.size,
            installed_size: planned.installed_size,
            checksum: planned.checksum.clone(),
            files: planned.files.clone(),
            signed_by: None,
            signed_at: None,
            trusted_by_user: false,
            license: String::new(),
            source_rpm: String::new(),
            reason: planned.reason.clone(),
        }
    }

    /// The package as the plan had it.
    fn plan(&self) -> PlannedPackage {
        PlannedPackage {
            nevra: self.nevra.clone(),
            source: self.source.clone(),
            location: self.location.clone(),
            size: self.size,
            installed_size: self.installed_size,
            checksum: self.checksum.clone(),
            files: self.files.clone(),
            reason: self.reason.clone(),
        }
    }
}
