//! Makes a mirror beside the one that is there, and puts it into its place in one step. Files that stay the
//! same are shared by both, once their bytes were proved again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::carried::Carried;
use super::dnf::{self, Listing};
use super::gather::{Contents, Item, Member, Scope, gather};
use super::manifest::{Entry, MANIFEST, Manifest};
use super::place::{Place, Stage};
use super::proving::{LockedPackage, ProvenPackage};
use super::{LOCK, OLDER};
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{Algorithm, Arch, Checksum, Plan};
use crate::owned::open_to_read;
use crate::planning;
use crate::report::{Event, Phase};
use crate::tools::excerpt::Excerpt;

/// Permissions of files, and of programs.
const USUAL: u32 = 0o644;
const PROGRAM: u32 = 0o755;

/// What the caller decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MirrorOptions<'a> {
    /// Where the mirror is, or is to be: an absolute path.
    pub directory: &'a Path,
    /// How many earlier lock files, with their packages, are kept.
    pub keep_old: usize,
    /// This program, and what it is for.
    pub program: Option<(Arch, &'a Path)>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Built {
    /// How many packages it has.
    pub packages: usize,
    /// How many files.
    pub files: usize,
    /// Their bytes.
    pub size: u64,
    /// How many of the files were there before.
    pub kept: usize,
    /// How many were there before, and nothing needs any more.
    pub dropped: usize,
}

/// Makes the mirror for `plan`, or brings it up to date.
///
/// # Errors
/// When something else is in its place, or something cannot be had, proved or written. What was there is there
/// then, whole.
pub(crate) fn build(
    context: Context<'_>,
    keys: &Keys<'_>,
    plan: &Plan,
    options: MirrorOptions<'_>,
) -> Result<Built, Error> {
    let place = Place::of(options.directory)?;
    let mirror = Carried::Mirror(place.directory.clone());
    let old = mirror.manifest().unwrap_or_default();
    let older = older(context, keys, &mirror, plan, options.keep_old);
    let contents = gather(context, keys, plan, &older, Scope::Mirror(options.program))?;
    let stage = place.stage()?;
    let filling =
        Filling { context, keys, stage: &stage, old: &place.directory, kept: Mutex::default() };
    let (mut manifest, packages) = filling.fill(&contents)?;
    for (path, bytes) in repositories(&contents, &packages) {
        let entry = filling.write(&path, USUAL, |file| file.write_all(&bytes))?;
        manifest.0.insert(path, entry);
    }
    filling.write(MANIFEST, USUAL, |file| file.write_all(manifest.text().as_bytes()))?;
    let built = Built {
        packages: packages.len(),
        files: manifest.0.len(),
        size: crate::model::total(manifest.0.values().map(|entry| entry.size)),
        kept: *filling.kept.lock().unwrap_or_else(PoisonError::into_inner),
        dropped: old.0.keys().filter(|path| !manifest.0.contains_key(*path)).count(),
    };
    if context.reporter.is_cancelled() {
        return Err(Error::Cancelled);
    }
    place.put(stage)?;
    Ok(built)
}

/// The lock files that the one of `plan` replaces, the last one first.
fn older(
    context: Context<'_>,
    keys: &Keys<'_>,
    mirror: &Carried,
    plan: &Plan,
    count: usize,
) -> Vec<Plan> {
    if count == 0 {
        return Vec::new();
    }
    let names =
        std::iter::once(LOCK.to_owned()).chain((1..=count).map(|it| format!("{OLDER}/{it}.lock")));
    let mut found: Vec<Plan> = Vec::new();
    for name in names {
        let Ok(text) = mirror.text(&name) else { continue };
        let held = Plan::from_lock(&text).map_err(Error::from).and_then(|older| {
            keys.know_copies(&older.certificates);
            planning::held(context, keys, &older)
        });
        match held {
            Ok(older) if !found.iter().chain([plan]).any(|it| has_same(it, &older)) => {
                found.push(older)
            }
            Ok(_) => {}
            Err(error) => context.reporter.warning(format!("{name} is not kept: {error}")),
        }
    }
    found.truncate(count);
    found
}

/// Whether two plans install the same packages.
fn has_same(one: &Plan, other: &Plan) -> bool {
    let packages = |plan: &Plan| -> Vec<(Arch, Checksum)> {
        let trees = plan.trees.iter();
        let of = |(arch, checksum): (Arch, &Checksum)| (arch, checksum.clone());
        let all = trees.flat_map(|tree| tree.all_packages().map(|it| (tree.arch, &it.checksum)));
        all.map(of).collect()
    };
    packages(one) == packages(other)
}

/// The files of the repositories for dnf, by their paths in the mirror.
pub(super) fn repositories(
    contents: &Contents,
    packages: &BTreeMap<String, ProvenPackage>,
) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for ((dist, arch), (revision, paths)) in &contents.repositories {
        let mut listing = Listing::new(*revision);
        for path in paths {
            packages.get(path).into_iter().for_each(|package| listing.add(path, package));
        }
        let root = dnf::directory(dist, *arch);
        files.extend(listing.files().map(|(name, bytes)| (format!("{root}/{name}"), bytes)));
    }
    files
}

