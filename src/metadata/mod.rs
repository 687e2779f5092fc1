//! From a [`Dist`] to an [`Index`]: every repository of an architecture, side by side, each from
//! the first mirror whose metadata is believed.
//!
//! What is believed: a `repomd.xml` with a digest that the metalink promises; where there is no
//! promise, one that came over https from a server that the dist names. Where the dist signs it,
//! the signature must hold as well. All else follows by digest.

mod builds;
mod copies;
mod error;
mod keys;
mod memory;
mod originals;
mod reading;
mod sources;

use std::sync::Once;
use std::thread;

pub(crate) use self::builds::directories;
pub use self::error::{MetadataError, TrustFailure};
pub(crate) use self::error::{RepositoryError, is_malformed};

pub(crate) use self::keys::{KeyFileError, Keys};
pub use self::memory::Memory;
pub(crate) use self::originals::{Originals, originals};
pub(crate) use self::sources::{CheckedSource, SourceState, SourcesError, check_sources};

pub use self::reading::Means;
use self::reading::{Found, Reading};
use crate::model::{Arch, Checksum, Dist, Index, Repository, Source};
use crate::report::{Event, Phase};
use crate::tools::threads::{self, Task};

/// All that a dist offers for an architecture, and where each repository was read.
#[derive(Debug)]
pub struct Loaded {
    /// The packages.
    pub index: Index,
    /// The repositories, in the order of [`Index::repositories`]; of each the mirror that served
    /// the metadata first.
    pub sources: Vec<Source>,
    /// Digests of all that was read.
    pub contents: Vec<Checksum>,
}

/// Reads every repository of `dist` for `arch`; or only finds them, where all that there is to read
/// has the digests `known`: then nothing is in the index.
///
/// # Errors
/// When there is none, or one cannot be read: a dist is whole or of no use.
pub fn load(
    means: Means<'_, '_>,
    dist: &Dist,
    arch: Arch,
    known: Option<&[Checksum]>,
) -> Result<Loaded, MetadataError> {
    let read = match known {
        None => {
            let read = |_, reading: &Reading<'_, '_>| {
                let found = reading.find()?;
                Ok((reading.read(&found)?, found))
            };
            each(means, dist, arch, &read)?
        }
        Some(known) => {
            let find = |_, reading: &Reading<'_, '_>| reading.find();
            let found = each(means, dist, arch, &find)?;
            let contents: Vec<Checksum> = found.iter().flat_map(Found::contents).collect();
            if contents == known {
                let sources = found.into_iter().map(|found| found.source).collect();
                return Ok(Loaded { index: Index::default(), sources, contents });
            }
            let read = |position: usize, reading: &Reading<'_, '_>| match found.get(position) {
                Some(found) => Ok((reading.read(found)?, found.clone())),
                None => Err(RepositoryError::Broken),
            };
            each(means, dist, arch, &read)?
        }
    };
    let mut loaded = Loaded { index: Index::default(), sources: Vec::new(), contents: Vec::new() };
    for (index, found) in read {
        loaded.index.append(index);
        loaded.contents.extend(found.contents());
        loaded.sources.push(found.source);
    }
    Ok(loaded)
}

/// The base URLs of a repository of `dist`, as its lists of mirrors and its definition name them now, best
/// first: for packages whose own URLs are gone.
#[must_use]
pub(crate) fn mirrors(
    means: Means<'_, '_>,
    dist: &Dist,
    repository: &Repository,
    arch: Arch,
) -> Vec<String> {
    Reading { means, dist: &dist.name, arch, repository, told: &Once::new(), kept: None }.bases()
}

/// What is done for the repository in this place of the dist.
type Work<'a, T> = dyn Fn(usize, &Reading<'_, '_>) -> Result<T, RepositoryError> + Sync + 'a;

/// Does `work` for each repository at the same time.
fn each<T: Send>(
    means: Means<'_, '_>,
    dist: &Dist,
    arch: Arch,
    work: &Work<'_, T>,
) -> Result<Vec<T>, MetadataError> {
    let repositories: Vec<&Repository> = dist.enabled_for(arch).collect();
    if repositories.is_empty() {
        return Err(no_repositories(dist, arch));
    }
    let total = Some(repositories.len() as u64);
    let reporter = means.reporter;
    let told = Once::new();
    reporter.event(Event::Started { phase: Phase::Metadata, total });
    let results = thread::scope(|scope| {
        let threads: Vec<_> = repositories
            .iter()
            .enumerate()
            .map(|(position, &repository)| {
                let (dist, told) = (dist.name.as_str(), &told);
                let reading = Reading { means, dist, arch, repository, told, kept: None };
                threads::spawn(scope, move || {
                    let result = work(position, &reading);
                    reporter.advanced(Phase::Metadata, 1);
                    result
                })
            })
            .collect();
        let join = |task: Task<'_, _>| task.join().unwrap_or(Err(RepositoryError::Broken));
        threads.into_iter().map(join).collect::<Vec<_>>()
    });
    let named = |(repository, result): (&Repository, Result<T, RepositoryError>)| {
        result.map_err(|source| MetadataError::Repository {
            dist: dist.name.clone(),
            id: repository.id.clone(),
            arch,
            origin: repository.origin.clone(),
            source: Box::new(source),
        })
    };
    let results: Vec<_> = repositories.into_iter().zip(results).map(named).collect();
    // Whoever is to bring it here wants to know of all of them.
    let far = results.iter().filter_map(|result| result.as_ref().err());
    far.skip(1).filter(|it| it.is_offline()).for_each(|error| reporter.note(error.to_string()));
    let all = results.into_iter().collect::<Result<_, _>>()?;
    reporter.event(Event::Finished { phase: Phase::Metadata });
    Ok(all)
}

fn no_repositories(dist: &Dist, arch: Arch) -> MetadataError {
    if dist.repositories_for(arch).next().is_some() {
        return MetadataError::AllOff { dist: dist.name.clone(), arch };
    }
    let exists = |arch: &Arch| dist.repositories_for(*arch).next().is_some();
    let known: Vec<&str> =
        Arch::ALL.iter().filter(|arch| exists(arch)).map(|a| a.as_str()).collect();
    MetadataError::NoRepositories { dist: dist.name.clone(), arch, known: known.join(", ") }
}
