//! A directory in which what a command writes is kept, for the next run to see it again.
//!
//! # What is in it
//!
//! For each directory of the root that was made anew, `here` is what took its place, with everything that was given
//! back to it; `given` is the list of that, by which the next run tells it from what the command wrote: it gives
//! back what is new in the original, takes away what is not there any more, and leaves what the command has
//! replaced or removed as the command left it. `below` has the same for directories in it.
//!
//! The list is written before anything is made and once more when all is, so that of a run that was killed between
//! nothing is taken for the command's own will.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::RanchError;
use super::steps::{Place, Step};
use crate::owned::{OwnedError, Owners, open_to_read};
use crate::tools::files;

/// What lies in a directory of kept things.
const LOCK: &str = "lock";
const HERE: &str = "here";
const BELOW: &str = "below";
const LIST: &str = "given";

/// Larger than the list of any directory: a bound, in bytes.
const LIST_LIMIT: u64 = 1 << 28;

/// How lists begin: of a run that makes things, and of one that has made them.
const MAKING: &[u8] = b"1 making";
const MADE: &[u8] = b"1 made";

/// Holds the directory at `path`, which is made where it is not there, as long as the file lives that comes back.
///
/// # Errors
/// When others can write to it, another run has it, or it cannot be made.
pub(crate) fn hold(path: &Path) -> Result<File, RanchError> {
    let told = |error| RanchError::Keep(OwnedError::io(path)(error));
    files::make_directory(path, 0o700).map_err(told)?;
    let owners = Owners::default();
    owners.check_directory(&fs::canonicalize(path).map_err(told)?).map_err(RanchError::Keep)?;
    let lock = owners.open_or_make(&path.join(LOCK), 0o600).map_err(RanchError::Keep)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(RanchError::KeptBusy { path: path.to_owned() }),
        // Where there are no locks, nobody is told.
        _ => Ok(lock),
    }
}

/// Something that a ranch puts into a directory that it made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// This symlink.
    Link(PathBuf),
    /// An empty directory, for something to be mounted on.
    Directory,
    /// An empty file, for the same.
    File,
}

impl Given {
    /// The step that makes it.
    pub(super) fn step(&self, at: Place) -> Step {
        match self {
            Self::Link(target) => Step::Link { at, target: target.clone() },
            Self::Directory => Step::Directory(at),
            Self::File => Step::File(at),
        }
    }

    /// Whether this is what lies at `path`.
    fn is_at(&self, path: &Path, found: &Metadata) -> bool {
        match self {
            Self::Link(target) => {
                found.is_symlink() && fs::read_link(path).is_ok_and(|there| there == *target)
            }
            Self::Directory => found.is_dir(),
            Self::File => found.is_file() && found.len() == 0,
        }
    }
}

