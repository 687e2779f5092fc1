//! What stands beside an artifact, in manifests that name it: a librarian's signature, and a bill of materials.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;

use crate::error::Error;
use crate::fetch::registry::{
    Descriptor, INDEX, ImageManifest, MANIFEST, ManifestName, Payload, Registry, TITLE,
};
use crate::minisig::{PublicKey, SecretKey};
use crate::model::{Checksum, Plan, escape};

/// What a signature is.
const SIGNATURE: &str = "application/vnd.elsewhere.signature.v1+minisig";
/// The file that it is, for those who read it as one.
const SIGNATURE_FILE: &str = "elsewhere.index.json.minisig";
/// What the configuration is of what has none. (Older registries do not know the type for that.)
const NO_CONFIG: &str = "application/vnd.elsewhere.attached.config.v1+json";
/// The configuration.
const NOTHING: &[u8] = b"{}";
/// Most bytes of a signature, and most of them that are looked at: anybody who may push may add some.
const SIGNATURE_LIMIT: u64 = 16 << 10;
const MOST: usize = 64;

/// A librarian, who signs what is pushed.
#[derive(Clone, Copy)]
pub(crate) struct Librarian<'a> {
    /// The key.
    pub key: &'a SecretKey,
    /// The file that it is from, for messages.
    pub key_file: &'a Path,
    /// The time that signatures carry, in seconds since 1970.
    pub now: u64,
}

/// By whose key an artifact is signed, and what was signed with it.
#[derive(Clone, Debug)]
pub(crate) struct ArtifactSigner {
    /// The number of the key.
    pub key: String,
    /// The comment.
    pub comment: String,
}

/// Pushes a file that is about the index `subject`. `kind` says what it is.
pub(super) fn attach(
    registry: &Registry<'_>,
    subject: &Descriptor,
    (kind, title): (&str, &str),
    bytes: Vec<u8>,
) -> Result<(), Error> {
    let Some(about) = subject.checksum() else { return Ok(()) };
    let (config, layer) = (Checksum::of(NOTHING), Checksum::of(&bytes));
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        artifact_type: Some(kind.to_owned()),
        config: Descriptor::new(NO_CONFIG, &config, NOTHING.len() as u64),
        layers: vec![Descriptor {
            annotations: [(TITLE.to_owned(), title.to_owned())].into(),
            ..Descriptor::new(kind, &layer, bytes.len() as u64)
        }],
        subject: Some(subject.clone()),
        annotations: [].into(),
    };
    registry.push_blob(&config, &Payload::Bytes(NOTHING.to_owned()))?;
    registry.push_blob(&layer, &Payload::Bytes(bytes))?;
    let manifest = super::written(&manifest)?;
    let (digest, size) = (Checksum::of(&manifest), manifest.len() as u64);
    let listed = Descriptor {
        artifact_type: Some(kind.to_owned()),
        ..Descriptor::new(MANIFEST, &digest, size)
    };
    Ok(registry.push_referrer(&about, &manifest, &listed)?)
}

impl Librarian<'_> {
    /// Signs `index`, which installs `plan`; not once more where this key did. Returns the key's number.
    pub(super) fn sign(
        self,
        registry: &Registry<'_>,
        index: &[u8],
        plan: &Plan,
    ) -> Result<String, Error> {
        let unusable = |source| Error::SecretKey { path: self.key_file.to_owned(), source };
        let public = self.key.public().map_err(unusable)?;
        let id = public.id();
        if proved(registry, index, &[public])?.is_ok() {
            return Ok(id);
        }
        let text = self.key.sign(index, &comment(index, plan, self.now)).map_err(unusable)?;
        let subject = Descriptor::new(INDEX, &Checksum::of(index), index.len() as u64);
        attach(registry, &subject, (SIGNATURE, SIGNATURE_FILE), text.into_bytes())?;
        Ok(id)
    }
}

/// What is signed with an index, for people: a line of `name:value` fields, as minisign's own.
fn comment(index: &[u8], plan: &Plan, now: u64) -> String {
    let mut comment = format!("timestamp:{now}\tfile:index.json\thashed\truntimes:");
    let mut runtimes: Vec<String> = Vec::new();
    for tree in &plan.trees {
        let its = tree.runtimes.iter();
        runtimes.extend(its.map(|it| format!("{}-{} ({})", it.name, it.version, tree.arch)));
    }
    let _ = write!(comment, "{}\tindex:{}", escape(&runtimes.join(", ")), Checksum::of(index));
    comment
}

/// Who of `signers` signed the document `bytes` of the registry; or why nobody did.
///
/// # Errors
/// When the registry does not say what is about it.
pub(super) fn proved(
    registry: &Registry<'_>,
    bytes: &[u8],
    signers: &[PublicKey],
) -> Result<Result<ArtifactSigner, String>, Error> {
    let found = registry.referrers(&Checksum::of(bytes), SIGNATURE)?;
    let mut why = match found.len() {
        0 => "there is no signature beside it".to_owned(),
        _ => String::new(),
    };
    for descriptor in found.iter().take(MOST) {
        // One that cannot be read says nothing of another.
        let text = match signature(registry, descriptor) {
            Ok(text) => text,
            Err(error) => {
                why = error.to_string();
                continue;
            }
        };
        for key in signers {
            match key.verify(bytes, &text) {
                Ok(comment) => return Ok(Ok(ArtifactSigner { key: key.id(), comment })),
                Err(problem) => why = problem.to_string(),
            }
        }
    }
    Ok(Err(why))
}

/// The text of a signature that a registry lists.
fn signature(registry: &Registry<'_>, descriptor: &Descriptor) -> Result<String, Error> {
    let wrong = || Error::Usage("a signature beside it is none that `elsewhere push` makes".into());
    let digest = descriptor.checksum().ok_or_else(wrong)?;
    let manifest = registry.manifest(&ManifestName::Digest(digest))?;
    let manifest: ImageManifest = serde_json::from_slice(&manifest).map_err(|_| wrong())?;
    let layer = manifest.layers.first().filter(|layer| layer.size <= SIGNATURE_LIMIT);
    let layer = layer.ok_or_else(wrong)?;
    let fetched = registry.blob(&layer.checksum().ok_or_else(wrong)?, layer.size, None)?;
    let mut text = String::new();
    fetched
        .read(|from| from.read_to_string(&mut text).map(drop))
        .map_err(|source| Error::Cache { path: fetched.path().to_owned(), source })?;
    Ok(text)
}
