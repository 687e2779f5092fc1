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
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::error::RanchError;
use super::keeping::{Given, Kept};
use super::steps::{Place, ROOT, Step};
use super::walk::{Kind, Tree, shown};

/// What is to be seen where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Injection {
    /// A file or directory of this machine.
    pub(crate) source: PathBuf,
    /// Where it is seen, below the root.
    pub(crate) place: PathBuf,
}

/// What a command is to see as its root directory.
#[derive(Clone, Debug)]
pub(crate) struct Ranch {
    /// What is added.
    pub(crate) injections: Vec<Injection>,
    /// Directories below the root that can be written to.
    pub(crate) writable: Vec<PathBuf>,
    /// Where what is written is kept; else it is gone when the command has ended.
    pub(crate) keep: Option<PathBuf>,
    /// Whether the command is to be root there, and not its user.
    pub(crate) is_root: bool,
}

/// Directories of a machine that a root directory gets, where it has a place for them.
const HOSTS: [&str; 4] = ["dev", "proc", "sys", "tmp"];

/// What no ranch is made of: the kernel's own file systems.
const KERNELS: [&str; 3] = ["dev", "proc", "sys"];

/// What the original of a directory is called in its ranch, unless something there is called so.
const ASIDE: &str = ".ranch";

/// The steps by which the directory `root`, which stays as it is, becomes a ranch. All of them are known before
/// the first is taken. `place` is the directory's, where that is said otherwise than by its path.
///
/// # Errors
/// When the root or something that is to be injected cannot be read, or has no place.
pub(super) fn steps(
    ranch: &Ranch,
    root: &Path,
    place: Option<Place>,
) -> Result<Vec<Step>, RanchError> {
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
    };
    drawing.steps.push(Step::Directory(Place::Scratch(ROOT.into())));
    drawing.bind(place.unwrap_or(Place::Host(root)), Place::Root(PathBuf::new()));
    if !drawing.is_machines {
        drawing.give_hosts();
    }
    drawing.make_all_anew(ranch);
    ranch.writable.iter().try_for_each(|place| drawing.open(place))?;
    ranch.injections.iter().try_for_each(|injection| drawing.inject(injection))?;
    Ok(drawing.close())
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
            }
        }
    }

    /// Makes those directories anew that will have to be, the upper ones first: what is mounted in lower ones would
    /// else be mounted once more. What has no place is told when its turn comes.
    fn make_all_anew(&mut self, ranch: &Ranch) {
        let found = |place: &PathBuf| {
            let found = self.tree.find(place).ok().filter(|_| check(place).is_ok())?;
            let is_needed = !found.missing.is_empty() || ranch.writable.contains(place);
            (is_needed && found.kind == Kind::Directory).then_some(found.path)
        };
        let places = ranch.injections.iter().map(|injection| &injection.place);
        let paths: BTreeSet<PathBuf> = places.chain(&ranch.writable).filter_map(found).collect();
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
    fn inject(&mut self, injection: &Injection) -> Result<(), RanchError> {
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
            self.add(place, &path, kind)?;
        }
        self.bind(Place::Host(from), Place::Root(path.clone()));
        self.tree.add(path.clone(), kind);
        self.injected.insert(path);
        Ok(())
    }

    /// Makes something new and empty at `path`: where its directory, which was made anew, really lies. What is
    /// below the root may belong to somebody who exchanges directories for links meanwhile; nothing is written there.
    fn add(&mut self, place: &Path, path: &Path, kind: Kind) -> Result<(), RanchError> {
        let given = match kind {
            Kind::Directory => Given::Directory,
            Kind::File => Given::File,
        };
        let mut above = path.ancestors().skip(1);
        let own = above.find_map(|above| {
            Some((above.to_owned(), self.ranched.get(above)?, path.strip_prefix(above).ok()?))
        });
        let Some((above, own, below)) = own else {
            self.steps.push(given.step(Place::Root(path.to_owned())));
            return Ok(());
        };
        match self.tree.kept.get_mut(&above).map(|kept| kept.give(below, &given, false)) {
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
                self.add(place, &made, Kind::Directory)?;
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

/// As what an entry of a directory is given back in the one that takes its place, and whether the entry itself is
/// seen there.
fn given_back(entry: &fs::DirEntry, aside: &str) -> io::Result<(Given, bool)> {
    let name = entry.file_name();
    let metadata = entry.metadata()?;
    Ok(if metadata.is_symlink() {
        // Word for word: one that climbs would climb from another place.
        (Given::Link(fs::read_link(entry.path())?), false)
    } else if metadata.is_dir() {
        (Given::Directory, true)
    } else if metadata.is_file() && !is_program(&name, metadata.permissions().mode()) {
        (Given::Link(Path::new(aside).join(&name)), false)
    } else {
        (Given::File, true)
    })
}

/// Whether a file may be asked for its own path, and so must have it: a program. Libraries are executable too where
/// packagers want it, and nobody asks them.
fn is_program(name: &OsStr, mode: u32) -> bool {
    let name = name.to_string_lossy();
    let is_library = name.ends_with(".so") || name.contains(".so.");
    mode & 0o111 != 0 && !is_library
}

/// A name that nothing has.
fn free_name(is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (1..).map(|number| format!("{ASIDE}{number}"));
    let mut names = [ASIDE.to_owned()].into_iter().chain(numbered);
    names.find(|name| !is_taken(name)).unwrap_or_default()
}

/// Refuses what names no place of a root directory.
pub(super) fn check(place: &Path) -> Result<(), RanchError> {
    if !place.is_absolute() {
        return Err(RanchError::place(place, "it must begin with /"));
    }
    if place.components().any(|component| component == Component::ParentDir) {
        return Err(RanchError::place(place, "it must not contain `..`"));
    }
    if place == Path::new("/") {
        return Err(RanchError::place(place, "the root itself is what is shown"));
    }
    Ok(())
}