/// A new mirror being filled.
struct Filling<'a> {
    context: Context<'a>,
    keys: &'a Keys<'a>,
    stage: &'a Stage,
    /// The mirror that is there.
    old: &'a Path,
    /// How many of its files are in the new one too.
    kept: Mutex<usize>,
}

/// A file as the manifest has it, and what it says where it is a package.
type Filled = (Entry, Option<ProvenPackage>);

impl Filling<'_> {
    /// Puts all into the stage. Returns every file, and what packages there are.
    fn fill(
        &self,
        contents: &Contents,
    ) -> Result<(Manifest, BTreeMap<String, ProvenPackage>), Error> {
        let filled = contents.each((self.context, self.keys), |member| self.put(member))?;
        let (mut manifest, mut packages) = (Manifest::default(), BTreeMap::new());
        for (member, (entry, package)) in filled {
            packages.extend(package.map(|package| (member.path.to_owned(), package)));
            manifest.0.insert(member.path.to_owned(), entry);
        }
        Ok((manifest, packages))
    }

    fn put(&self, member: &Member<'_>) -> Result<Filled, Error> {
        match member.item {
            Item::Bytes(_) => Ok((self.copied(member, USUAL)?, None)),
            Item::Fetched(fetched) => Ok((self.known(member, fetched.checksum(), USUAL)?, None)),
            Item::Package(wanted) => {
                let package = self.package(member, wanted)?;
                Ok((package.entry.clone(), Some(package)))
            }
            Item::Program(_, checksum) => Ok((self.known(member, checksum, PROGRAM)?, None)),
        }
    }

    /// A file whose digest is known: the old mirror's, where that has it, or a new one.
    fn known(&self, member: &Member<'_>, checksum: &Checksum, mode: u32) -> Result<Entry, Error> {
        if let Some(old) = self.old_file(member.path)
            && let Ok((found, _)) = Checksum::of_reader(checksum.algorithm(), &old)
            && found == *checksum
            && let Some(entry) = self.share(member.path, &old, mode)?
        {
            return Ok(entry);
        }
        self.copied(member, mode)
    }

    /// A new file.
    fn copied(&self, member: &Member<'_>, mode: u32) -> Result<Entry, Error> {
        let origin = member.bring()?;
        self.write(member.path, mode, |file| origin.copy(file))
    }

    /// A package, from the old mirror or from its places. Either is proved by the bytes that lie here.
    fn package(&self, member: &Member<'_>, wanted: &LockedPackage) -> Result<ProvenPackage, Error> {
        let (path, reporter) = (member.path, self.context.reporter);
        if let Some(old) = self.old_file(path)
            && let Ok(bytes) = old.try_clone().map(Excerpt::from)
            && let Ok(proven) = wanted.prove(self.keys, reporter, &bytes)
            && self.share(path, &old, USUAL)?.is_some()
        {
            reporter.event(Event::Cached { phase: Phase::Download, by: wanted.package.size });
            reporter.advanced(Phase::Download, wanted.package.size);
            return Ok(proven);
        }
        let origin = member.bring()?;
        let mut file = self.create(path, USUAL)?;
        origin.copy(&mut file).map_err(|source| self.error(path, source))?;
        wanted.prove(self.keys, reporter, &file.into())
    }

    /// The file of the old mirror.
    fn old_file(&self, path: &str) -> Option<File> {
        open_to_read(&self.old.join(path)).ok()
    }

    /// Lets the new mirror have an open file of the old one, where the file system lets a file have two names.
    fn share(&self, path: &str, old: &File, mode: u32) -> Result<Option<Entry>, Error> {
        let new = self.stage.name(path).map_err(|source| self.error(path, source))?;
        if fs::hard_link(self.old.join(path), &new).is_err() {
            return Ok(None);
        }
        let error = |source| self.error(path, source);
        let is_it = |about: &fs::Metadata, other: &fs::Metadata| {
            (about.dev(), about.ino()) == (other.dev(), other.ino())
        };
        let about = old.metadata().map_err(error)?;
        if !is_it(&about, &fs::symlink_metadata(&new).map_err(error)?)
            || about.mode() & 0o777 != mode
        {
            fs::remove_file(&new).map_err(error)?;
            return Ok(None);
        }
        let mut old = old;
        old.rewind().map_err(error)?;
        let (checksum, size) = Checksum::of_reader(Algorithm::Sha256, old).map_err(error)?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Ok(Some(Entry { checksum, size }))
    }

    /// A new file with what `fill` writes.
    fn write(
        &self,
        path: &str,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<Entry, Error> {
        let mut file = self.create(path, mode)?;
        let error = |source| self.error(path, source);
        fill(&mut file).and_then(|()| file.rewind()).map_err(error)?;
        let (checksum, size) = Checksum::of_reader(Algorithm::Sha256, file).map_err(error)?;
        Ok(Entry { checksum, size })
    }

    fn create(&self, path: &str, mode: u32) -> Result<File, Error> {
        self.stage.create(path, mode).map_err(|source| self.error(path, source))
    }

    fn error(&self, path: &str, source: io::Error) -> Error {
        let path: PathBuf = self.old.join(path);
        Error::File { path, source }
    }
}
