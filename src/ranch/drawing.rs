//! The steps that a ranch takes: those directories alone are made anew that lie on the way to what is added.
//!
//! # The method
//!
//! A directory that cannot be written is bound aside, into itself under a name of its own, and covered by an empty one
//! of this process, which then gets everything back: a symlink as it stands, a directory by a bind mount, so that `..`
//! leads to the new one, a program by a bind mount, so that it finds its own path, and any other file by a link to
//! where the original was bound. That is Charliecloud's "symlink ranch" with what breaks in it mended: there, all
//! entries become links.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::asked::{Injection, Ranch, check};
use super::error::RanchError;
use super::fitting::{Fitted, fit};
use super::keeping::{Given, Kept, free_name, given_back};
use super::orders::Orders;
use super::steps::{Place, ROOT, Step};
use super::walk::{Kind, Tree, shown};
use crate::drivers::{DriverLink, DriverMount};
use crate::tools::namespaces;

/// Directories of a machine that a root directory gets, where it has a place for them.
const HOSTS: [&str; 4] = ["dev", "proc", "sys", "tmp"];

/// What no ranch is made of: the kernel's own file systems.
const KERNELS: [&str; 3] = ["dev", "proc", "sys"];

/// Where the loader's cache lies.
const ETC: &str = "/etc";

/// All that is to be done.
pub(super) struct Drawn {
    pub(super) steps: Vec<Step>,
    pub(super) orders: Orders,
    /// What is to be said to the user.
    pub(super) said: Vec<String>,
}

/// The steps by which the directory `root`, which stays as it is, becomes a ranch. All of them are known before
/// the first is taken. `place` is the directory's, where that is said otherwise than by its path.
///
/// # Errors
/// When the root or something that is to be injected cannot be read, or has no place.
pub(super) fn steps(ranch: &Ranch, root: &Path, place: Option<Place>) -> Result<Drawn, RanchError> {
    let path = root;
    let root =
        directory(path).map_err(|source| RanchError::Root { path: path.to_owned(), source })?;
    let mut drawing = Drawing {
        tree: Tree::new(root.clone()),
        is_machines: root == Path::new("/"),
        keep: ranch.keep.clone(),
        ways: Vec::new(),
        steps: Vec::new(),
        ranched: BTreeMap::new(),
        made: BTreeSet::new(),
        injected: BTreeSet::new(),
        lent: Vec::new(),
        replaced: BTreeSet::new(),
    };
    let keeps = ranch.keep.is_some();
    let fitted =
        ranch.drivers.as_ref().map(|it| fit(&drawing.tree, it, drawing.is_machines, keeps));
    let fitted = fitted.unwrap_or_default();
    drawing.steps.push(Step::Directory(Place::Scratch(ROOT.into())));
    drawing.bind(place.unwrap_or(Place::Host(root)), Place::Root(PathBuf::new()));
    if !drawing.is_machines {
        drawing.give_hosts();
    }
    drawing.make_all_anew(ranch, &fitted);
    ranch.writable.iter().try_for_each(|place| drawing.open(place))?;
    for injection in &ranch.injections {
        drawing.inject(injection)?;
    }
    drawing.add_drivers(&fitted)?;
    let Fitted { orders, said, .. } = fitted;
    Ok(Drawn { steps: drawing.close(), orders, said })
}

/// A directory's path without symlinks.
fn directory(path: &Path) -> io::Result<PathBuf> {
    let path = fs::canonicalize(path)?;
    // Read, and not only there: its entries matter.
    fs::read_dir(&path)?;
    Ok(path)
}

struct Drawing {
    tree: Tree,
    /// Whether the root directory is this machine's own.
    is_machines: bool,
    keep: Option<PathBuf>,
    /// Steps that make places for what is kept.
    ways: Vec<Step>,
    steps: Vec<Step>,
    /// Directories that were made anew, and where they really lie.
    ranched: BTreeMap<PathBuf, Place>,
    /// Directories that were added.
    made: BTreeSet<PathBuf>,
    /// Where something was injected.
    injected: BTreeSet<PathBuf>,
    /// Directories of the machine that are seen as they are, by their names.
    lent: Vec<&'static str>,
    /// What links take the place of.
    replaced: BTreeSet<PathBuf>,
}

impl Drawing {
    fn bind(&mut self, from: Place, at: Place) {
        self.steps.push(Step::Bind { from, at });
    }

    /// Gives the root what programs expect of a machine.
    fn give_hosts(&mut self) {
        for name in HOSTS {
            let is_there = |path: &Path| fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
            let on_host = Path::new("/").join(name);
            if is_there(&self.tree.on_host(Path::new(name))) && is_there(&on_host) {
                self.bind(Place::Host(on_host), Place::Root(name.into()));
                self.lent.push(name);
            }
        }
    }

