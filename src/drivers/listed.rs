//! What a runtime's list names and this machine has: libraries by the loader's cache, programs by the search path, and
//! other files by their paths.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::library::{self, LIBRARIES};
use super::{DriverError, DriverMount, Drivers, LoaderCache, MountLimits, shown};
use crate::model::{Arch, DriverKind, is_among};
use crate::owned::open_to_read;

/// Larger than any list, in bytes: a bound.
const LARGEST: u64 = 1 << 20;

/// Where programs are seen.
const PROGRAMS: &str = "/usr/bin";

/// Where this machine has its libraries and programs.
#[derive(Clone, Debug)]
pub(crate) struct HostDrivers {
    /// The libraries that the machine's loader knows.
    pub(crate) cache: LoaderCache,
    /// Directories of programs.
    pub(crate) search_path: Vec<PathBuf>,
    /// The architecture of what is shown.
    pub(crate) arch: Arch,
}

impl HostDrivers {
    /// The libraries whose names begin with `name`, each once: name, real path and the first of its architecture.
    fn libraries(&self, name: &str) -> Vec<(String, PathBuf)> {
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        for (library, path) in &self.cache.libraries {
            let is_known = found.iter().any(|(known, _)| known == library);
            if is_known || !library.starts_with(name) {
                continue;
            }
            let Ok(path) = fs::canonicalize(path) else { continue };
            if library::is_native(&path, self.arch) {
                found.push((library.clone(), path));
            }
        }
        found
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        let is_program = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
        };
        self.search_path.iter().map(|directory| directory.join(name)).find(is_program)
    }
}

/// What the list at `path` names and this machine has, for hardware of `kind`.
///
/// # Errors
/// When the list cannot be read.
pub(crate) fn listed(
    path: &Path,
    kind: &DriverKind,
    host: &HostDrivers,
) -> Result<Drivers, DriverError> {
    let unreadable = |source| DriverError::Unreadable { path: path.to_owned(), source };
    // A link where its owner wants one.
    let real = fs::canonicalize(path).map_err(unreadable)?;
    let mut text = String::new();
    let file = open_to_read(&real).map_err(unreadable)?;
    file.take(LARGEST).read_to_string(&mut text).map_err(unreadable)?;
    let mut drivers = Drivers::default();
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let mut whole = Drivers::default();
        let mut add = |source: PathBuf, place: PathBuf| {
            let glibc = library::linkage(&source, host.arch);
            let glibc = glibc.as_ref().and_then(library::glibc_needed);
            let (limits, wanted_by) = (MountLimits::default(), shown(path));
            whole.mounts.push(DriverMount { source, place, limits, glibc, wanted_by });
        };
        let is_plain = Path::new(line).components().count() == 1;
        match line.starts_with('/') {
            true => match fs::canonicalize(line) {
                Ok(source) if super::cdi::is_place(Path::new(line)) => add(source, line.into()),
                _ => {}
            },
            false if line.contains(".so") => {
                let libraries = host.libraries(line).into_iter();
                libraries.for_each(|(name, path)| add(path, Path::new(LIBRARIES).join(name)));
            }
            false if is_plain => {
                let found = host.program(line).and_then(|path| fs::canonicalize(path).ok());
                found.into_iter().for_each(|path| add(path, Path::new(PROGRAMS).join(line)));
            }
            false => {}
        }
        drivers.add(whole);
    }
    if drivers.mounts.iter().any(|mount| mount.place.starts_with(LIBRARIES)) {
        drivers.folders.push(LIBRARIES.into());
    } else {
        let title = &kind.title;
        drivers.said.push(format!("this machine has no library of {title}'s drivers"));
    }
    drivers.mounts.extend(services(kind));
    Ok(drivers)
}

/// The device nodes and sockets of `kind`.
fn services(kind: &DriverKind) -> Vec<DriverMount> {
    let sockets = kind.sockets.iter().map(PathBuf::from).filter(|path| path.exists());
    let mount = |path: PathBuf| DriverMount {
        source: path.clone(),
        place: path,
        limits: MountLimits::default(),
        glibc: None,
        wanted_by: kind.title.clone(),
    };
    devices_of(Path::new("/"), kind).into_iter().chain(sockets).map(mount).collect()
}

/// The device nodes of `kind` on the machine whose root directory is `root`, as it calls them, sorted.
pub(crate) fn devices_of(root: &Path, kind: &DriverKind) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for glob in &kind.devices {
        let Some((directory, glob)) = glob.rsplit_once('/') else { continue };
        let entries = fs::read_dir(root.join(directory.trim_start_matches('/')));
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_directory = entry.file_type().is_ok_and(|it| it.is_dir());
            if !is_directory && is_among(&[glob.to_owned()], &name) {
                found.push(Path::new(directory).join(name));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}
