//! A repository's metadata as their distributor made them, for whoever passes them on: the same bytes prove the
//! same at another place.

use std::sync::PoisonError;

use super::error::RepositoryError;
use super::reading::{Documents, METALINK, Means, Reading};
use super::{MetadataError, each};
use crate::fetch::{Fetched, join, places};
use crate::model::{Arch, Dist, Repository};

/// What was read of a repository.
pub(crate) struct Originals {
    /// Its id.
    pub id: String,
    /// Its base URL: the first that its definition names, or the one that it was read from.
    pub base: String,
    /// Small files, each with its URL.
    pub documents: Vec<(String, Vec<u8>)>,
    /// Lists of packages and of modules, each with its URL.
    pub files: Vec<(String, Fetched)>,
}

/// The metadata of every repository of `dist` that is read for `arch`, proved as [`super::load`] proves them.
///
/// # Errors
/// When there is none, or one cannot be read.
pub(crate) fn originals(
    means: Means<'_, '_>,
    dist: &Dist,
    arch: Arch,
) -> Result<Vec<Originals>, MetadataError> {
    each(means, dist, arch, &|_, reading: &Reading<'_, '_>| {
        let kept = Documents::default();
        of(&Reading { kept: Some(&kept), ..*reading }, &kept)
    })
}

fn of(reading: &Reading<'_, '_>, kept: &Documents) -> Result<Originals, RepositoryError> {
    let Repository { id, metalink, .. } = reading.repository;
    let found = reading.find()?;
    let bases = &found.source.base;
    let own = reading.repository.bases(reading.arch).next();
    let base = own.or_else(|| bases.first().cloned()).unwrap_or_default();
    let mut files = Vec::new();
    for record in [Some(&found.repomd.primary), found.repomd.modules.as_ref()].into_iter().flatten()
    {
        let fetched = reading.fetch(bases, record)?;
        let place = places(std::slice::from_ref(&base), &record.location).pop();
        files.push((place.unwrap_or_else(|| fetched.url().to_owned()), fetched));
    }
    let kept = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    let url = |what| match (what, metalink) {
        (METALINK, Some(url)) => reading.expand(url),
        (place, _) => join(&base, place),
    };
    let documents = kept.into_iter().map(|(what, bytes)| (url(what), bytes)).collect();
    Ok(Originals { id: id.clone(), base, documents, files })
}
