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
    /// Directories below the root that can be written to. What is written is gone when the command has ended.
    pub(crate) writable: Vec<PathBuf>,
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
    Ok(drawing.steps)
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
    steps: Vec<Step>,
    /// Directories that were made anew, and where in the scratch directory.
    ranched: BTreeMap<PathBuf, PathBuf>,
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
        self.make_way(&found.path, &path);
        Ok(())
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
            match (found.kind, kind) {
                (Kind::Directory, Kind::File) => {
                    return Err(RanchError::place(place, "a file cannot take a directory's place"));
                }
                (Kind::File, Kind::Directory) => {
                    return Err(RanchError::place(place, "a directory cannot take a file's place"));
                }
                _ => {}
            }
        } else {
            self.make_anew(place, &found.path)?;
            if let Some(parent) = path.parent() {
                self.make_way(&found.path, parent);
            }
            let own = self.own(&path);
            self.steps.push(match kind {
                Kind::Directory => Step::Directory(own),
                Kind::File => Step::File(own),
            });
        }
        self.bind(Place::Host(from), Place::Root(path.clone()));
        self.tree.add(path.clone(), kind);
        self.injected.insert(path);
        Ok(())
    }

    /// Where something new at `path` is made: where its directory, which was made anew, really lies. What is below
    /// the root may belong to somebody who exchanges directories for links meanwhile; nothing is written there.
    fn own(&self, path: &Path) -> Place {
        let mut above = path.ancestors().skip(1);
        let own = above.find_map(|above| {
            let own = self.ranched.get(above)?;
            Some(own.join(path.strip_prefix(above).ok()?))
        });
        own.map_or_else(|| Place::Root(path.to_owned()), Place::Scratch)
    }

    /// Makes the directories that are missing from `above` down to `path`, `path` among them.
    fn make_way(&mut self, above: &Path, path: &Path) {
        let Ok(missing) = path.strip_prefix(above) else { return };
        let mut made = above.to_owned();
        for name in missing {
            made.push(name);
            if self.made.insert(made.clone()) {
                self.steps.push(Step::Directory(self.own(&made)));
                self.tree.add(made.clone(), Kind::Directory);
            }
        }
    }

    /// Makes the directory at `path` anew, unless that was done or it is new itself.
    fn make_anew(&mut self, place: &Path, path: &Path) -> Result<(), RanchError> {
        if let Some(injected) = self.injected.iter().find(|injected| path.starts_with(injected)) {
            let why = format!("what is injected at {} stays as it is", shown(injected));
            return Err(RanchError::place(place, why));
        }
        if self.made.contains(path) || self.ranched.contains_key(path) {
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
        let aside = free_name(|name| names.contains(OsStr::new(name)));
        let own = PathBuf::from(format!("{}", self.ranched.len() + 1));
        self.steps.push(Step::Directory(Place::Scratch(own.clone())));
        self.steps.push(Step::Directory(Place::Scratch(own.join(&aside))));
        self.bind(Place::Root(path.to_owned()), Place::Scratch(own.join(&aside)));
        for entry in entries {
            self.give_back(path, &own, &aside, &entry).map_err(unreadable)?;
        }
        self.bind(Place::Scratch(own.clone()), Place::Root(path.to_owned()));
        self.ranched.insert(path.to_owned(), own);
        Ok(())
    }

    /// Lets an entry of the directory at `path` be seen in the one that takes its place.
    fn give_back(
        &mut self,
        path: &Path,
        own: &Path,
        aside: &str,
        entry: &fs::DirEntry,
    ) -> io::Result<()> {
        let name = entry.file_name();
        let at = Place::Scratch(own.join(&name));
        let metadata = entry.metadata()?;
        let original = Place::Root(path.join(&name));
        if metadata.is_symlink() {
            // Word for word: one that climbs would climb from another place.
            let target = fs::read_link(entry.path())?;
            self.steps.push(Step::Link { at, target });
        } else if metadata.is_dir() {
            self.steps.push(Step::Directory(at.clone()));
            self.bind(original, at);
        } else if metadata.is_file() && !is_program(&name, metadata.permissions().mode()) {
            self.steps.push(Step::Link { at, target: Path::new(aside).join(&name) });
        } else {
            self.steps.push(Step::File(at.clone()));
            self.bind(original, at);
        }
        Ok(())
    }
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
fn check(place: &Path) -> Result<(), RanchError> {
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