    /// Makes those directories anew that will have to be, the upper ones first: what is mounted in lower ones would
    /// else be mounted once more. What has no place is told when its turn comes.
    fn make_all_anew(&mut self, ranch: &Ranch, fitted: &Fitted) {
        self.replaced =
            fitted.links.iter().filter_map(|link| self.replaced_by(link, fitted)).collect();
        let ways = fitted.links.iter().filter_map(|link| Some(link.place.parent()?.to_owned()));
        let cached = (!fitted.orders.folders.is_empty()).then(|| ETC.into());
        let whole: Vec<PathBuf> =
            ranch.writable.iter().cloned().chain(ways).chain(cached).collect();
        let found = |place: &PathBuf| {
            let found = self.tree.find(place).ok().filter(|_| check(place).is_ok())?;
            let is_needed = !found.missing.is_empty() || whole.contains(place);
            (is_needed && found.kind == Kind::Directory).then_some(found.path)
        };
        let places = ranch.injections.iter().map(|injection| &injection.place);
        let places = places.chain(fitted.mounts.iter().map(|mount| &mount.place));
        let paths: BTreeSet<PathBuf> = places.chain(&whole).filter_map(found).collect();
        for path in paths {
            let _ = self.make_anew(&path, &path);
        }
    }

    /// Makes the directory at `place` one that can be written to.
    fn open(&mut self, place: &Path) -> Result<(), RanchError> {
        check(place)?;
        let found = self.tree.find(place)?;
        if found.kind == Kind::File {
            return Err(RanchError::place(place, "it is no directory"));
        }
        let path = found.path.join(found.missing.iter().collect::<PathBuf>());
        if found.missing.is_empty() {
            return self.make_anew(place, &found.path);
        }
        self.make_anew(place, &found.path)?;
        self.make_way(place, &found.path, &path)
    }

    /// Puts something in its place.
    fn inject(&mut self, injection: &Injection) -> Result<PathBuf, RanchError> {
        let Injection { source, place } = injection;
        check(place)?;
        let unreadable = |error| RanchError::Source { path: source.clone(), source: error };
        let from = fs::canonicalize(source).map_err(unreadable)?;
        let is_directory = fs::metadata(&from).map_err(unreadable)?.is_dir();
        let kind = if is_directory { Kind::Directory } else { Kind::File };
        let found = self.tree.find(place)?;
        let path = match found.missing.is_empty() {
            true => found.path.clone(),
            false => found.path.join(found.missing.iter().collect::<PathBuf>()),
        };
        if self.injected.contains(&path) {
            return Err(RanchError::place(place, "something else is injected there already"));
        }
        if found.missing.is_empty() {
            let why = match (found.kind, kind) {
                (Kind::Directory, Kind::File) => "a file cannot take a directory's place",
                (Kind::File, Kind::Directory) => "a directory cannot take a file's place",
                _ => "",
            };
            if !why.is_empty() {
                return Err(RanchError::place(place, why));
            }
            self.use_again(&path);
        } else {
            self.make_anew(place, &found.path)?;
            if let Some(parent) = path.parent() {
                self.make_way(place, &found.path, parent)?;
            }
            let given = if is_directory { Given::Directory } else { Given::File };
            self.add(place, &path, &given)?;
        }
        self.bind(Place::Host(from), Place::Root(path.clone()));
        self.tree.add(path.clone(), kind);
        self.injected.insert(path.clone());
        Ok(path)
    }

    /// Adds what fits of drivers.
    fn add_drivers(&mut self, fitted: &Fitted) -> Result<(), RanchError> {
        for mount in &fitted.mounts {
            self.show(mount).map_err(|error| error.wanted_by(&mount.wanted_by))?;
        }
        for link in &fitted.links {
            self.link(link).map_err(|error| error.wanted_by(&link.wanted_by))?;
        }
        match fitted.orders.folders.is_empty() {
            true => Ok(()),
            false => self.open(Path::new(ETC)),
        }
    }

    /// Whether `place` is in a directory of the machine that is seen as it is.
    fn is_lent(&self, place: &Path) -> bool {
        let first = place.components().find(|part| *part != Component::RootDir);
        first.is_some_and(|first| self.lent.iter().any(|name| first.as_os_str() == *name))
    }

