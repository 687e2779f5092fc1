//! CDI, the Container Device Interface: specifications in which vendors say what containers need of their devices
//! (cncf-tags/container-device-interface, `SPEC.md`, 1.1.0).
//!
//! 1. [`Specifications`] are those of some directories, each read into a [`spec::Specification`].
//! 2. A word of the user's chooses devices of them, or of a file that it names.
//! 3. [`edits`] makes [`Drivers`] of what these ask for, and [`hooks`] of the hooks among that.

mod edits;
mod fields;
mod hooks;
mod kinds;
mod spec;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{DriverError, Drivers, shown};
use crate::model::Arch;
use crate::owned::open_to_read;
pub(crate) use kinds::is_place;

use kinds::ALL;
use spec::Specification;

/// Larger than any specification, in bytes: a bound.
const LARGEST: u64 = 4 << 20;

/// Most specifications of a directory.
const MOST: usize = 1000;

/// The endings of their names.
const ENDINGS: [&str; 3] = ["json", "yaml", "yml"];

/// The specifications of some directories.
#[derive(Debug, Default)]
pub(crate) struct Specifications {
    /// Each with the number of its directory: later ones count more.
    found: Vec<(usize, Specification)>,
    /// The files that are none, and why.
    pub(crate) unusable: Vec<DriverError>,
    directories: Vec<PathBuf>,
}

/// What a word of the user's means.
enum Choice {
    File(PathBuf, Option<String>),
    Kind(String, Option<String>),
}

impl Specifications {
    /// Those in `directories`, of which later ones count more. What is not there has none.
    pub(crate) fn of(directories: &[PathBuf]) -> Self {
        let mut all = Self { directories: directories.to_vec(), ..Self::default() };
        for (number, directory) in directories.iter().enumerate() {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            files.retain(|path| has_ending(path));
            files.sort();
            for path in files.into_iter().take(MOST) {
                match read(&path) {
                    Ok(specification) => all.found.push((number, specification)),
                    Err(error) => all.unusable.push(error),
                }
            }
        }
        all
    }

    /// The files and the whole names of their devices.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (&Path, Vec<String>)> {
        self.found.iter().map(|(_, it)| (it.file.as_path(), it.names()))
    }

    /// What the devices that `words` name ask for, on a machine of `arch`.
    ///
    /// # Errors
    /// When a word names none, or what a device asks for makes no sense or is not on this machine.
    pub(crate) fn drivers(
        &self,
        words: &[String],
        arch: Option<Arch>,
    ) -> Result<Drivers, DriverError> {
        let mut chosen = Chosen { arch, drivers: Drivers::default(), begun: BTreeSet::new() };
        for word in words {
            match choice(word)? {
                Choice::File(path, device) => {
                    let path = fs::canonicalize(&path)
                        .map_err(|source| DriverError::Unreadable { path, source })?;
                    let specification = read(&path)?;
                    let names = specification.meant(device.as_deref());
                    if names.is_empty() {
                        return Err(unknown(word, specification.names()));
                    }
                    names.iter().try_for_each(|name| chosen.add(&specification, name))?;
                }
                Choice::Kind(kind, device) => self.choose(&kind, device.as_deref(), &mut chosen)?,
            }
        }
        let mut drivers = chosen.drivers;
        edits::add_sonames(&mut drivers, arch);
        Ok(drivers)
    }

    /// Adds devices of `kind`.
    fn choose(
        &self,
        kind: &str,
        device: Option<&str>,
        chosen: &mut Chosen,
    ) -> Result<(), DriverError> {
        let of_kind: Vec<_> = self.found.iter().filter(|(_, it)| it.kind == kind).collect();
        let has = |name: &str| of_kind.iter().any(|(_, it)| it.device(name).is_some());
        let names: BTreeSet<&str> = match device.unwrap_or(ALL) {
            ALL if !has(ALL) => of_kind
                .iter()
                .flat_map(|(_, it)| it.devices.iter().map(|it| it.name.as_str()))
                .collect(),
            name if has(name) => [name].into(),
            _ => BTreeSet::new(),
        };
        if names.is_empty() {
            let word = device.map_or_else(|| kind.to_owned(), |device| format!("{kind}={device}"));
            return Err(self.nothing(&word));
        }
        for name in names {
            let mut holders: Vec<_> =
                of_kind.iter().filter(|(_, it)| it.device(name).is_some()).collect();
            holders.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
            if let [(first, one), (second, other), ..] = holders.as_slice()
                && first == second
            {
                return Err(DriverError::Disputed {
                    wanted: format!("{kind}={name}"),
                    first: one.file.as_path().into(),
                    second: other.file.as_path().into(),
                });
            }
            let holder = holders.first().map(|(_, specification)| specification);
            holder.map_or(Ok(()), |specification| chosen.add(specification, name))?;
        }
        Ok(())
    }

    fn nothing(&self, word: &str) -> DriverError {
        let mut names: Vec<String> = self.devices().flat_map(|(_, names)| names).collect();
        names.sort();
        names.dedup();
        let mut error = unknown(word, names);
        if let DriverError::Unknown { known, .. } = &mut error {
            let directories: Vec<_> = self.directories.iter().map(|it| shown(it)).collect();
            known.push_str(&format!(" (in {})", directories.join(", ")));
            for unusable in &self.unusable {
                known.push_str(&format!("; {unusable}"));
            }
        }
        error
    }
}

