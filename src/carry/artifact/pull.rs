//! Pulling: of an index the manifests of the architectures that are wanted, their lock files, and of their layers
//! those that an install by these needs, each through the cache by its digest.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::attached::{ArtifactSigner, proved};
use super::{
    CERTIFICATE, CONFIG, DEFINITION, LIST, LOCK_FILE, PACKAGE, SYSTEM, had::PulledArtifact,
};
use crate::carry::{TEXT_LIMIT, is_within};
use crate::error::Error;
use crate::fetch::registry::{
    Descriptor, ImageIndex, ImageManifest, ManifestName, Reference, Registry,
};
use crate::fetch::{Fetched, mirror_path, package_places};
use crate::minisig::PublicKey;
use crate::model::{Arch, Checksum, Plan, TreePlan, escape};
use crate::report::{Event, Phase, Reporter};
use crate::tools::threads;

/// Layers that are brought at the same time.
const AT_ONCE: usize = 6;
/// Most bytes of a definition, and of a file of certificates.
const SMALL: u64 = 16 << 20;
/// Most bytes of a list of packages: ten times what the largest distribution's have.
const LIST_LIMIT: u64 = 2 << 30;

/// What is wanted of an artifact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// The architectures; all where none is named.
    pub arches: &'a [Arch],
    /// Whether the repositories' metadata are, too.
    pub lists: bool,
    /// Who must have signed it, one of them, where some are named.
    pub signers: &'a [PublicKey],
}

/// What was pulled, named with its digest.
///
/// # Errors
/// When it cannot be had, is not what this program pushes, or has nothing for one of the architectures.
pub(crate) fn pull(
    registry: &Registry<'_>,
    reference: &Reference,
    wish: Wish<'_>,
    reporter: &dyn Reporter,
) -> Result<PulledArtifact, Error> {
    let target = reference.target.clone().unwrap_or_else(ManifestName::usual);
    let bytes = registry.manifest(&target)?;
    let exact = reference.to(ManifestName::Digest(Checksum::of(&bytes)));
    let pulling = Pulling { registry, name: exact.to_string(), reporter };
    let signer = pulling.signer(&bytes, wish.signers)?;
    let manifests = pulling.manifests(&bytes, wish.arches)?;
    let mut plan = Plan::of(Vec::new());
    let mut layers: BTreeMap<String, Descriptor> = BTreeMap::new();
    for manifest in manifests {
        let part = pulling.lock(&manifest)?;
        let wanted = places(&part);
        for layer in manifest.layers {
            let Some((title, layer)) = pulling.wanted(layer, &wanted, wish.lists)? else {
                continue;
            };
            match layers.get(&title) {
                Some(other) if other.digest != layer.digest => {
                    return Err(pulling.wrong(&format!("two files in it are called {title}")));
                }
                _ => drop(layers.insert(title, layer)),
            }
        }
        plan.trees.extend(part.trees);
        plan.certificates.extend(part.certificates);
    }
    if wish.lists && layers.values().all(|layer| layer.media_type != LIST) {
        return Err(
            pulling.wrong("it was pushed from a bundle, and has no lists of packages for a mirror")
        );
    }
    let files = pulling.files(layers)?;
    Ok(PulledArtifact { name: pulling.name.into(), plan, files, signer })
}

/// Where a mirror has the packages of a plan.
fn places(plan: &Plan) -> BTreeSet<PathBuf> {
    let parts = plan.trees.iter().flat_map(TreePlan::parts);
    let mut found = BTreeSet::new();
    for part in parts {
        let places = part.packages.iter().map(|it| package_places(part.source(&it.source), it));
        found.extend(places.flatten().filter_map(|url| mirror_path(&url)));
    }
    found
}

/// An artifact that is being pulled.
struct Pulling<'a> {
    registry: &'a Registry<'a>,
    /// Its reference, with its digest.
    name: String,
    reporter: &'a dyn Reporter,
}