    /// Shows something of a driver's in its place.
    fn show(&mut self, mount: &DriverMount) -> Result<(), RanchError> {
        let DriverMount { source, place, .. } = mount;
        let at = if self.is_lent(place) {
            match fs::canonicalize(place) {
                Ok(there) if there == *source => return Ok(()),
                Ok(there) if self.is_lent(&there) && there.is_dir() == source.is_dir() => {
                    let at = Place::Root(there.strip_prefix("/").unwrap_or(&there).to_owned());
                    self.bind(Place::Host(source.clone()), at.clone());
                    at
                }
                _ => {
                    let why = "the directory is this machine's, which has nothing there that it could stand for";
                    return Err(RanchError::place(place, why));
                }
            }
        } else {
            let found = self.tree.find(place)?;
            let same = Step::Bind {
                from: Place::Host(source.clone()),
                at: Place::Root(found.path.clone()),
            };
            // By another way to the same place.
            if found.missing.is_empty() && self.steps.contains(&same) {
                return Ok(());
            }
            Place::Root(self.inject(&Injection { source: source.clone(), place: place.clone() })?)
        };
        let wanted = mount.limits.flags();
        if !wanted.is_empty() {
            let unreadable = |error| RanchError::Source { path: source.clone(), source: error };
            let flags = wanted | namespaces::flags_of(source).map_err(unreadable)?;
            self.steps.push(Step::Restrict { at, flags });
        }
        Ok(())
    }

    /// What a link takes the place of: what is no directory, and not the same link.
    fn replaced_by(&self, link: &DriverLink, fitted: &Fitted) -> Option<PathBuf> {
        let found = self.tree.find(link.place.parent()?).ok()?;
        let path = found.path.join(link.place.file_name()?);
        let on_host = self.tree.on_host(&path);
        let there = fs::symlink_metadata(&on_host).ok()?;
        let is_same =
            there.is_symlink() && fs::read_link(&on_host).is_ok_and(|it| it == link.target);
        let is_shown = fitted.mounts.iter().any(|mount| mount.place == link.place);
        (found.missing.is_empty() && !there.is_dir() && !is_same && !is_shown).then_some(path)
    }

    /// Makes a link of a driver's, in place of a file or link that is there.
    fn link(&mut self, DriverLink { place, target, .. }: &DriverLink) -> Result<(), RanchError> {
        check(place)?;
        let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else { return Ok(()) };
        if self.is_lent(place) && fs::symlink_metadata(place).is_ok() {
            return Ok(());
        }
        let found = self.tree.find(parent)?;
        if found.kind == Kind::File {
            return Err(RanchError::place(
                place,
                format!("{} is no directory", shown(&found.path)),
            ));
        }
        let directory = found.path.join(found.missing.iter().collect::<PathBuf>());
        let path = directory.join(name);
        if self.injected.contains(&path) {
            return Ok(());
        }
        let on_host = self.tree.on_host(&path);
        match fs::symlink_metadata(&on_host).ok().filter(|_| found.missing.is_empty()) {
            Some(there) if there.is_dir() => {
                return Err(RanchError::place(place, "a link cannot take a directory's place"));
            }
            Some(_) if !self.replaced.contains(&path) => return Ok(()),
            _ => {}
        }
        self.make_anew(place, &found.path)?;
        self.make_way(place, &found.path, &directory)?;
        self.add(place, &path, &Given::Link(target.clone()))?;
        self.tree.add(path.clone(), Kind::File);
        self.injected.insert(path);
        Ok(())
    }

    /// Makes something new and empty at `path`: where its directory, which was made anew, really lies. What is
    /// below the root may belong to somebody who exchanges directories for links meanwhile; nothing is written there.
    fn add(&mut self, place: &Path, path: &Path, given: &Given) -> Result<(), RanchError> {
        let mut above = path.ancestors().skip(1);
        let own = above.find_map(|above| {
            Some((above.to_owned(), self.ranched.get(above)?, path.strip_prefix(above).ok()?))
        });
        let Some((above, own, below)) = own else {
            self.steps.push(given.step(Place::Root(path.to_owned())));
            return Ok(());
        };
        match self.tree.kept.get_mut(&above).map(|kept| kept.give(below, given, false)) {
            None => self.steps.push(given.step(own.join(below))),
            Some(Some(steps)) => self.steps.extend(steps),
            Some(None) => {
                let why = format!("an earlier run has kept something else at {}", shown(path));
                return Err(RanchError::place(place, why));
            }
        }
        Ok(())
    }

    /// Notes that what an earlier run made at `path` is used once more.
    fn use_again(&mut self, path: &Path) {
        let above = path.ancestors().skip(1).find(|above| self.tree.kept.contains_key(*above));
        let Some(above) = above.map(Path::to_owned) else { return };
        let place = path.strip_prefix(&above).unwrap_or(path);
        if let Some(kept) = self.tree.kept.get_mut(&above) {
            place.ancestors().for_each(|place| kept.use_again(place));
        }
    }