fn unknown(word: &str, names: Vec<String>) -> DriverError {
    let known = match names.is_empty() {
        true => "there are none".to_owned(),
        false => format!("there are {}", names.join(", ")),
    };
    DriverError::Unknown { wanted: crate::model::escape(word).into_owned(), known }
}

/// What was chosen so far.
struct Chosen {
    arch: Option<Arch>,
    drivers: Drivers,
    /// The files of which something was.
    begun: BTreeSet<PathBuf>,
}

impl Chosen {
    fn add(&mut self, specification: &Specification, name: &str) -> Result<(), DriverError> {
        let mut wanted = Vec::new();
        // What all of its devices ask for, once.
        if self.begun.insert(specification.file.clone()) {
            self.drivers.said.extend(specification.said.iter().cloned());
            wanted.push(&specification.edits);
        }
        wanted.extend(specification.device(name).map(|device| &device.edits));
        for wanted in wanted {
            self.drivers.add(edits::drivers(&specification.file, wanted, self.arch)?);
        }
        Ok(())
    }
}

/// What a word means: a path begins with `/` or `.` or ends as specifications do.
fn choice(word: &str) -> Result<Choice, DriverError> {
    // A path may have `=` in it, a device's name not.
    let (front, device) = match word.rsplit_once('=') {
        Some((front, device)) if !device.contains('/') => (front, Some(device.to_owned())),
        _ => (word, None),
    };
    let path = Path::new(front);
    if front.starts_with(['/', '.']) || has_ending(path) {
        return Ok(Choice::File(path.to_owned(), device));
    }
    match kinds::kind_problem(front) {
        None => Ok(Choice::Kind(front.to_owned(), device)),
        Some(_) => Err(DriverError::Word { word: word.to_owned() }),
    }
}

/// Whether a word names a file, and not a kind of devices; the latter as the kind and the device.
pub(crate) fn named_kind(word: &str) -> Option<(String, String)> {
    match choice(word).ok()? {
        Choice::File(..) => None,
        Choice::Kind(kind, device) => Some((kind, device.unwrap_or_else(|| ALL.to_owned()))),
    }
}

fn has_ending(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

fn read(path: &Path) -> Result<Specification, DriverError> {
    let unreadable = |source| DriverError::Unreadable { path: path.to_owned(), source };
    let real = fs::canonicalize(path).map_err(unreadable)?;
    let mut text = String::new();
    let mut file = open_to_read(&real).map_err(unreadable)?.take(LARGEST + 1);
    file.read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LARGEST {
        let (file, why) = (path.to_owned(), format!("it is larger than {LARGEST} bytes"));
        return Err(DriverError::Malformed { file, why });
    }
    Specification::read(path, &text)
}
