//! What a mirror or a bundle is to hold: all that an install by its lock files needs, each at its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::dnf;
use super::manifest::MANIFEST;
use super::proving::{LockedPackage, ProvenPackage};
use super::script::{SCRIPT, program_name, script};
use super::{LOCK, OLDER};
use crate::context::Context;
use crate::error::Error;
use crate::fetch::{FetchError, Fetched, mirror_path, package_places};
use crate::metadata::{self, Keys, Means, Originals};
use crate::model::{
    Algorithm, Arch, Checksum, Dist, Fingerprint, KeyPin, LockError, Plan, Source, TreePlan,
    escape, without_userinfo,
};
use crate::report::{Event, Phase};
use crate::tools::excerpt::Excerpt;
use crate::tools::threads;

/// The directory of definitions in a mirror.
const DEFINITIONS: &str = "definitions";
/// Files that are brought and handed on at the same time.
const AT_ONCE: usize = 6;

/// A file of a mirror.
pub(super) enum Item {
    /// Small, and at hand.
    Bytes(Vec<u8>),
    /// Fetched, with a digest that was proved.
    Fetched(Fetched),
    /// A package, which is still to be brought and proved.
    Package(Box<LockedPackage>),
    /// A program that is on this machine, and its digest.
    Program(PathBuf, Checksum),
}

/// All of it.
#[derive(Default)]
pub(super) struct Contents {
    /// By the paths in the mirror.
    pub(super) items: BTreeMap<String, Item>,
    /// Which of them are metadata of repositories.
    pub(super) lists: BTreeSet<String>,
    /// The repositories for dnf: when their metadata were made, and the paths of their packages.
    pub(super) repositories: BTreeMap<(String, Arch), (u64, BTreeSet<String>)>,
}

/// One of the files, and what brings and proves it.
pub(super) struct Member<'a> {
    /// Its path in the mirror.
    pub(super) path: &'a str,
    /// What it is.
    pub(super) item: &'a Item,
    context: Context<'a>,
    keys: &'a Keys<'a>,
}

/// Where the bytes of a file are.
pub(super) enum Origin<'a> {
    /// At hand.
    Here(&'a [u8]),
    /// Fetched.
    Fetched(Fetched),
    /// In a file of this machine.
    File(Excerpt),
}

