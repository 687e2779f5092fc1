//! Makes a version, where nobody looks yet.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use super::about::{About, text};
use super::base::BIN;
use super::changes::Addition;
use super::configure::configure;
use super::edition::Edition;
use super::put::copy_tree;
use super::separate::separate;
use crate::context::Context;
use crate::doctor::Subject;
use crate::error::Error;
use crate::launcher::LaunchedTrees;
use crate::making::{self, DistTrees, Judge, MadeWithReceipt, Making};
use crate::metadata::Keys;
use crate::model::{Receipt, RelPath, Runtime, TreePlan, VERSION_NAME, escape};
use crate::planning::for_dist;
use crate::smoke::{self, Trial};
use crate::tools::files;
use crate::tools::manners::Manners;
use crate::workshop::{Workshop, WorkshopError};

/// The file by which CVMFS gives a directory a catalog of its own.
pub(crate) const CATALOG: &str = ".cvmfscatalog";

/// What the caller decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MakeOptions<'a> {
    /// Who and what is here, for the doctor, who tells a tree's faults from this machine's.
    pub(crate) subject: Option<&'a Arc<Subject>>,
}

/// A tree that is being made.
struct Place<'a> {
    directory: String,
    context: Context<'a>,
    plan: &'a TreePlan,
    workshop: Workshop,
}

/// Makes `edition` as the version `addition` in the directory `version`, which is made. All of it is durable then.
///
/// # Errors
/// When anything fails. What is in the directory is of no use then.
pub(crate) fn make<'a>(
    context: Context<'a>,
    keys: &Keys<'_>,
    (edition, addition): (&'a Edition, &Addition),
    version: &Path,
    options: MakeOptions<'_>,
) -> Result<(), Error> {
    let error = |source| Error::File { path: version.to_owned(), source };
    files::make_directory(version, 0o755).map_err(error)?;
    let manners = manners(version)?;
    let mut places = Vec::new();
    for (path, plan) in edition.places()? {
        let home = version.join(&path);
        make_parents(version, &path).map_err(error)?;
        let workshop = Workshop::make(home, manners.clone())?;
        let context = match edition.is_by_dist {
            true => for_dist(context, context.catalog.dist(&plan.dist)?),
            false => context,
        };
        places.push(Place { directory: edition.directory(plan), context, plan, workshop });
    }
    let makings = places.iter().map(|place| Making::new(context, place.plan, &place.workshop));
    let makings = makings.collect::<Result<Vec<_>, _>>()?;
    makings.iter().try_for_each(Making::check_program)?;
    let needed = makings.iter().fold(0u64, |sum, making| sum.saturating_add(making.needed_space()));
    if let Some(place) = places.first() {
        place.workshop.check_space(needed)?;
    }
    making::fill(context, keys, &makings)?;
    let mut parts = Parts::new();
    for (place, making) in places.iter().zip(&makings) {
        let receipt = finish(keys, (place, making), edition, options)?;
        let made = MadeWithReceipt::new(context.catalog, receipt)?;
        parts.entry(place.directory.clone()).or_default().push(made);
    }
    drop(makings);
    write_launchers(version, parts)?;
    for place in &mut places {
        files::set_directory_mode(place.workshop.path(), 0o755).map_err(error)?;
        place.workshop.release();
    }
    write(&version.join(CATALOG), b"", 0o644).map_err(error)?;
    complete((edition, addition), version)
}

/// Makes `edition` once more, in the directory `version`: as a copy of what this run made in the directory `from`. False
/// where the two file systems behave otherwise, and nothing is there.
///
/// # Errors
/// When something cannot be read or written. What is in the directory is of no use then.
pub(super) fn make_again(
    context: Context<'_>,
    from: &Path,
    (edition, addition): (&Edition, &Addition),
    version: &Path,
) -> Result<bool, Error> {
    let error = |source| Error::File { path: version.to_owned(), source };
    files::make_directory(version, 0o755).map_err(error)?;
    if manners(version)? != manners(from)? {
        return Ok(false);
    }
    context.reporter.detail(format!(
        "{}: copied from {}, where this run made it",
        escape(&version.to_string_lossy()),
        escape(&from.to_string_lossy())
    ));
    copy_tree(from, version).map_err(error)?;
    fs::remove_file(version.join(VERSION_NAME)).map_err(error)?;
    complete((edition, addition), version)?;
    Ok(true)
}

/// Says in `version` what it is, and makes all of it durable.
fn complete((edition, addition): (&Edition, &Addition), version: &Path) -> Result<(), Error> {
    let paths = edition.places()?.into_iter().map(|(path, _)| path).collect();
    let named = (edition.version.clone(), addition.number);
    let about = About::new(named, edition.runtimes(), paths, edition.settings());
    let written =
        text(&about).and_then(|text| write(&version.join(VERSION_NAME), text.as_bytes(), 0o644));
    written.map_err(|source| Error::File { path: version.to_owned(), source })?;
    // One that does not do that makes it durable in its own time.
    let _ = File::open(version).map(rustix::fs::syncfs);
    Ok(())
}

/// How the file system of `version` behaves.
fn manners(version: &Path) -> Result<Manners, Error> {
    let probe = files::unique(version, "probe");
    let looked = files::make_directory(&probe, 0o700).and_then(|_| Manners::of(&probe));
    let _ = files::remove_tree(&probe);
    let manners = looked.map_err(|source| Error::File { path: version.to_owned(), source })?;
    match manners.obstacle {
        Some(problem) => Err(WorkshopError::Unfit { path: version.to_owned(), problem }.into()),
        None => Ok(manners),
    }
}

