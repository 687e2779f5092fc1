//! Versions that only the dist's build system still has: found by its directories, and taken as a package that is
//! named by URL is. Whose signature it must have the definition says.

use super::closure::resolve_in;
use super::containers::Inside;
use crate::context::Context;
use crate::error::Error;
use crate::metadata::{self, Keys};
use crate::model::{Arch, Builds, Dist, Evr, KeyPin, LOCAL, Repository, RuntimeRequest, TreePlan};
use crate::resolve::is_version;
use crate::tools::threads;

/// Listings that are asked for at the same time; `fetch` bounds the connections to one host.
const AT_ONCE: usize = 4;

/// A build of a package.
pub(super) struct Build {
    /// Its version and release.
    pub(super) evr: Evr,
    /// Where its files are.
    base: String,
}

/// The builds of the package `name` that `builds` has for the dist, newest first; those that `wanted` means, where
/// that is given. None where they cannot be listed.
pub(super) fn list(
    context: Context<'_>,
    builds: &Builds,
    name: &str,
    wanted: Option<&str>,
) -> Vec<Build> {
    let package = format!("{}/{name}", builds.base.trim_end_matches('/'));
    let mut versions = directories(context, &package);
    versions.retain(|version| {
        let evr = Evr { epoch: 0, version: version.clone(), release: String::new() };
        let with_release = |wanted: &str| {
            wanted.strip_prefix(version.as_str()).is_some_and(|rest| rest.starts_with('-'))
        };
        wanted.is_none_or(|wanted| is_version(evr.borrowed(), wanted) || with_release(wanted))
    });
    let is_meant = |evr: &Evr| wanted.is_none_or(|wanted| is_version(evr.borrowed(), wanted));
    let of_version = |version: &String| {
        let place = format!("{package}/{version}");
        let releases = directories(context, &place).into_iter();
        let its = releases.filter(|release| builds.has_release(release)).map(|release| Build {
            base: format!("{place}/{release}"),
            evr: Evr { epoch: 0, version: version.clone(), release },
        });
        Ok::<_, Error>(its.filter(|build| is_meant(&build.evr)).collect::<Vec<_>>())
    };
    let found = threads::each(AT_ONCE, &versions, of_version).unwrap_or_default();
    let mut found: Vec<Build> = found.into_iter().flatten().collect();
    found.sort_by(|one, other| other.evr.cmp(&one.evr));
    found
}

/// The directories in the listing at `url`, a page as web servers make it; none where there is none.
fn directories(context: Context<'_>, url: &str) -> Vec<String> {
    metadata::directories(context.fetcher, url).unwrap_or_else(|error| {
        context.reporter.detail(format!("{url}: it cannot be listed: {error}"));
        Vec::new()
    })
}

/// Resolves `runtimes`, of which `lacking` in version `wanted` is in no repository, with the newest build that is meant.
/// `None` where there is no such build.
///
/// # Errors
/// When it does not go with the repositories, or is not signed as it must be.
pub(super) fn resolve_with_builds(
    context: Context<'_>,
    keys: &Keys<'_>,
    runtimes: &[RuntimeRequest],
    (dist, inside): (&Dist, Inside<'_>),
    arch: Arch,
    (lacking, wanted): (&str, &str),
) -> Result<Option<TreePlan>, Error> {
    let package = &context.catalog.runtime(lacking)?.package;
    for builds in &dist.builds {
        let Some(signer) = dist.repositories_for(arch).find(|it| it.id == builds.of) else {
            continue;
        };
        for build in list(context, builds, package, Some(wanted)) {
            for url in build.signed_copies(package, arch, signer) {
                let mut all = runtimes.to_vec();
                for runtime in all.iter_mut().filter(|runtime| runtime.name == *lacking) {
                    (runtime.version, runtime.package) = (None, Some(url.clone()));
                }
                match resolve_in(context, keys, &all, (dist, inside), arch) {
                    Err(Error::Fetch(error)) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                    Ok(tree) if !build.is_in(&tree) => {
                        let what = "another package than its place says: it is passed over";
                        context.reporter.warning(format!("{url} is {what}"));
                    }
                    Ok(tree) => {
                        context.reporter.note(format!(
                            "{arch}: {} does not hold {lacking} {wanted} any more: it comes from {}",
                            dist.name, build.base
                        ));
                        return Ok(Some(tree));
                    }
                }
            }
        }
    }
    Ok(None)
}

impl Build {
    /// Whether it is what `tree` takes from outside of all repositories: whoever serves it may serve another
    /// package that was once signed.
    fn is_in(&self, tree: &TreePlan) -> bool {
        let mut taken = tree.packages.iter().filter(|package| package.source == LOCAL);
        taken.all(|package| {
            let evr = &package.nevra.evr;
            (&evr.version, &evr.release) == (&self.evr.version, &self.evr.release)
        })
    }

    /// Where the copies are, or once were, that the keys of `signer` signed: Koji's layout
    /// (`koji/__init__.py`, `PathInfo.signed`), which calls a key by its last eight digits.
    fn signed_copies(&self, name: &str, arch: Arch, signer: &Repository) -> Vec<String> {
        let Evr { version, release, .. } = &self.evr;
        let copy = |key: &KeyPin, arch: &str| {
            let print = key.fingerprint.as_str();
            let start = print.len().saturating_sub(8);
            let key = print.get(start..).unwrap_or_default().to_ascii_lowercase();
            format!("{}/data/signed/{key}/{arch}/{name}-{version}-{release}.{arch}.rpm", self.base)
        };
        let arches = [arch.as_str(), "noarch"];
        signer.keys.iter().flat_map(|key| arches.map(|arch| copy(key, arch))).collect()
    }
}
