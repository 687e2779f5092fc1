//! Where an image's manifests and blobs come from: a registry, or a directory in OCI's layout (image-layout.md).

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::name::ImageName;
use crate::error::{Error, ImageError};
use crate::fetch::registry::{
    Access, DOCUMENT_LIMIT, Descriptor, ImageIndex, ManifestName, Reference, Registry,
};
use crate::fetch::{Fetched, Fetcher, file_url};
use crate::model::Checksum;
use crate::owned::open_to_read;
use crate::report::Phase;

/// The annotation by which a layout's index names a manifest.
const NAME: &str = "org.opencontainers.image.ref.name";

/// Where an image comes from.
pub(super) enum ImageSource<'f> {
    /// A registry, and what of it.
    Registry(Box<Registry<'f>>, Reference),
    /// A directory, and which of several images.
    Layout(&'f Fetcher<'f>, PathBuf, Option<String>),
}

impl<'f> ImageSource<'f> {
    /// The source of `name`. Plain http is spoken with a registry as [`Registry::open`] says.
    ///
    /// # Errors
    /// When names and passwords for a registry cannot be read.
    pub(super) fn open(
        fetcher: &'f Fetcher<'f>,
        name: &ImageName,
        is_plain: Option<bool>,
    ) -> Result<Self, Error> {
        Ok(match name {
            ImageName::Registry(reference) => {
                let registry = Registry::open(fetcher, reference, Access::Pull, is_plain)?;
                Self::Registry(Box::new(registry), reference.clone())
            }
            ImageName::Layout(directory, tag) => {
                Self::Layout(fetcher, directory.clone(), tag.clone())
            }
        })
    }

    /// The bytes of what the name means: an index, or a manifest.
    ///
    /// # Errors
    /// When it is not there.
    pub(super) fn root(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Registry(registry, reference) => {
                let target = reference.target.clone().unwrap_or_else(ManifestName::usual);
                // Registries count manifests that are given, and not questions for what a tag means.
                let meaning = match &target {
                    ManifestName::Tag(_) => registry.meaning(&target)?,
                    ManifestName::Digest(_) => None,
                };
                Ok(registry.manifest(&meaning.map_or(target, ManifestName::Digest))?)
            }
            Self::Layout(_, directory, tag) => {
                let found = named(directory, tag.as_deref())?;
                self.document(&found)
            }
        }
    }

    /// The bytes of a manifest, an index or a configuration.
    ///
    /// # Errors
    /// When it cannot be had, or is another.
    pub(super) fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        match (self, descriptor.checksum()) {
            (Self::Registry(registry, _), Some(digest)) => {
                Ok(registry.manifest(&ManifestName::Digest(digest))?)
            }
            _ => self.document(descriptor),
        }
    }

    /// The bytes of a small blob.
    ///
    /// # Errors
    /// When it cannot be had, is another, or is too large.
    pub(super) fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        if descriptor.size > DOCUMENT_LIMIT {
            return Err(self.wrong("a document in it is far too large"));
        }
        let fetched = self.blob(descriptor, None)?;
        let mut bytes = Vec::new();
        let read: Result<(), io::Error> =
            fetched.read(|from| from.read_to_end(&mut bytes).map(drop));
        read.map_err(|source| Error::Cache { path: fetched.path().to_owned(), source })?;
        Ok(bytes)
    }

    /// A blob, by its digest.
    ///
    /// # Errors
    /// When it cannot be had, or is another.
    pub(super) fn blob(
        &self,
        descriptor: &Descriptor,
        phase: Option<Phase>,
    ) -> Result<Fetched, Error> {
        let digest = descriptor.checksum();
        let digest = digest.ok_or_else(|| self.wrong("something in it has no SHA-256"))?;
        match self {
            Self::Registry(registry, _) => Ok(registry.blob(&digest, descriptor.size, phase)?),
            Self::Layout(fetcher, directory, _) => {
                let path = blob_path(directory, &digest);
                let url = file_url(&path);
                let url = url.ok_or_else(|| self.wrong("its directory has no absolute path"))?;
                Ok(fetcher.content(&[url], &digest, Some(descriptor.size), phase)?)
            }
        }
    }

    /// What is said of an image that makes no sense.
    pub(super) fn wrong(&self, why: &str) -> Error {
        let name = match self {
            Self::Registry(_, reference) => ImageName::Registry(reference.clone()),
            Self::Layout(_, directory, tag) => ImageName::Layout(directory.clone(), tag.clone()),
        };
        ImageError::Unusable { name: name.to_string(), why: why.to_owned() }.into()
    }
}

/// Where a layout has a blob.
pub(super) fn blob_path(directory: &Path, digest: &Checksum) -> PathBuf {
    directory.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
}

/// What a layout's index names so, or the only thing that it has.
fn named(directory: &Path, tag: Option<&str>) -> Result<Descriptor, Error> {
    let path = directory.join("index.json");
    let error = |source| Error::File { path: path.clone(), source };
    let wrong = |why: String| {
        let name = ImageName::Layout(directory.to_owned(), tag.map(str::to_owned)).to_string();
        Error::from(ImageError::Unusable { name, why })
    };
    if !fs::metadata(directory).map_err(error)?.is_dir() {
        return Err(wrong("it is no directory in OCI's layout".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = open_to_read(&path).map_err(error)?;
    file.take(DOCUMENT_LIMIT).read_to_end(&mut bytes).map_err(error)?;
    let index: ImageIndex = serde_json::from_slice(&bytes)
        .map_err(|source| wrong(format!("its index.json makes no sense: {source}")))?;
    let name = |it: &Descriptor| it.annotations.get(NAME).cloned();
    let all = || index.manifests.iter().filter_map(name).collect::<Vec<_>>().join(", ");
    match tag {
        Some(tag) => index
            .manifests
            .iter()
            .find(|it| name(it).as_deref() == Some(tag))
            .cloned()
            .ok_or_else(|| wrong(format!("there is no such name: it has {}", all()))),
        None => match index.manifests.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(wrong("it is empty".to_owned())),
            _ => Err(wrong(format!("it has several images: name one of {}", all()))),
        },
    }
}