    /// All steps, with those that make what is kept a whole.
    fn close(mut self) -> Vec<Step> {
        let mut first = self.ways;
        for kept in self.tree.kept.values() {
            let (before, after) = kept.close();
            first.push(before);
            self.steps.extend(after);
        }
        first.append(&mut self.steps);
        first
    }

    /// Makes the directories that are missing from `above` down to `path`, `path` among them.
    fn make_way(&mut self, place: &Path, above: &Path, path: &Path) -> Result<(), RanchError> {
        let missing = path.strip_prefix(above).unwrap_or(path);
        let mut made = above.to_owned();
        for name in missing {
            made.push(name);
            if self.made.insert(made.clone()) {
                self.add(place, &made, &Given::Directory)?;
                self.tree.add(made.clone(), Kind::Directory);
            }
        }
        Ok(())
    }

    /// Makes the directory at `path` anew, unless that was done or it is new itself.
    fn make_anew(&mut self, place: &Path, path: &Path) -> Result<(), RanchError> {
        if let Some(injected) = self.injected.iter().find(|injected| path.starts_with(injected)) {
            let why = format!("what is injected at {} stays as it is", shown(injected));
            return Err(RanchError::place(place, why));
        }
        let is_own = self.tree.own(path).is_some();
        if is_own || self.made.contains(path) || self.ranched.contains_key(path) {
            return Ok(());
        }
        let first = path.components().next().map(Component::as_os_str);
        if KERNELS.into_iter().any(|name| first == Some(OsStr::new(name))) {
            let why = format!("{} is the kernel's", shown(path));
            return Err(RanchError::place(place, why));
        }
        let unreadable = |error: io::Error| {
            RanchError::place(place, format!("{} cannot be read: {error}", shown(path)))
        };
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.tree.on_host(path)).map_err(unreadable)? {
            entries.push(entry.map_err(unreadable)?);
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        let names: BTreeSet<_> = entries.iter().map(fs::DirEntry::file_name).collect();
        let mut kept = self.open_kept(place, path)?;
        let is_taken = |name: &str| {
            let name = OsStr::new(name);
            names.contains(name) || kept.as_ref().is_some_and(|kept| kept.has_own(name))
        };
        let aside = free_name(is_taken);
        let own = match &kept {
            Some(kept) => Place::Host(kept.here()),
            None => {
                let own = Place::Scratch(format!("{}", self.ranched.len() + 1).into());
                self.steps.push(Step::Directory(own.clone()));
                own
            }
        };
        let original = Place::Root(path.to_owned());
        self.give(&own, kept.as_mut(), OsStr::new(&aside), &Given::Directory, Some(&original));
        for entry in entries {
            let name = entry.file_name();
            if self.replaced.contains(&path.join(&name)) {
                continue;
            }
            let (given, is_shown) = given_back(&entry, &aside).map_err(unreadable)?;
            let entry = is_shown.then(|| original.join(&name));
            self.give(&own, kept.as_mut(), &name, &given, entry.as_ref());
        }
        self.bind(own.clone(), original);
        self.ranched.insert(path.to_owned(), own);
        self.tree.kept.extend(kept.map(|kept| (path.to_owned(), kept)));
        Ok(())
    }

    /// What is kept of the directory at `path`, if anything is to be.
    fn open_kept(&mut self, place: &Path, path: &Path) -> Result<Option<Kept>, RanchError> {
        let Some(keep) = &self.keep else { return Ok(None) };
        let (kept, ways) = Kept::open(keep, path).map_err(|error| {
            RanchError::place(place, format!("what is kept of it cannot be read: {error}"))
        })?;
        let is_new = |way: &Step| !self.ways.contains(way);
        let ways: Vec<Step> = ways.into_iter().filter(is_new).collect();
        self.ways.extend(ways);
        Ok(Some(kept))
    }

    /// Puts something called `name` into a directory that is made anew at `own`, and lets `shown` be seen there.
    fn give(
        &mut self,
        own: &Place,
        kept: Option<&mut Kept>,
        name: &OsStr,
        given: &Given,
        shown: Option<&Place>,
    ) {
        let at = own.join(name);
        match kept.map(|kept| kept.give(Path::new(name), given, true)) {
            None => self.steps.push(given.step(at.clone())),
            Some(Some(steps)) => self.steps.extend(steps),
            // The command has something else there.
            Some(None) => return,
        }
        if let Some(shown) = shown {
            self.bind(shown.clone(), at);
        }
    }
}
