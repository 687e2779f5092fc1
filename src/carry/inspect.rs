//! Proves a mirror or a bundle where it lies, without a network: every file is as it was written, every package and list of
//! packages comes from whom it must come, and nothing else is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use super::OLDER;
use super::build::repositories;
use super::carried::Carried;
use super::finding::CarriedFinding;
use super::gather::{Contents, Item, gather};
use super::manifest::{Entry, MANIFEST, Manifest};
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{Algorithm, Checksum, Plan};
use crate::owned::open_to_read;
use crate::planning;
use crate::report::{Event, Phase};
use crate::tools::threads;

/// Files that are read at the same time.
const AT_ONCE: usize = 4;

/// What is wrong with what was carried, by path. `context` must read from there, and `keys` too.
///
/// # Errors
/// When it cannot be read, is none, or something in it is believed by nobody here.
pub(crate) fn inspect(
    context: Context<'_>,
    keys: &Keys<'_>,
    carried: &Carried,
) -> Result<Vec<CarriedFinding>, Error> {
    let mut findings = match carried {
        Carried::Bundle(bundle) => bundle.damage(context.reporter)?,
        // Compared when it was pulled.
        Carried::Artifact(_) => Vec::new(),
        Carried::Mirror(directory) => match mirror_damage(context, carried, directory)? {
            Some(findings) => findings,
            None => return Ok(vec![CarriedFinding::new(MANIFEST, "changed")]),
        },
    };
    match proof(context, keys, carried) {
        Ok(unproved) => {
            let known: BTreeSet<String> = findings.iter().map(|it| it.path.clone()).collect();
            findings.extend(unproved.into_iter().filter(|it| !known.contains(&it.path)));
        }
        Err(error) if findings.is_empty() || error.is_cancelled() => return Err(error),
        // What is damaged was named.
        Err(error) => context.reporter.detail(error.to_string()),
    }
    findings.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(findings)
}

/// What of a mirror is not as its manifest says; none where that is damaged itself.
fn mirror_damage(
    context: Context<'_>,
    mirror: &Carried,
    directory: &Path,
) -> Result<Option<Vec<CarriedFinding>>, Error> {
    let error = |source| Error::File { path: directory.to_owned(), source };
    let mut there = BTreeMap::new();
    walk(directory, "", &mut there).map_err(error)?;
    if there.remove(MANIFEST) != Some(true) {
        return Err(Error::File {
            path: directory.join(MANIFEST),
            source: io::ErrorKind::NotFound.into(),
        });
    }
    let manifest = mirror.manifest();
    manifest.map(|manifest| damage(context, directory, &manifest, &there)).transpose()
}

/// Every file below `directory`, by its path there; false for what is no file.
fn walk(directory: &Path, prefix: &str, found: &mut BTreeMap<String, bool>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = fs::symlink_metadata(entry.path())?.file_type();
        if kind.is_dir() {
            let before = found.len();
            walk(&entry.path(), &format!("{path}/"), found)?;
            if found.len() == before {
                found.insert(path, false);
            }
        } else {
            found.insert(path, kind.is_file());
        }
    }
    Ok(())
}

/// What is not as the manifest says.
fn damage(
    context: Context<'_>,
    directory: &Path,
    manifest: &Manifest,
    there: &BTreeMap<String, bool>,
) -> Result<Vec<CarriedFinding>, Error> {
    let size = crate::model::total(manifest.0.values().map(|entry| entry.size));
    context.reporter.event(Event::Started { phase: Phase::Verify, total: Some(size) });
    let listed: Vec<(&String, &Entry)> = manifest.0.iter().collect();
    let look = |(path, entry): &(&String, &Entry)| -> Result<Option<CarriedFinding>, Error> {
        if context.reporter.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let read = || -> io::Result<bool> {
            let file = open_to_read(&directory.join(path))?;
            let digest = Checksum::of_reader(Algorithm::Sha256, file)?;
            Ok(digest == (entry.checksum.clone(), entry.size))
        };
        let finding = match there.get(*path) {
            None => Some(CarriedFinding::new(path, "missing")),
            Some(false) => Some(CarriedFinding::new(path, "changed")),
            Some(true) => match read() {
                Ok(true) => None,
                Ok(false) => Some(CarriedFinding::new(path, "changed")),
                Err(error) => Some(CarriedFinding {
                    detail: Some(error.to_string()),
                    ..CarriedFinding::new(path, "changed")
                }),
            },
        };
        context.reporter.advanced(Phase::Verify, entry.size);
        Ok(finding)
    };
    let found = threads::each(AT_ONCE, &listed, look)?;
    context.reporter.event(Event::Finished { phase: Phase::Verify });
    let foreign = there.keys().filter(|path| !manifest.0.contains_key(*path));
    let foreign = foreign.map(|path| CarriedFinding::new(path, "foreign"));
    Ok(found.into_iter().flatten().chain(foreign).collect())
}

/// What nobody who is believed vouches for: a manifest could be written by whoever changed the rest.
fn proof(
    context: Context<'_>,
    keys: &Keys<'_>,
    carried: &Carried,
) -> Result<Vec<CarriedFinding>, Error> {
    let held = |plan: Plan| {
        keys.know_copies(&plan.certificates);
        planning::held(context, keys, &plan)
    };
    let plan = held(carried.plan(&[])?)?;
    let mut older = Vec::new();
    while let Ok(text) = carried.text(&format!("{OLDER}/{}.lock", older.len() + 1)) {
        older.push(held(Plan::from_lock(&text)?)?);
    }
    // Metadata are proved as they are read.
    let contents = gather(context, keys, &plan, &older, carried.scope())?;
    let wanted: Vec<(&String, &Item)> = contents.items.iter().collect();
    let prove = |(path, item): &(&String, &Item)| {
        let Item::Package(wanted) = item else { return Ok::<_, Error>(None) };
        if context.reporter.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let opened = carried.file(path);
        let opened =
            opened.map_err(|source| Error::File { path: carried.path().join(path), source });
        Ok(Some(opened.and_then(|bytes| wanted.prove(keys, context.reporter, &bytes))))
    };
    let proved = threads::each(AT_ONCE, &wanted, prove)?;
    let (mut findings, mut packages) = (Vec::new(), BTreeMap::new());
    for ((path, _), outcome) in wanted.into_iter().zip(proved) {
        match outcome {
            None => {}
            Some(Ok(package)) => drop(packages.insert(path.clone(), package)),
            Some(Err(error)) => findings.push(CarriedFinding::unproved(path, &error)),
        }
    }
    // Without all packages nobody knows what the lists should say.
    if let Carried::Mirror(directory) = carried
        && findings.is_empty()
    {
        findings = listings(directory, &contents, &packages);
    }
    Ok(findings)
}

/// The lists for dnf that do not say what the packages do.
fn listings(
    directory: &Path,
    contents: &Contents,
    packages: &BTreeMap<String, super::proving::ProvenPackage>,
) -> Vec<CarriedFinding> {
    let differs = |(path, bytes): &(String, Vec<u8>)| {
        let digest = |file| Checksum::of_reader(Algorithm::Sha256, file);
        let there = open_to_read(&directory.join(path)).and_then(digest);
        there.is_ok_and(|(there, _)| there != Checksum::of(bytes))
    };
    let all = repositories(contents, packages).into_iter().filter(differs);
    all.map(|(path, _)| CarriedFinding::unproved(&path, &"it does not say what the packages do"))
        .collect()
}
