//! The types that cross stages. They hold data and rules about data; nothing here does I/O.

mod aim;
mod arch;
mod digest;
mod dist;
mod file;
mod host;
mod loading;
mod lock;
mod made_with;
mod modules;
mod needs;
mod nevra;
mod older;
mod package;
mod plan;
mod receipt;
mod receipt_text;
mod relpath;
mod remedy;
mod request;
mod reuse;
mod runtime;
mod strings;
mod text;
mod toml_text;
mod version_order;
mod wishes;

pub use aim::Aim;
pub use arch::{Arch, UnknownArch};
pub use digest::{Algorithm, Checksum, Digester, InvalidChecksum};
pub use dist::{
    DecidedBy, Dist, Fingerprint, InvalidFingerprint, KeyPin, Origin, Repository, RepositoryCost,
    RepositoryPriority,
};
pub(crate) use file::with_inner;
pub use file::{CONFIG_DIRECTORY, FileKind, ReceiptFile};
pub use host::{GlibcVersion, HostFacts, InvalidGlibcVersion, Libc};
pub use loading::{Aided, LAUNCHED_DIRECTORY, Loading};
pub use lock::LockError;
pub use made_with::{MadeWith, RuntimeMade};
pub use modules::{Artifact, DefaultStream, ModuleStream, Modules};
pub use needs::{MachineNeeds, Shortage};
pub use nevra::{Evr, Nevra};
pub use package::{Comparison, Index, Package, Provide, Relation, SetAside, Weak};
pub use plan::{
    PLAN_FORMAT, PackageReason, Plan, PlannedPackage, PlannedRuntime, Source, TreePlan,
};
pub use receipt::{PackageReceipt, RECEIPT_FORMAT, RECEIPT_NAME, Receipt};
pub use receipt_text::ReceiptError;
pub use relpath::{CONTAINER_DIRECTORY, InvalidRelPath, RelPath};
pub use remedy::{Ability, CHECKS, Remedies, Remedy};
pub use request::{Pins, Request, RuntimeRequest};
pub use reuse::{PackagedFile, Reusable, ReusablePackage, Reuse, RunPath, Taken};
pub use runtime::{
    Command, Edit, Extra, HostGives, LAUNCHER_MARKER, Link, Runtime, SmokeTest, UnfitPath,
    VersionBound,
};
pub use strings::{Interner, NameHash, StrId};
pub use text::{escape, shell_word};
pub use toml_text::{TomlProblem, line_at, read_toml};
pub use wishes::{RepositoryClaims, Wishes, means_repository};

/// The sum of `sizes` in bytes. What packages and lock files declare may add up to more than a
/// number holds; then it is the largest one, which no disk has.
pub(crate) fn total(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}
