//! Pushing: everything is gathered and proved first, then goes what the registry does not have, and last the tag.

use std::collections::BTreeMap;

use serde::Serialize;

use super::attached::{Librarian, attach};
use super::material::{self, Proven};
use super::{
    CERTIFICATE, CONFIG, Configuration, DEFINITION, KIND, LIST, LOCK_FILE, PACKAGE, SYSTEM,
    VERSION, go_name, written,
};
use crate::carry::LOCK;
use crate::carry::gather::{Item, Member, Origin, Scope, gather};
use crate::carry::proving::ProvenPackage;
use crate::context::Context;
use crate::error::Error;
use crate::fetch::registry::{
    Delivery, Descriptor, INDEX, ImageIndex, ImageManifest, MANIFEST, ManifestName, Payload,
    Platform, Registry, TITLE,
};
use crate::metadata::Keys;
use crate::model::{Algorithm, Arch, Checksum, Plan, TreePlan};
use crate::report::{Event, Phase};
use crate::sbom::Format;
use crate::tools::threads;

/// Blobs that are pushed at the same time.
const AT_ONCE: usize = 4;

/// What the caller decides.
#[derive(Clone, Copy)]
pub(crate) struct PushOptions<'a> {
    /// The tag; the version of the first runtime where none is named.
    pub target: Option<&'a ManifestName>,
    /// Whether the repositories' metadata go along.
    pub lists: bool,
    /// Who signs it.
    pub librarian: Option<Librarian<'a>>,
    /// In which format a bill of materials goes along.
    pub sbom: Option<Format>,
}

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
    /// How many of them it took from another repository of its own.
    pub mounted: usize,
    /// The digest of the index.
    pub digest: Checksum,
    /// The tag.
    pub tag: String,
    /// The number of the key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

/// Blobs by their digests.
type Blobs = BTreeMap<String, (Checksum, u64, Payload)>;

/// Pushes what `plan` installs. What is about it goes first and the tag last: whoever finds it by that finds all.
///
/// # Errors
/// When something cannot be had or proved, or the registry does not take it. What the tag names is then what it
/// named before.
pub(crate) fn push(
    context: Context<'_>,
    keys: &Keys<'_>,
    plan: &Plan,
    registry: &Registry<'_>,
    options: PushOptions<'_>,
) -> Result<Pushed, Error> {
    let version = plan.trees.iter().flat_map(|tree| &tree.runtimes).next();
    let version = version.map(|runtime| runtime.version.clone()).unwrap_or_default();
    let target = match options.target {
        Some(target) => target.clone(),
        None => ManifestName::of_version(&version).map_err(Error::Usage)?,
    };
    let scope = if options.lists { Scope::Artifact } else { Scope::Bundle };
    let (blobs, proven) = (Blobs::new(), Proven::new());
    let mut making = Making { context, keys, scope, blobs, proven, packages: 0 };
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
    let Sent { moved, moved_size, mounted } = send(context, registry, making.blobs, size)?;
    for (_, bytes) in &manifests {
        registry.push_manifest(&ManifestName::Digest(Checksum::of(bytes)), MANIFEST, bytes)?;
    }
    let digest = Checksum::of(&index);
    if options.sbom.is_some() || options.librarian.is_some() {
        registry.push_manifest(&ManifestName::Digest(digest.clone()), INDEX, &index)?;
    }
    if let Some(format) = options.sbom {
        let bill = material::bill(plan, &making.proven, keys, format);
        let subject = Descriptor::new(INDEX, &digest, index.len() as u64);
        attach(registry, &subject, material::kind(format), bill)?;
    }
    let sign = |librarian: Librarian<'_>| librarian.sign(registry, &index, plan);
    let signed_by = options.librarian.map(sign).transpose()?;
    if context.reporter.is_cancelled() {
        return Err(Error::Cancelled);
    }
    registry.push_manifest(&target, INDEX, &index)?;
    let tag = target.to_string();
    Ok(Pushed { packages, blobs, size, moved, moved_size, mounted, digest, tag, signed_by })
}

/// How much went where.
#[derive(Default)]
struct Sent {
    moved: usize,
    moved_size: u64,
    mounted: usize,
}