/// Makes the directories above `path` in `version`.
fn make_parents(version: &Path, path: &RelPath) -> io::Result<()> {
    let mut directory = version.to_owned();
    for part in path.parent().iter().flat_map(|parent| parent.as_path()) {
        directory.push(part);
        files::make_directory(&directory, 0o755)?;
    }
    Ok(())
}

/// Makes a tree whose packages are there what is published, and writes its receipt.
fn finish(
    keys: &Keys<'_>,
    (place, making): (&Place<'_>, &Making<'_>),
    edition: &Edition,
    options: MakeOptions<'_>,
) -> Result<Receipt, Error> {
    let Place { context, plan, workshop, .. } = place;
    let tree = workshop.path();
    let error = |source| Error::File { path: tree.to_owned(), source };
    let scratch = files::unique(tree.parent().unwrap_or(tree), "try");
    files::make_directory(&scratch, 0o700).map_err(error)?;
    let judged = Judge::new(*context, options.subject, &[plan], &scratch);
    let tried = judged.and_then(|judge| {
        let receipt = making.finish(*context, keys, 0, (&judge, &scratch))?;
        try_launchers(*context, place, edition, (&receipt, &judge), &scratch)?;
        Ok(receipt)
    });
    files::remove_tree(&scratch).map_err(error)?;
    let receipt = dated(tried?, plan);
    separate(tree).map_err(error)?;
    let set = configure(tree, &edition.configuration)?;
    let receipt = Receipt { set, ..receipt };
    workshop.write_receipt(&receipt)?;
    Ok(receipt)
}

/// Runs the tests through launchers, as users will.
fn try_launchers(
    context: Context<'_>,
    place: &Place<'_>,
    edition: &Edition,
    (receipt, judge): (&Receipt, &Judge<'_>),
    scratch: &Path,
) -> Result<(), Error> {
    let (tree, arch) = (place.workshop.path(), receipt.arch);
    // Those of several dists may run another one's tree.
    let is_alone = edition.directory(place.plan).is_empty();
    if !is_alone || !judge.can_run || !context.runs_here(arch, receipt.glibc_needed) {
        return Ok(());
    }
    let made = MadeWithReceipt::new(context.catalog, receipt.clone())?;
    let parts = Parts::from([(place.directory.clone(), vec![made])]);
    let version = tree.parent().unwrap_or(tree);
    write_launchers(version, parts)?;
    let named = receipt
        .runtimes
        .iter()
        .map(|runtime| Ok((context.catalog.runtime(&runtime.name)?, runtime.version.as_str())));
    let runtimes = named.collect::<Result<Vec<(&Runtime, &str)>, Error>>()?;
    let trial = Trial {
        tree,
        arch,
        files: &receipt.all_files(),
        loading: &receipt.all_loading().unwrap_or_default(),
        host_libraries: &[],
        runtimes: &runtimes,
        scratch,
        judge,
    };
    smoke::run_launchers(&trial, &version.join(BIN), context.reporter)?;
    Ok(())
}

/// `receipt` with a time that does not depend on when it was made: the last at which one of its packages was
/// signed or, of packages that nobody signed, at which their repositories changed.
fn dated(receipt: Receipt, plan: &TreePlan) -> Receipt {
    fn date(receipt: Receipt, time: u64) -> Receipt {
        let container = receipt.container.map(|part| Box::new(date(*part, time)));
        Receipt { installed_at: time, container, ..receipt }
    }
    let signed = receipt.all_packages().filter_map(|package| package.signed_at).max();
    let sources = plan.parts().flat_map(|part| &part.sources);
    let seen = sources.filter_map(|source| source.metadata.as_ref()).map(|it| it.timestamp).max();
    date(receipt, signed.or(seen).unwrap_or(0))
}

/// Trees, by where they lie beside their launchers: `dists/DIST/`, or nothing.
pub(super) type Parts = BTreeMap<String, Vec<MadeWithReceipt>>;

/// The launchers of a version with these trees, by where each `bin` is: that of the version chooses among the
/// trees of several dists, each of which has some of its own.
#[must_use]
pub(super) fn launchers(parts: Parts) -> Vec<(String, BTreeMap<String, String>)> {
    let (mut all, mut texts) = (Vec::new(), Vec::new());
    for (directory, trees) in parts {
        let own = DistTrees { directory: String::new(), trees };
        if !directory.is_empty() {
            texts.push((
                directory.clone(),
                making::launchers(std::slice::from_ref(&own), LaunchedTrees::Own),
            ));
        }
        all.push(DistTrees { directory, ..own });
    }
    texts.push((String::new(), making::launchers(&all, LaunchedTrees::Own)));
    texts
}

fn write_launchers(version: &Path, parts: Parts) -> Result<(), Error> {
    for (directory, texts) in launchers(parts) {
        let bin = version.join(directory).join(BIN);
        put_launchers(&bin, &texts)?;
    }
    Ok(())
}

fn put_launchers(bin: &Path, texts: &BTreeMap<String, String>) -> Result<(), Error> {
    let error = |source| Error::File { path: bin.to_owned(), source };
    files::remove_tree(bin).map_err(error)?;
    files::make_directory(bin, 0o755).map_err(error)?;
    for (name, text) in texts {
        let is_plain = !name.is_empty() && !name.contains(['/', '\0']) && !name.starts_with('.');
        if !is_plain {
            return Err(Error::Usage(format!("{name} cannot be the name of a launcher")));
        }
        write(&bin.join(name), text.as_bytes(), 0o755).map_err(error)?;
    }
    Ok(())
}

/// Makes the file `path`.
fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = files::create(path, mode)?;
    file.write_all(bytes)?;
    files::set_mode(&file, mode)?;
    files::sync_written(&file)
}
