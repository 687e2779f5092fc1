//! Versions that the repositories of a dist do not hold any more. Archives that its definition names are
//! read for them, one after the other, and proved as every repository is.

use super::builds::{list, resolve_with_builds};
use super::closure::resolve_in;
use super::containers::Inside;
use super::load::load;
use crate::context::Context;
use crate::error::{Error, NETWORK};
use crate::metadata::Keys;
use crate::model::{Arch, Dist, Repository, Runtime, RuntimeRequest, TreePlan, escape};
use crate::resolve;

/// A runtime's versions in an archive.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct ArchivedVersions {
    /// The id of the archive, or of the build system.
    pub repository: String,
    /// The versions, without release, newest first.
    pub versions: Vec<String>,
}

/// Resolves `runtimes` with the first archive of `dist` that has the version that is lacking without. `lacks` says
/// which, and is the error where none has it.
///
/// # Errors
/// `lacks`; or what goes wrong with an archive that has it.
pub(super) fn resolve_with_archives(
    context: Context<'_>,
    keys: &Keys<'_>,
    runtimes: &[RuntimeRequest],
    (dist, inside): (&Dist, Inside<'_>),
    arch: Arch,
    lacks: Error,
) -> Result<TreePlan, Error> {
    let wanted = describe(&lacks);
    let mut asked = Vec::new();
    for archive in dist.archives_for(arch) {
        let id = &archive.id;
        context.reporter.detail(format!("{wanted} is looked for in the archive {id}"));
        let whole = dist.with_archive(id);
        match resolve_in(context, keys, runtimes, (&whole, inside), arch) {
            Ok(tree) => {
                context.reporter.note(format!(
                    "{arch}: {} does not hold {wanted} any more: it comes from the archive {id}",
                    dist.name
                ));
                return Ok(tree);
            }
            Err(Error::Resolve(error)) if error.unknown_version().is_some() => {
                asked.push(id.as_str());
            }
            Err(error) => pass_over(context, archive, error)?,
        }
    }
    if let Error::Resolve(error) = &lacks
        && let Some(lacking) = error.unknown_version()
    {
        let place = (dist, inside);
        if let Some(tree) = resolve_with_builds(context, keys, runtimes, place, arch, lacking)? {
            return Ok(tree);
        }
    }
    if !asked.is_empty() {
        context
            .reporter
            .note(format!("{wanted} is not in the archives either: {}", asked.join(", ")));
    }
    Err(lacks)
}

/// The runtime and the version that are lacking.
fn describe(lacks: &Error) -> String {
    match lacks {
        Error::Resolve(error) => error
            .unknown_version()
            .map_or_else(String::new, |(name, version)| format!("{name} {}", escape(version))),
        _ => String::new(),
    }
}

/// An archive that cannot be had is one less.
fn pass_over(context: Context<'_>, archive: &Repository, error: Error) -> Result<(), Error> {
    match error {
        Error::Metadata(_) if error.exit_status() == NETWORK => {
            context.reporter.warning(format!("the archive {} is passed over: {error}", archive.id));
            Ok(())
        }
        error => Err(error),
    }
}

/// Which versions of `runtimes` each archive of `dist` has beside those that `dist` holds now; none of those that
/// cannot be had.
///
/// # Errors
/// When an archive's metadata are not to be believed.
pub(super) fn archived_versions(
    context: Context<'_>,
    keys: &Keys<'_>,
    (dist, arch): (&Dist, Arch),
    runtimes: &[&Runtime],
) -> Result<Vec<Vec<ArchivedVersions>>, Error> {
    let mut all: Vec<Vec<ArchivedVersions>> = runtimes.iter().map(|_| Vec::new()).collect();
    for archive in dist.archives_for(arch) {
        let alone = Dist {
            repositories: vec![Repository { enabled: true, ..archive.clone() }],
            ..dist.clone()
        };
        let index = match load(context, keys, &alone, arch, None) {
            Ok(loaded) => loaded.index,
            Err(error) => {
                pass_over(context, archive, error)?;
                continue;
            }
        };
        for (runtime, archived) in runtimes.iter().zip(&mut all) {
            let versions = resolve::versions(&index, &runtime.package);
            if !versions.is_empty() {
                archived.push(ArchivedVersions { repository: archive.id.clone(), versions });
            }
        }
    }
    for builds in &dist.builds {
        for (runtime, archived) in runtimes.iter().zip(&mut all) {
            let builds_of = list(context, builds, &runtime.package, None).into_iter();
            let mut versions: Vec<String> = builds_of.map(|build| build.evr.version).collect();
            versions.dedup();
            if !versions.is_empty() {
                archived.push(ArchivedVersions { repository: builds.id.clone(), versions });
            }
        }
    }
    Ok(all)
}
