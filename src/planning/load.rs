//! What plans are made from: definitions and metadata, for each architecture side by side.

use std::thread;

use super::local;
use crate::context::Context;
use crate::error::Error;
use crate::metadata::{self, Keys, Loaded, Means};
use crate::model::{Arch, Checksum, Dist, Runtime, RuntimeRequest};
use crate::tools::threads;

/// Does `work` for each architecture at the same time.
pub(super) fn side_by_side<T: Send>(
    arches: &[Arch],
    work: impl Fn(Arch) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    thread::scope(|scope| {
        let work = &work;
        let spawn = |&arch: &Arch| threads::spawn(scope, move || work(arch));
        let tasks: Vec<_> = arches.iter().map(spawn).collect();
        tasks.into_iter().map(|thread| thread.join().unwrap_or(Err(Error::Panicked))).collect()
    })
}

/// The definitions of `runtimes`, which may be in one prefix.
pub(super) fn target_runtimes<'a>(
    context: Context<'a>,
    runtimes: &[RuntimeRequest],
) -> Result<Vec<&'a Runtime>, Error> {
    let definition = |runtime: &RuntimeRequest| Ok(context.catalog.runtime(&runtime.name)?);
    let definitions = runtimes.iter().map(definition).collect::<Result<Vec<_>, Error>>()?;
    context.catalog.check_together(&definitions)?;
    Ok(definitions)
}

pub(super) fn load(
    context: Context<'_>,
    keys: &Keys<'_>,
    dist: &Dist,
    arch: Arch,
    known: Option<&[Checksum]>,
) -> Result<Loaded, Error> {
    let verify = keys.verifier(dist);
    thread::scope(|scope| {
        // Packages need the keys, and so may metadata: asked for at once, they cost no time.
        threads::spawn(scope, || keys.ensure(&local::keys(dist, arch)));
        let Context { fetcher, memory, program, reporter, .. } = context;
        let means = Means { fetcher, verify: &verify, memory, program, reporter };
        Ok(metadata::load(means, dist, arch, known)?)
    })
}