impl Pulling<'_> {
    fn wrong(&self, why: &str) -> Error {
        Error::Usage(format!("{}: {}", escape(&self.name), escape(why)))
    }

    /// Who of `signers`, where there are any, signed what was found.
    fn signer(&self, bytes: &[u8], signers: &[PublicKey]) -> Result<Option<ArtifactSigner>, Error> {
        if signers.is_empty() {
            return Ok(None);
        }
        match proved(self.registry, bytes, signers)? {
            Ok(signer) => Ok(Some(signer)),
            Err(why) => Err(Error::Unsigned { name: self.name.clone(), why }),
        }
    }

    /// The manifests for these architectures, or all.
    fn manifests(&self, bytes: &[u8], arches: &[Arch]) -> Result<Vec<ImageManifest>, Error> {
        if let Ok(index) = serde_json::from_slice::<ImageIndex>(bytes) {
            let mut found: BTreeMap<Arch, &Descriptor> = BTreeMap::new();
            for descriptor in &index.manifests {
                let platform = descriptor.platform.as_ref().filter(|it| it.os == SYSTEM);
                if let Some(arch) = platform.and_then(|it| it.architecture.parse().ok()) {
                    found.entry(arch).or_insert(descriptor);
                }
            }
            if let Some(arch) = arches.iter().find(|arch| !found.contains_key(arch)) {
                let there: Vec<&str> = found.keys().map(|arch| arch.as_str()).collect();
                let there = there.join(", ");
                return Err(self.wrong(&format!("it has nothing for {arch}: it has {there}")));
            }
            found.retain(|arch, _| arches.is_empty() || arches.contains(arch));
            let read = |descriptor: &&Descriptor| {
                let digest = descriptor.checksum();
                let digest = digest.ok_or_else(|| self.wrong("a manifest in it has no SHA-256"))?;
                self.part(&self.registry.manifest(&ManifestName::Digest(digest))?)
            };
            return found.values().map(read).collect();
        }
        Ok(vec![self.part(bytes)?])
    }

    /// The manifest of a part.
    fn part(&self, bytes: &[u8]) -> Result<ImageManifest, Error> {
        let read = serde_json::from_slice(bytes).ok();
        let known = read.filter(|it: &ImageManifest| it.config.media_type == CONFIG);
        known.ok_or_else(|| self.wrong("it is nothing that `elsewhere push` makes"))
    }

    /// What a part installs.
    fn lock(&self, manifest: &ImageManifest) -> Result<Plan, Error> {
        let mut locks = manifest.layers.iter().filter(|layer| layer.media_type == LOCK_FILE);
        let (Some(layer), None) = (locks.next(), locks.next()) else {
            return Err(self.wrong("it has not just one lock file"));
        };
        let fetched = self.layer(layer, TEXT_LIMIT, None)?;
        let mut text = String::new();
        fetched
            .read(|from| from.read_to_string(&mut text).map(drop))
            .map_err(|source| Error::Cache { path: fetched.path().to_owned(), source })?;
        Ok(Plan::from_lock(&text)?)
    }

    /// The layer, and what its file is called, where it is one of those that are wanted.
    fn wanted(
        &self,
        layer: Descriptor,
        packages: &BTreeSet<PathBuf>,
        lists: bool,
    ) -> Result<Option<(String, Descriptor)>, Error> {
        let title = layer.title().unwrap_or_default().to_owned();
        let (is_wanted, limit) = match layer.media_type.as_str() {
            PACKAGE => (packages.contains(Path::new(&title)), u64::MAX),
            LIST => (lists, LIST_LIMIT),
            DEFINITION | CERTIFICATE => (true, SMALL),
            _ => (false, 0),
        };
        if !is_wanted {
            return Ok(None);
        }
        if !is_within(&title) || title.contains(char::is_control) {
            return Err(self.wrong(&format!("a file in it is called {title}")));
        }
        if layer.size > limit {
            return Err(self.wrong(&format!("{title} is far too large")));
        }
        Ok(Some((title, layer)))
    }

    /// Brings these layers here.
    fn files(
        &self,
        layers: BTreeMap<String, Descriptor>,
    ) -> Result<BTreeMap<PathBuf, Fetched>, Error> {
        let total = Some(crate::model::total(layers.values().map(|layer| layer.size)));
        self.reporter.event(Event::Started { phase: Phase::Download, total });
        let all: Vec<(String, Descriptor)> = layers.into_iter().collect();
        let brought = threads::each(AT_ONCE, &all, |(_, layer)| {
            if self.reporter.is_cancelled() {
                return Err(Error::Cancelled);
            }
            self.layer(layer, u64::MAX, Some(Phase::Download))
        })?;
        self.reporter.event(Event::Finished { phase: Phase::Download });
        Ok(all.into_iter().map(|(title, _)| title.into()).zip(brought).collect())
    }

    fn layer(
        &self,
        layer: &Descriptor,
        limit: u64,
        phase: Option<Phase>,
    ) -> Result<Fetched, Error> {
        let digest = layer.checksum().filter(|_| layer.size <= limit);
        let digest = digest
            .ok_or_else(|| self.wrong("a layer in it has no SHA-256, or is far too large"))?;
        Ok(self.registry.blob(&digest, layer.size, phase)?)
    }
}