/// What is gathered for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    /// A mirror, with the metadata of repositories, and this program if there is one, with its architecture.
    Mirror(Option<(Arch, &'a Path)>),
    /// An artifact: a mirror without a program.
    Artifact,
    /// A bundle: as much as an install by the lock file needs.
    Bundle,
}

/// A dist's repositories for an architecture, as they were read for the mirror: each id with its base URL.
type Bases = BTreeMap<(String, Arch), BTreeMap<String, String>>;

/// What one for `plan` holds, which its lock file may have replaced `older` ones in, the last one first.
///
/// # Errors
/// When metadata, or a key that may be needed, cannot be had; or something cannot be carried.
pub(super) fn gather(
    context: Context<'_>,
    keys: &Keys<'_>,
    plan: &Plan,
    older: &[Plan],
    scope: Scope<'_>,
) -> Result<Contents, Error> {
    let mut contents = Contents::default();
    // A key may be published at several places.
    let mut pins: BTreeMap<(Fingerprint, String), KeyPin> = BTreeMap::new();
    let named = |key: &KeyPin| ((key.fingerprint.clone(), key.url.clone()), key.clone());
    let mut bases = Bases::new();
    for part in parts(plan) {
        let place = (part.dist.clone(), part.arch);
        if bases.contains_key(&place) {
            continue;
        }
        let TreePlan { dist, disabled_repositories, enabled_repositories, .. } = part;
        let names = part.runtimes.iter().map(|it| it.name.as_str());
        let catalog = context.catalog.reading_for(names);
        let catalog = catalog.remembering(dist, disabled_repositories, enabled_repositories);
        let dist = catalog.dist(dist)?;
        let its = dist.enabled_for(part.arch).flat_map(|repository| &repository.keys);
        pins.extend(its.map(named));
        let its = match scope {
            Scope::Mirror(_) | Scope::Artifact => {
                contents.add_metadata(context, keys, dist, part.arch)?
            }
            Scope::Bundle => own_bases(dist, part.arch),
        };
        bases.insert(place, its);
    }
    let mut locks = Vec::new();
    for (number, plan) in std::iter::once(plan).chain(older).enumerate() {
        let mut lock = at_home(plan, &bases);
        for (part, original) in parts(&lock).zip(parts(plan)) {
            pins.extend(part.sources.iter().flat_map(|source| &source.keys).map(named));
            contents.add_packages(part, original)?;
        }
        keys.ensure(&pins.values().cloned().collect::<Vec<_>>());
        lock.certificates = keys.copies(&lock.signers());
        let name = if number == 0 { LOCK.to_owned() } else { format!("{OLDER}/{number}.lock") };
        contents.put(name, Item::Bytes(lock.to_lock()?.into_bytes()));
        locks.push(lock);
    }
    for pin in pins.values() {
        contents.add_key(keys, pin)?;
    }
    contents.add_definitions(context, &locks)?;
    if let Scope::Mirror(program) = scope {
        contents.add_program(program)?;
    }
    Ok(contents)
}

/// The base URLs that a definition names itself.
fn own_bases(dist: &Dist, arch: Arch) -> BTreeMap<String, String> {
    let repositories = dist.repositories_for(arch);
    repositories.filter_map(|it| Some((it.id.clone(), it.bases(arch).next()?))).collect()
}

/// Every tree, and those within them.
fn parts(plan: &Plan) -> impl Iterator<Item = &TreePlan> {
    plan.trees.iter().flat_map(TreePlan::parts)
}

/// `plan` with the places that its packages have in the mirror, which are their own: not those of whichever of
/// their mirrors was the nearest.
fn at_home(plan: &Plan, bases: &Bases) -> Plan {
    fn turn(part: &mut TreePlan, bases: &Bases) {
        let its = bases.get(&(part.dist.clone(), part.arch));
        for Source { id, base, .. } in &mut part.sources {
            if let Some(home) = its.and_then(|its| its.get(id)) {
                *base = vec![home.clone()];
            }
        }
        part.container.iter_mut().for_each(|inner| turn(inner, bases));
    }
    let mut plan = plan.clone();
    plan.trees.iter_mut().for_each(|tree| turn(tree, bases));
    plan
}

impl Contents {
    /// What `hand` makes of each file, some at a time, in the order of their paths. It brings what it hands on,
    /// and a package counts once it has proved the bytes that it handed on.
    ///
    /// # Errors
    /// That of `hand`; or when the run is cancelled.
    pub(super) fn each<'a, T: Send>(
        &'a self,
        (context, keys): (Context<'a>, &'a Keys<'a>),
        hand: impl Fn(&Member<'a>) -> Result<T, Error> + Sync,
    ) -> Result<Vec<(Member<'a>, T)>, Error> {
        let reporter = context.reporter;
        let packages = self.items.values().map(|item| match item {
            Item::Package(wanted) => wanted.package.size,
            _ => 0,
        });
        let total = Some(crate::model::total(packages));
        reporter.event(Event::Started { phase: Phase::Download, total });
        let members = self.items.iter().map(|(path, item)| Member { path, item, context, keys });
        let members: Vec<Member<'a>> = members.collect();
        let made = threads::each(AT_ONCE, &members, |member| {
            if reporter.is_cancelled() { Err(Error::Cancelled) } else { hand(member) }
        })?;
        reporter.event(Event::Finished { phase: Phase::Download });
        Ok(members.into_iter().zip(made).collect())
    }

    fn put(&mut self, path: String, item: Item) {
        self.items.entry(path).or_insert(item);
    }

    fn put_list(&mut self, path: String, item: Item) {
        self.lists.insert(path.clone());
        self.put(path, item);
    }

    /// Adds what was read of the dist's repositories. Returns where each is.
    fn add_metadata(
        &mut self,
        context: Context<'_>,
        keys: &Keys<'_>,
        dist: &Dist,
        arch: Arch,
    ) -> Result<BTreeMap<String, String>, Error> {
        let verify = keys.verifier(dist);
        let Context { fetcher, program, reporter, .. } = context;
        let means = Means { fetcher, verify: &verify, memory: None, program, reporter };
        let read = metadata::originals(means, dist, arch)?;
        let mut bases = BTreeMap::new();
        for Originals { id, base, documents, files } in read {
            for (url, bytes) in documents {
                self.put_list(path_of(&url)?, Item::Bytes(bytes));
            }
            for (url, fetched) in files {
                self.put_list(path_of(&url)?, Item::Fetched(fetched));
            }
            bases.insert(id, base);
        }
        Ok(bases)
    }

    /// Adds the packages of `part`, each from wherever `original` says that it may be had.
    fn add_packages(&mut self, part: &TreePlan, original: &TreePlan) -> Result<(), Error> {
        let sightings = part.sources.iter().filter_map(|source| source.metadata.as_ref());
        let newest = sightings.map(|sighting| sighting.timestamp).max().unwrap_or(0);
        for package in &part.packages {
            let urls = package_places(original.source(&package.source), package);
            let home = package_places(part.source(&package.source), package);
            let path = path_of(home.first().map_or("", |url| url))?;
            let listed = self.repositories.entry((part.dist.clone(), part.arch)).or_default();
            listed.0 = listed.0.max(newest);
            listed.1.insert(path.clone());
            self.put(path, Item::Package(Box::new(LockedPackage::of(part, package, urls))));
        }
        Ok(())
    }

    /// Adds the file that a key is published in; where it is not to be had, what is known of the key.
    fn add_key(&mut self, keys: &Keys<'_>, pin: &KeyPin) -> Result<(), Error> {
        let certificate = keys.copies(&BTreeSet::from([&pin.fingerprint])).into_values().next();
        let (url, bytes) = match (keys.published(pin), &certificate) {
            (Ok(published), _) => published,
            (Err(error @ FetchError::Cancelled), _) => return Err(error.into()),
            (Err(_), Some(certificate)) => (pin.url.clone(), certificate.clone().into_bytes()),
            // Nothing that it signed can be proved: whoever needs it says so.
            (Err(_), None) => return Ok(()),
        };
        self.put(path_of(&url)?, Item::Bytes(bytes));
        if let Some(certificate) = certificate {
            let path = format!("{DEFINITIONS}/keys/{}.asc", pin.fingerprint);
            self.put(path, Item::Bytes(certificate.into_bytes()));
        }
        Ok(())
    }

    /// Adds the dists and runtimes that the lock files name, as they are used here.
    fn add_definitions(&mut self, context: Context<'_>, locks: &[Plan]) -> Result<(), Error> {
        for part in locks.iter().flat_map(parts) {
            let dist = context.catalog.dist(&part.dist)?;
            self.put(format!("{DEFINITIONS}/dists/{}.toml", dist.name), definition(dist)?);
            for runtime in &part.runtimes {
                let runtime = context.catalog.runtime(&runtime.name)?;
                let path = format!("{DEFINITIONS}/runtimes/{}.toml", runtime.name);
                self.put(path, definition(runtime)?);
            }
        }
        Ok(())
    }

    fn add_program(&mut self, program: Option<(Arch, &Path)>) -> Result<(), Error> {
        let mut digests = BTreeMap::new();
        if let Some((arch, path)) = program {
            let file = |source| Error::File { path: path.to_owned(), source };
            let opened = std::fs::File::open(path).map_err(file)?;
            let (digest, _) = Checksum::of_reader(Algorithm::Sha256, opened).map_err(file)?;
            self.put(program_name(arch), Item::Program(path.to_owned(), digest.clone()));
            digests.insert(arch, digest);
        }
        self.put(SCRIPT.to_owned(), Item::Bytes(script(&digests).into_bytes()));
        Ok(())
    }
}

impl<'a> Member<'a> {
    /// Its bytes, from wherever they are nearest.
    ///
    /// # Errors
    /// When no place has them.
    pub(super) fn bring(&self) -> Result<Origin<'a>, Error> {
        Ok(match self.item {
            Item::Bytes(bytes) => Origin::Here(bytes),
            Item::Fetched(fetched) => Origin::Fetched(fetched.clone()),
            Item::Package(wanted) => Origin::Fetched(wanted.bring(self.context)?),
            Item::Program(path, _) => {
                let opened = File::open(path);
                let opened = opened.map_err(|source| Error::File { path: path.clone(), source });
                Origin::File(opened?.into())
            }
        })
    }

    /// Proves that `bytes` are it, if it is a package. Of everything else the bytes were proved when it was
    /// gathered.
    ///
    /// # Errors
    /// When they are not.
    pub(super) fn prove(&self, bytes: &Excerpt) -> Result<Option<ProvenPackage>, Error> {
        match self.item {
            Item::Package(wanted) => {
                wanted.prove(self.keys, self.context.reporter, bytes).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl Origin<'_> {
    /// Writes the bytes to `to`; what was fetched is proved once more on the way.
    ///
    /// # Errors
    /// When they cannot be read or written, or were changed since.
    pub(super) fn copy(&self, mut to: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Here(bytes) => to.write_all(bytes),
            Self::Fetched(fetched) => fetched.read(|from| io::copy(from, &mut to).map(drop)),
            Self::File(file) => io::copy(&mut file.anew(), &mut to).map(drop),
        }
    }
}

/// A definition as a file has it: without the passwords that it came with.
fn definition(value: &impl serde::Serialize) -> Result<Item, Error> {
    let text = toml::to_string(value).map_err(LockError::Unwritable)?;
    Ok(Item::Bytes(text.into_bytes()))
}

/// Where a mirror has what is at `url`.
fn path_of(url: &str) -> Result<String, Error> {
    let cannot = |why: &str| {
        let url = without_userinfo(url);
        Error::Usage(format!("{} cannot be carried: {why}", escape(&url)))
    };
    let path = mirror_path(url).ok_or_else(|| cannot("it is at no http or https URL"))?;
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    let text = text.ok_or_else(|| cannot("its name is no plain text"))?;
    let own = [LOCK, OLDER, DEFINITIONS, dnf::DNF, MANIFEST, SCRIPT];
    match own.iter().any(|own| path.starts_with(own)) {
        true => Err(cannot("its host is called as a file of the mirror's own is")),
        false => Ok(text.to_owned()),
    }
}
