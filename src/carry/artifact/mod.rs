//! What is carried by a registry: an index, for each architecture a manifest, and for each file of a mirror a layer,
//! so that a newer version shares what it did not change. docs/carry.md describes it.
//!
//! Nothing that comes from a registry gives trust: what it is is proved as what a mirror or a bundle has.

mod attached;
mod had;
mod material;
mod pull;
mod push;

pub(crate) use attached::{ArtifactSigner, Librarian};
pub(crate) use had::PulledArtifact;
pub(crate) use pull::{Wish, pull};
pub(crate) use push::{PushOptions, Pushed, push};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::model::{Arch, TreePlan};

/// What the whole is.
const KIND: &str = "application/vnd.elsewhere.mirror.v1";
/// What the configuration is. Registries that are older than `artifactType` know an artifact by it.
const CONFIG: &str = "application/vnd.elsewhere.mirror.config.v1+json";
/// What layers are: packages, …
const PACKAGE: &str = "application/x-rpm";
/// … the lock file, …
const LOCK_FILE: &str = "application/vnd.elsewhere.lock.v2+toml";
/// … repositories' metadata, which an install by the lock file does not need, …
const LIST: &str = "application/vnd.elsewhere.metadata.v1";
/// … and definitions and certificates.
const DEFINITION: &str = "application/toml";
const CERTIFICATE: &str = "application/pgp-keys";
/// The annotation with a version.
const VERSION: &str = "org.opencontainers.image.version";
/// The operating system, as Go calls it.
const SYSTEM: &str = "linux";

/// About an architecture's part.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Configuration {
    /// 1.
    format: u32,
    arch: Arch,
    dists: Vec<String>,
    /// Their versions.
    runtimes: BTreeMap<String, String>,
}

impl Configuration {
    fn of(arch: Arch, trees: &[TreePlan]) -> Self {
        let runtimes = trees.iter().flat_map(|tree| &tree.runtimes);
        let runtimes = runtimes.map(|it| (it.name.clone(), it.version.clone())).collect();
        let dists = trees.iter().map(|tree| tree.dist.clone()).collect();
        Self { format: 1, arch, dists, runtimes }
    }
}

/// A document in the bytes that are digested.
fn written(document: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(document).map_err(|error| Error::Usage(format!("nothing to push: {error}")))
}

/// An architecture as Go calls it.
fn go_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
        Arch::Ppc64le => "ppc64le",
        Arch::S390x => "s390x",
    }
}