/// As what an entry of a directory is given back in the one that takes its place, and whether the entry itself is
/// seen there.
pub(super) fn given_back(entry: &fs::DirEntry, aside: &str) -> io::Result<(Given, bool)> {
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
pub(super) fn free_name(is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (1..).map(|number| format!("{ASIDE}{number}"));
    let mut names = [ASIDE.to_owned()].into_iter().chain(numbered);
    names.find(|name| !is_taken(name)).unwrap_or_default()
}

/// What the original of a directory is called in its ranch, unless something there is called so.
const ASIDE: &str = ".ranch";

/// What is known of a directory from earlier runs: places in it, and what was put there.
#[derive(Debug, Default, PartialEq, Eq)]
struct List {
    /// Whether the run that wrote it went on to the end.
    is_made: bool,
    given: BTreeMap<PathBuf, Given>,
    /// What the command has removed.
    removed: BTreeSet<PathBuf>,
}

/// One directory of which things are kept.
#[derive(Debug)]
pub(super) struct Kept {
    home: PathBuf,
    earlier: List,
    now: List,
    /// Names that are the original's.
    originals: BTreeSet<OsString>,
}

impl Kept {
    /// What `keep` has of the directory `path` of the root, and the steps that make a place for it.
    pub(super) fn open(keep: &Path, path: &Path) -> io::Result<(Self, Vec<Step>)> {
        let mut home = keep.to_owned();
        let mut ways = Vec::new();
        for name in path {
            for part in [OsStr::new(BELOW), name] {
                home.push(part);
                ways.push(home.clone());
            }
        }
        ways.push(home.join(HERE));
        let is_missing = |way: &PathBuf| fs::symlink_metadata(way).is_err();
        let make = |way: PathBuf| Step::Directory(Place::Host(way));
        let steps = ways.into_iter().filter(is_missing).map(make).collect();
        let earlier = match open_to_read(&home.join(LIST)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => List::default(),
            opened => List::read(opened?)?,
        };
        let (now, originals) = (List::default(), BTreeSet::new());
        Ok((Self { home, earlier, now, originals }, steps))
    }

    /// Where the directory lies that takes the original's place.
    pub(super) fn here(&self) -> PathBuf {
        self.home.join(HERE)
    }

    /// Whether the command has something called so that is not the original's.
    pub(super) fn has_own(&self, name: &OsStr) -> bool {
        let name = Path::new(name);
        !self.earlier.given.contains_key(name)
            && fs::symlink_metadata(self.here().join(name)).is_ok()
    }

    /// Where something in it lies that is not the original's, be it there or not: what the command wrote or
    /// removed, or what is added.
    pub(super) fn own(&self, place: &Path) -> Option<PathBuf> {
        let first = place.components().next()?;
        (!self.originals.contains(first.as_os_str())).then(|| self.here().join(place))
    }

    /// The steps by which `given` comes to be at `place`. `None` where the command wants something else there.
    pub(super) fn give(
        &mut self,
        place: &Path,
        given: &Given,
        is_original: bool,
    ) -> Option<Vec<Step>> {
        let path = self.here().join(place);
        let at = Place::Host(path.clone());
        let earlier = self.earlier.given.get(place);
        let is_removed = self.earlier.removed.contains(place);
        let steps = match fs::symlink_metadata(&path) {
            Err(_) => {
                let is_link = matches!(given, Given::Link(_));
                let is_gone = is_removed || earlier.is_some() && self.earlier.is_made;
                if is_original && is_link && is_gone {
                    self.now.removed.insert(place.to_owned());
                    return None;
                }
                vec![given.step(at)]
            }
            Ok(found)
                if given.is_at(&path, &found)
                    && (earlier.is_some()
                        || !is_original
                        || *given != Given::Directory
                        || is_empty(&path)) =>
            {
                Vec::new()
            }
            Ok(found) if earlier.is_some_and(|earlier| earlier.is_at(&path, &found)) => {
                vec![Step::Remove(at.clone()), given.step(at)]
            }
            Ok(_) => return None,
        };
        self.now.given.insert(place.to_owned(), given.clone());
        if is_original {
            self.originals.extend(place.components().next().map(|it| it.as_os_str().to_owned()));
        }
        Some(steps)
    }

    /// Notes that what lies at `place` is used as it was by an earlier run, where it is a run's.
    pub(super) fn use_again(&mut self, place: &Path) {
        if let Some(given) = self.earlier.given.get(place) {
            self.now.given.insert(place.to_owned(), given.clone());
        }
    }

    /// The step before anything is made, and those when all is.
    pub(super) fn close(&self) -> (Step, Vec<Step>) {
        let list =
            |is_made| Step::Write { at: self.home.join(LIST), text: self.now.write(is_made) };
        let is_gone = |place: &&PathBuf| !self.now.given.contains_key(*place);
        // What lies in a directory before the directory itself.
        let gone = self.earlier.given.iter().rev().filter(|(place, _)| is_gone(place));
        let here = self.here();
        let is_ours = |(place, given): &(&PathBuf, &Given)| {
            let path = here.join(place);
            fs::symlink_metadata(&path).is_ok_and(|found| given.is_at(&path, &found))
        };
        let remove = |(place, _): (&PathBuf, &Given)| Step::Remove(Place::Host(here.join(place)));
        let mut last: Vec<Step> = gone.filter(is_ours).map(remove).collect();
        last.push(list(true));
        // Until then everything is a run's that was one's before.
        let mut both = self.earlier.given.clone();
        for (place, given) in &self.now.given {
            both.entry(place.clone()).or_insert_with(|| given.clone());
        }
        let first = List { is_made: false, given: both, removed: self.now.removed.clone() };
        (Step::Write { at: self.home.join(LIST), text: first.write(false) }, last)
    }
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

impl List {
    /// Records that end with a zero: how it begins, and then a kind, a place, and of links the target.
    fn write(&self, is_made: bool) -> Vec<u8> {
        let mut text = if is_made { MADE } else { MAKING }.to_vec();
        let mut add = |kind: u8, place: &Path, target: &Path| {
            text.extend([0, kind]);
            text.extend(place.as_os_str().as_bytes());
            text.push(0);
            text.extend(target.as_os_str().as_bytes());
        };
        let nothing = Path::new("");
        for (place, given) in &self.given {
            match given {
                Given::Link(target) => add(b'l', place, target),
                Given::Directory => add(b'd', place, nothing),
                Given::File => add(b'f', place, nothing),
            }
        }
        self.removed.iter().for_each(|place| add(b'r', place, nothing));
        text
    }

    fn read(file: File) -> io::Result<Self> {
        let mut text = Vec::new();
        file.take(LIST_LIMIT).read_to_end(&mut text)?;
        let wrong =
            || io::Error::new(io::ErrorKind::InvalidData, "the list of what was given is damaged");
        let mut records = text.split(|&byte| byte == 0);
        let is_made = match records.next() {
            Some(MADE) => true,
            Some(MAKING) => false,
            _ => return Err(wrong()),
        };
        let mut list = Self { is_made, ..Self::default() };
        while let Some(record) = records.next() {
            let target = records.next().ok_or_else(wrong)?;
            let (&kind, place) = record.split_first().ok_or_else(wrong)?;
            let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
            let place = path(place);
            let is_plain = |part| matches!(part, std::path::Component::Normal(_));
            if place.as_os_str().is_empty() || !place.components().all(is_plain) {
                return Err(wrong());
            }
            let given = match kind {
                b'l' => Given::Link(path(target)),
                b'd' => Given::Directory,
                b'f' => Given::File,
                b'r' => {
                    list.removed.insert(place);
                    continue;
                }
                _ => return Err(wrong()),
            };
            list.given.insert(place, given);
        }
        Ok(list)
    }
}
