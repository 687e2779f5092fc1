//! Pushing: everything is gathered and proved first, then goes what the registry does not have, and last the tag.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    CERTIFICATE, CONFIG, Configuration, DEFINITION, KIND, LIST, LOCK_FILE, PACKAGE, SYSTEM,
    VERSION, go_name,
};
use crate::carry::LOCK;
use crate::carry::gather::{Item, Scope, gather};
use crate::context::Context;
use crate::error::Error;
use crate::fetch::registry::{
    Descriptor, INDEX, ImageIndex, ImageManifest, MANIFEST, ManifestName, Payload, Platform,
    Registry, TITLE,
};
use crate::metadata::Keys;
use crate::model::{Arch, Checksum, Plan, TreePlan};
use crate::report::{Event, Phase};
use crate::tools::threads;

/// Packages that are brought, and blobs that are pushed, at the same time.
const AT_ONCE: usize = 4;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Pushed {
    /// How many packages it has.
    pub packages: usize,
    /// How many blobs, each once.
    pub blobs: usize,
    /// Their bytes.
    pub size: u64,
    /// How many of them the registry did not have.
    pub moved: usize,
    /// Their bytes.
    pub moved_size: u64,
    /// The digest of the index.
    pub digest: Checksum,
    /// The tag.
    pub tag: String,
}

/// Blobs by their digests.
type Blobs = BTreeMap<String, (Checksum, u64, Payload)>;

/// Pushes what `plan` installs, as `target`, or by the version of its first runtime. With `has_lists` the
/// repositories' metadata go along.
///
/// # Errors
/// When something cannot be had or proved, or the registry does not take it. What the tag names is then what it
/// named before.
pub(crate) fn push(
    context: Context<'_>,
    keys: &Keys<'_>,
    plan: &Plan,
    has_lists: bool,
    registry: &Registry<'_>,
    target: Option<&ManifestName>,
) -> Result<Pushed, Error> {
    let version = plan.trees.iter().flat_map(|tree| &tree.runtimes).next();
    let version = version.map(|runtime| runtime.version.clone()).unwrap_or_default();
    let target = match target {
        Some(target) => target.clone(),
        None => ManifestName::of_version(&version).map_err(Error::Usage)?,
    };
    let scope = if has_lists { Scope::Artifact } else { Scope::Bundle };
    let mut making = Making { context, keys, scope, blobs: Blobs::new(), packages: 0 };
    let mut trees: BTreeMap<Arch, Vec<TreePlan>> = BTreeMap::new();
    for tree in &plan.trees {
        trees.entry(tree.arch).or_default().push(tree.clone());
    }
    let mut manifests = Vec::new();
    for (arch, trees) in trees {
        let part = Plan { trees, ..plan.clone() };
        manifests.push((arch, making.manifest(arch, &part, &version)?));
    }
    let index = index(&manifests, &version)?;
    let size = crate::model::total(making.blobs.values().map(|(_, size, _)| *size));
    let (blobs, packages) = (making.blobs.len(), making.packages);
    let (moved, moved_size) = send(context, registry, making.blobs, size)?;
    for (_, bytes) in &manifests {
        registry.push_manifest(&ManifestName::Digest(Checksum::of(bytes)), MANIFEST, bytes)?;
    }
    if context.reporter.is_cancelled() {
        return Err(Error::Cancelled);
    }
    registry.push_manifest(&target, INDEX, &index)?;
    let (digest, tag) = (Checksum::of(&index), target.to_string());
    Ok(Pushed { packages, blobs, size, moved, moved_size, digest, tag })
}

/// Sends the blobs that the registry does not have. Returns how many there were, and their bytes.
fn send(
    context: Context<'_>,
    registry: &Registry<'_>,
    blobs: Blobs,
    total: u64,
) -> Result<(usize, u64), Error> {
    let reporter = context.reporter;
    reporter.event(Event::Started { phase: Phase::Upload, total: Some(total) });
    let all: Vec<(Checksum, u64, Payload)> = blobs.into_values().collect();
    let moved = threads::each(AT_ONCE, &all, |(checksum, size, payload)| {
        if reporter.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let is_new = registry.push_blob(checksum, payload)?;
        if !is_new {
            reporter.event(Event::Cached { phase: Phase::Upload, by: *size });
        }
        reporter.advanced(Phase::Upload, *size);
        Ok(is_new.then_some(*size))
    })?;
    reporter.event(Event::Finished { phase: Phase::Upload });
    let moved: Vec<u64> = moved.into_iter().flatten().collect();
    Ok((moved.len(), crate::model::total(moved.iter().copied())))
}

