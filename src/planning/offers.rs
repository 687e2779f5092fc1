//! What a dist offers.

use super::archives::{ArchivedVersions, archived_versions};
use super::{load::load, repositories};
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{Arch, Dist, Runtime};
use crate::resolve;

/// A runtime's versions in a dist, newest first.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Offer {
    /// The runtime's name.
    pub runtime: String,
    /// Its versions, without release, newest first; empty when the dist lacks it.
    pub versions: Vec<String>,
    /// Those that archives hold, where they were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archived: Vec<ArchivedVersions>,
}

/// What `dist` offers for `arch`: every runtime of the catalog with its versions; with those of its archives,
/// if `with_archives`.
///
/// # Errors
/// When the metadata cannot be had.
pub(crate) fn offers(
    context: Context<'_>,
    keys: &Keys<'_>,
    dist: &Dist,
    arch: Arch,
    with_archives: bool,
) -> Result<Vec<Offer>, Error> {
    repositories::tell(context, &dist.name, arch);
    let index = load(context, keys, dist, arch, None)?.index;
    let runtimes: Vec<&Runtime> = context.catalog.runtimes().collect();
    let archived = match with_archives {
        true => archived_versions(context, keys, (dist, arch), &runtimes)?,
        false => runtimes.iter().map(|_| Vec::new()).collect(),
    };
    let offer = |(runtime, archived): (&&Runtime, _)| Offer {
        runtime: runtime.name.clone(),
        versions: resolve::versions(&index, &runtime.package),
        archived,
    };
    Ok(runtimes.iter().zip(archived).map(offer).collect())
}