/// Sends the blobs that the registry does not have.
fn send(
    context: Context<'_>,
    registry: &Registry<'_>,
    blobs: Blobs,
    total: u64,
) -> Result<Sent, Error> {
    let reporter = context.reporter;
    reporter.event(Event::Started { phase: Phase::Upload, total: Some(total) });
    let all: Vec<(Checksum, u64, Payload)> = blobs.into_values().collect();
    let moved = threads::each(AT_ONCE, &all, |(checksum, size, payload)| {
        if reporter.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let delivery = registry.push_blob(checksum, payload)?;
        if delivery != Delivery::Sent {
            reporter.event(Event::Cached { phase: Phase::Upload, by: *size });
        }
        reporter.advanced(Phase::Upload, *size);
        Ok((delivery, *size))
    })?;
    reporter.event(Event::Finished { phase: Phase::Upload });
    let mut sent = Sent::default();
    for (delivery, size) in moved {
        match delivery {
            Delivery::There => {}
            Delivery::Mounted => sent.mounted += 1,
            Delivery::Sent => {
                sent.moved += 1;
                sent.moved_size = sent.moved_size.saturating_add(size);
            }
        }
    }
    Ok(sent)
}

/// The index of these manifests.
fn index(manifests: &[(Arch, Vec<u8>)], version: &str) -> Result<Vec<u8>, Error> {
    let descriptor = |(arch, bytes): &(Arch, Vec<u8>)| {
        let (architecture, os) = (go_name(*arch).to_owned(), SYSTEM.to_owned());
        Descriptor {
            platform: Some(Platform { architecture, os, variant: None }),
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

/// An artifact that is being made.
struct Making<'a> {
    context: Context<'a>,
    keys: &'a Keys<'a>,
    scope: Scope<'a>,
    blobs: Blobs,
    proven: Proven,
    packages: usize,
}

impl Making<'_> {
    /// The manifest of an architecture's part. Its blobs are ready then, and its packages proved.
    fn manifest(&mut self, arch: Arch, part: &Plan, version: &str) -> Result<Vec<u8>, Error> {
        let contents = gather(self.context, self.keys, part, &[], self.scope)?;
        let made = contents.each((self.context, self.keys), blob)?;
        let mut layers = Vec::new();
        for (Member { path, item, .. }, Blob { checksum, size, payload, proven }) in made {
            if let (Item::Package(wanted), Some(proven)) = (item, proven) {
                self.proven.insert(wanted.package.checksum.to_string(), proven);
            }
            let media_type = match item {
                Item::Package(_) => PACKAGE,
                _ if path == LOCK => LOCK_FILE,
                _ if contents.lists.contains(path) => LIST,
                _ if path.ends_with(".toml") => DEFINITION,
                _ => CERTIFICATE,
            };
            self.packages += usize::from(media_type == PACKAGE);
            let annotations = [(TITLE.to_owned(), path.to_owned())].into();
            let layer = Descriptor::new(media_type, &checksum, size);
            layers.push(Descriptor { annotations, ..layer });
            self.blobs.insert(checksum.hex(), (checksum, size, payload));
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
            subject: None,
            annotations: [(VERSION.to_owned(), version.to_owned())].into(),
        };
        self.blobs.insert(checksum.hex(), (checksum, size, Payload::Bytes(config)));
        written(&manifest)
    }
}

/// What is sent for a file of a mirror, and the proof of a package.
struct Blob {
    checksum: Checksum,
    size: u64,
    payload: Payload,
    proven: Option<ProvenPackage>,
}

/// The blob for a file, once it is proved.
fn blob(member: &Member<'_>) -> Result<Blob, Error> {
    let bytes = match member.bring()? {
        Origin::Here(bytes) => {
            let (checksum, size) = (Checksum::of(bytes), bytes.len() as u64);
            let payload = Payload::Bytes(bytes.to_owned());
            return Ok(Blob { checksum, size, payload, proven: None });
        }
        Origin::Fetched(fetched) => fetched.open_file()?,
        Origin::File(file) => file,
    };
    let proven = member.prove(&bytes)?;
    let (checksum, size) = match &proven {
        Some(proven) => (proven.entry.checksum.clone(), proven.entry.size),
        None => Checksum::of_reader(Algorithm::Sha256, bytes.anew())
            .map_err(|source| Error::File { path: member.path.into(), source })?,
    };
    Ok(Blob { checksum, size, payload: Payload::File(bytes, size), proven })
}