/// The index of these manifests.
fn index(manifests: &[(Arch, Vec<u8>)], version: &str) -> Result<Vec<u8>, Error> {
    let descriptor = |(arch, bytes): &(Arch, Vec<u8>)| {
        let (architecture, os) = (go_name(*arch).to_owned(), SYSTEM.to_owned());
        Descriptor {
            platform: Some(Platform { architecture, os }),
            artifact_type: Some(KIND.to_owned()),
            ..Descriptor::new(MANIFEST, &Checksum::of(bytes), bytes.len() as u64)
        }
    };
    written(&ImageIndex {
        schema_version: 2,
        media_type: INDEX.to_owned(),
        artifact_type: Some(KIND.to_owned()),
        manifests: manifests.iter().map(descriptor).collect(),
        annotations: [(VERSION.to_owned(), version.to_owned())].into(),
    })
}

/// A document in the bytes that are digested.
fn written(document: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(document).map_err(|error| Error::Usage(format!("nothing to push: {error}")))
}

/// An artifact that is being made.
struct Making<'a> {
    context: Context<'a>,
    keys: &'a Keys<'a>,
    scope: Scope<'a>,
    blobs: Blobs,
    packages: usize,
}

impl Making<'_> {
    /// The manifest of an architecture's part. Its blobs are ready then, and its packages proved.
    fn manifest(&mut self, arch: Arch, part: &Plan, version: &str) -> Result<Vec<u8>, Error> {
        let contents = gather(self.context, self.keys, part, &[], self.scope)?;
        let total = contents.items.values().map(|item| match item {
            Item::Package(wanted) => wanted.package.size,
            _ => 0,
        });
        let total = Some(crate::model::total(total));
        self.context.reporter.event(Event::Started { phase: Phase::Download, total });
        let items: Vec<(&String, &Item)> = contents.items.iter().collect();
        let made = threads::each(AT_ONCE, &items, |(path, item)| self.blob(path, item))?;
        self.context.reporter.event(Event::Finished { phase: Phase::Download });
        let mut layers = Vec::new();
        for ((path, item), (checksum, size, payload)) in items.into_iter().zip(made) {
            let media_type = match item {
                Item::Package(_) => PACKAGE,
                _ if path == LOCK => LOCK_FILE,
                _ if contents.lists.contains(path) => LIST,
                _ if path.ends_with(".toml") => DEFINITION,
                _ => CERTIFICATE,
            };
            self.packages += usize::from(media_type == PACKAGE);
            let annotations = [(TITLE.to_owned(), path.clone())].into();
            let layer = Descriptor::new(media_type, &checksum, size);
            layers.push(Descriptor { annotations, ..layer });
            self.blobs.insert(checksum.hex().to_owned(), (checksum, size, payload));
        }
        let config = written(&Configuration::of(arch, &part.trees))?;
        let checksum = Checksum::of(&config);
        let size = config.len() as u64;
        let manifest = ImageManifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: Some(KIND.to_owned()),
            config: Descriptor::new(CONFIG, &checksum, size),
            layers,
            annotations: [(VERSION.to_owned(), version.to_owned())].into(),
        };
        self.blobs.insert(checksum.hex().to_owned(), (checksum, size, Payload::Bytes(config)));
        written(&manifest)
    }

    /// What is sent for a file of a mirror.
    fn blob(&self, path: &str, item: &Item) -> Result<(Checksum, u64, Payload), Error> {
        if self.context.reporter.is_cancelled() {
            return Err(Error::Cancelled);
        }
        match item {
            Item::Bytes(bytes) => {
                let (checksum, size) = (Checksum::of(bytes), bytes.len() as u64);
                Ok((checksum, size, Payload::Bytes(bytes.clone())))
            }
            Item::Fetched(fetched) => {
                let bytes = fetched.open_file()?;
                let digest = crate::model::Algorithm::Sha256;
                let (checksum, size) = Checksum::of_reader(digest, bytes.anew())
                    .map_err(|source| Error::Cache { path: fetched.path().to_owned(), source })?;
                Ok((checksum, size, Payload::File(bytes, size)))
            }
            Item::Package(wanted) => {
                let bytes = wanted.bring(self.context)?.open_file()?;
                let proven = wanted.prove(self.keys, self.context.reporter, &bytes)?;
                let (checksum, size) = (proven.entry.checksum, proven.entry.size);
                Ok((checksum, size, Payload::File(bytes, size)))
            }
            Item::Program(..) => Err(Error::Usage(format!("{path}: programs are not pushed"))),
        }
    }
}
