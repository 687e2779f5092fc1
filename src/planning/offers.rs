//! What a dist offers.

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
}

/// What `dist` offers for `arch`: every runtime of the catalog with its versions.
///
/// # Errors
/// When the metadata cannot be had.
pub(crate) fn offers(
    context: Context<'_>,
    keys: &Keys<'_>,
    dist: &Dist,
    arch: Arch,
) -> Result<Vec<Offer>, Error> {
    repositories::tell(context, &dist.name, arch);
    let index = load(context, keys, dist, arch, None)?.index;
    let offer = |runtime: &Runtime| Offer {
        runtime: runtime.name.clone(),
        versions: resolve::versions(&index, &runtime.package),
    };
    Ok(context.catalog.runtimes().map(offer).collect())
}
