//! The types that cross stages. They hold data and rules about data; nothing here does I/O.

mod aim;
mod arch;
mod byte_size;
mod compression;
mod day;
mod digest;
mod dist;
mod drivers;
mod file;
mod fuse_mounts;
mod host;
mod host_place;
mod image_files;
mod known_key;
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
mod registries;
mod relpath;
mod remedy;
mod request;
mod reuse;
mod runtime;
mod showing;
mod sighting;
mod strings;
mod text;
mod toml_text;
mod user_trust;
mod userinfo;
mod variable;
mod version_order;
mod wishes;

pub(crate) use aim::Aim;
pub use arch::Arch;
pub(crate) use byte_size::ByteSize;
pub use compression::Compression;
pub use day::Day;
pub(crate) use digest::InvalidChecksum;
pub use digest::{Algorithm, Checksum, Digester};
pub use dist::{
    Builds, DecidedBy, Dist, Fingerprint, KeyPin, Origin, Repository, RepositoryCost,
    RepositoryPriority,
};
pub(crate) use drivers::{DriverFacts, DriverKind, RuntimeDrivers, is_among};
pub(crate) use file::CONFIG_DIRECTORY;
pub(crate) use file::with_inner;
pub use file::{FileKind, ReceiptFile};
pub(crate) use fuse_mounts::{FuseMounts, WITH_MOUNTS, is_setting};
pub use host::GlibcVersion;
pub(crate) use host::{HostFacts, Libc};
pub(crate) use host_place::{
    END_OF_PLACES, HostPlace, IN_PLACES, PLACING_PROGRAM, PLACING_SCRATCH,
};
pub(crate) use image_files::ImageFiles;
pub use known_key::{KnownKey, KnownKeys};
pub(crate) use loading::LAUNCHED_DIRECTORY;
pub use loading::{Aided, Loading};
pub(crate) use lock::LockError;
pub(crate) use made_with::{MadeWith, RuntimeMade, SHADOW_NAME, SHADOW_NOW, SHADOW_THEN};
pub use modules::{Artifact, DefaultStream, ModuleStream, Modules};
pub(crate) use needs::{MachineNeeds, Shortage};
pub use nevra::{Evr, EvrRef, Nevra};
pub(crate) use package::SetAside;
pub use package::{Comparison, Index, Package, PackageLocation, Provide, Relation, Weak};
pub(crate) use plan::{PLAN_FORMAT, PlannedRuntime};
pub use plan::{PackageReason, Plan, PlannedPackage, Source, TreePlan};
pub(crate) use receipt::PackageReceipt;
pub(crate) use receipt::{PUBLISHED_NAME, VERSION_NAME};
pub use receipt::{RECEIPT_FORMAT, RECEIPT_NAME, Receipt, SIGNATURE_NAME};
pub(crate) use receipt_text::ReceiptError;
pub use registries::Registries;
pub(crate) use relpath::CONTAINER_DIRECTORY;
pub use relpath::RelPath;
pub(crate) use remedy::{Ability, CHECKS, Remedies, Remedy};
pub use request::Pins;
pub(crate) use request::{Request, RuntimeRequest};
pub use reuse::{Linking, Taken};
pub(crate) use reuse::{Reusable, Reuse};
pub(crate) use runtime::{
    Command, GeneratedFile, RuntimeConfig, ShadowNeeds, SmokeTest, UnfitPath,
};
pub use runtime::{Edit, Extra, HostGives, LAUNCHER_MARKER, Runtime};
pub(crate) use showing::{BindWords, SquashfsMounter};
pub use sighting::{Sighting, Sightings};
pub use strings::NameHash;
pub(crate) use strings::{Interner, StrId};
pub(crate) use text::{escape, escape_document, escape_json, escape_lines, shell_word};
pub(crate) use toml_text::{TomlProblem, line_at, read_toml};
pub use user_trust::TrustedFile;
pub(crate) use user_trust::{LOCAL, UserTrust};
pub(crate) use userinfo::{strip as strip_userinfo, without_userinfo};
pub(crate) use variable::{Effect, TREE, Variable};
pub(crate) use wishes::{RepositoryClaims, Wishes, is_like, means_repository};

/// The sum of `sizes` in bytes. What packages and lock files declare may add up to more than a
/// number holds; then it is the largest one, which no disk has.
pub(crate) fn total(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}
