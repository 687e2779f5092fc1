//! The stages, one at a time, as tests, benchmarks and fuzz targets call them. Programs have
//! [`crate::run`]; nothing here is promised to anybody else.

/// Nothing that a tree needs is missing.
pub mod audit {
    pub use crate::audit::{Audit, Gap, audit};
}
/// What can be installed.
pub mod catalog {
    pub use crate::catalog::Catalog;
}
/// What a site and a user set.
pub mod config {
    pub use crate::config::{Config, ConfigFile, Whose};
}
/// Decompression.
pub mod decoding {
    pub use crate::decoding::{Decoder, Kept};
    pub use crate::model::Compression;
}
/// What goes wrong.
pub mod error {
    pub use crate::error::{CvmfsError, Error, ImageError};
}
/// Bytes, with the digest that was asked for.
pub mod fetch {
    pub use crate::fetch::{
        FetchError, FetchOptions, Fetched, Fetcher, Netrc, Proof, Reason, Stream, StreamEnd,
        Whence, join, places,
    };
}
/// What this machine is.
pub mod host {
    pub use crate::host::VARIABLES;
}
/// The text of launchers.
pub mod launcher {
    pub use crate::launcher::{Candidate, LaunchedTrees, choosing, own, text};
}
/// Layers of images.
pub mod layers {
    pub use crate::layers::{Attribute, ImageNode, ImageTree, LayerError, NodeKind, apply};
}
/// What a dist offers.
pub mod metadata {
    pub use crate::metadata::{Loaded, Means, Memory, MetadataError, TrustFailure, load};
}
/// Detached signatures.
pub mod minisig {
    pub use crate::minisig::{MinisigProblem, PublicKey};
}
/// The types that cross rooms.
pub mod model {
    pub use crate::model::{
        Aided, Algorithm, Arch, Artifact, Builds, Checksum, Comparison, Day, DecidedBy,
        DefaultStream, Digester, Dist, Edit, Evr, EvrRef, Extra, FileKind, Fingerprint,
        GlibcVersion, HostGives, Index, KeyPin, KnownKey, KnownKeys, LAUNCHER_MARKER, Linking,
        Loading, ModuleStream, Modules, NameHash, Nevra, Origin, Package, PackageLocation,
        PackageReason, Pins, Plan, PlannedPackage, Provide, RECEIPT_FORMAT, RECEIPT_NAME, Receipt,
        ReceiptFile, Registries, RelPath, Relation, Repository, RepositoryCost, RepositoryPriority,
        Runtime, SIGNATURE_NAME, Sighting, Sightings, Source, Taken, TreePlan, TrustedFile, Weak,
    };
}
/// Generations of trees.
pub mod prefix {
    pub use crate::prefix::{Generation, Locked, LostLink, Prefix, PrefixError};
    pub use crate::workshop::ConfigReport;
}
/// Files that hold a root directory.
pub mod imagefile {
    pub use crate::imagefile::{ImageFile, ImageFileError, ImageMachine};
}
/// A directory as a command's root.
pub mod ranch {
    pub use crate::ranch::RanchError;
}
/// Settings of runtimes.
pub mod runtime_config {
    pub use crate::runtime_config::RuntimeConfigError;
}
/// Small prefixes over read-only ones.
pub mod shadow {
    pub use crate::shadow::ShadowError;
}
/// Repositories of CernVM-FS.
pub mod publish {
    pub use crate::publish::{
        Collecting, CvmfsOptions, CvmfsRepository, Expected, Ingest, OpenTransaction, Revision,
        Words,
    };
}
/// Newer versions of this program.
pub mod release {
    pub use crate::release::{
        PINNED_KEY, Release, ReleaseError, newer_release, replace, replace_program, verify,
    };
}
/// Trees that can be moved.
pub mod relocate {
    pub use crate::relocate::{RelocateError, Relocated, Relocation, relocate};
}
/// Repositories' metadata.
pub mod repodata {
    pub use crate::repodata::{RepodataError, metalink, modules, primary, repomd};
}
/// What stages tell.
pub mod report {
    pub use crate::report::{Event, Phase, Reporter, Silent};
}
/// The closure of a runtime.
pub mod resolve {
    pub use crate::resolve::{Part, ResolveError, Target, Wanted, resolve};
}
/// The confinement of threads that unpack, and of processes that decode.
pub mod sandbox {
    pub use crate::sandbox::{
        ARCHITECTURES, CALLS_LEFT, CALLS_LEFT_FOR_DATA, CallNumbers, Confinement, Walls, confine,
        wall_in,
    };
}
/// Trees, tried out.
pub mod smoke {
    pub use crate::smoke::{
        HostJudge, Obstacle, SmokeError, SmokeReport, Trial, Unjudged, probe, run, run_launchers,
    };
}
/// Where a package comes from.
pub mod trust {
    pub use crate::trust::{
        Keyring, Malformed, Policy, SignatureProblem, TrustError, Verified, open, read_local,
    };
}
/// Verified packages' files.
pub mod unpack {
    pub use crate::unpack::{
        Claims, Destination, FileProblem, UnpackError, Unpacked, unpack, unpack_by,
    };
}
