//! GPUs and fabrics: device nodes, libraries of drivers, and CDI specifications.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::explain::at;
use super::{Observation, State, Subject};
use crate::drivers::cdi::Specifications;
use crate::drivers::{LoaderCache, devices_of, glibc_needed, linkage};
use crate::model::{Arch, DriverKind, GlibcVersion, escape, is_among};

/// Most devices of a kind, and of specifications, that are named.
const MOST_NAMED: usize = 4;

/// The check `drivers`. What is not there is no trouble: most machines have no such hardware.
pub(super) fn observe(subject: &Subject) -> Vec<Observation> {
    const CHECK: &str = "drivers";
    let cache = fs::canonicalize(at(&subject.root, "/etc/ld.so.cache"));
    let cache = cache.and_then(|path| LoaderCache::read(&path)).unwrap_or_default();
    let mut seen = Vec::new();
    let (mut missing, mut closed) = (Vec::new(), Vec::new());
    for kind in &subject.drivers {
        let devices = devices_of(&subject.root, kind);
        let libraries = libraries(kind, &cache, subject);
        if devices.is_empty() && libraries.is_empty() {
            seen.push(format!("no {} device", kind.title));
            continue;
        }
        if !devices.is_empty() && libraries.is_empty() {
            missing.push(kind.title.clone());
        }
        let is_closed = |path: &&PathBuf| {
            let path = at(&subject.root, &path.to_string_lossy());
            rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK).is_err()
        };
        closed.extend(devices.iter().find(is_closed).map(|path| shown(path)));
        seen.push(format!("{}: {}, {}", kind.title, named(&devices), driver(&libraries)));
    }
    let directories: Vec<PathBuf> =
        subject.cdi_directories.iter().map(|it| at(&subject.root, &it.to_string_lossy())).collect();
    let specifications = Specifications::of(&directories);
    let names: Vec<String> = specifications.devices().flat_map(|(_, names)| names).collect();
    seen.push(match names.is_empty() {
        true => format!("no CDI specification in {}", named_all(&subject.cdi_directories)),
        false => format!("CDI: {}", few(names)),
    });
    let unusable: Vec<String> = specifications.unusable.iter().map(|it| it.to_string()).collect();
    seen.extend(unusable.iter().cloned());
    let evidence = seen.join("; ");
    let limited = |cause| Observation::new(CHECK, State::Limited, evidence.clone()).because(cause);
    vec![if !unusable.is_empty() {
        limited("drivers-specification").with("which", unusable.join("; "))
    } else if let Some(closed) = closed.first() {
        limited("drivers-closed").with("which", closed)
    } else if !missing.is_empty() {
        limited("drivers-missing").with("which", missing.join(", "))
    } else {
        Observation::new(CHECK, State::Ok, evidence)
    }]
}

/// A library of a driver's: its name, and the glibc that it asks for.
type Asking = (String, Option<GlibcVersion>);

/// The libraries by which the driver of `kind` is known.
fn libraries(kind: &DriverKind, cache: &LoaderCache, subject: &Subject) -> Vec<Asking> {
    let asking = |(name, path): &(String, String), arch: Arch| {
        let path = fs::canonicalize(at(&subject.root, path)).ok()?;
        Some((name.clone(), glibc_needed(&linkage(&path, arch)?)))
    };
    let Some(arch) = subject.facts.arch else { return Vec::new() };
    let of_kind = cache.libraries.iter().filter(|(name, _)| is_among(&kind.libraries, name));
    of_kind.filter_map(|library| asking(library, arch)).collect()
}

fn driver(libraries: &[Asking]) -> String {
    if libraries.is_empty() {
        return "no library of its driver".to_owned();
    }
    let names = few(libraries.iter().map(|(name, _)| name.clone()).collect());
    match libraries.iter().filter_map(|(_, glibc)| *glibc).max() {
        Some(glibc) => format!("{names} for images with glibc {glibc} or newer"),
        None => names,
    }
}

fn named(devices: &[PathBuf]) -> String {
    match devices {
        [] => "no device node".to_owned(),
        devices => few(devices.iter().map(|path| shown(path)).collect()),
    }
}

fn few(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(MOST_NAMED);
    let mut first: Vec<String> =
        names.into_iter().take(MOST_NAMED).map(|it| escape(&it).into_owned()).collect();
    if more > 0 {
        first.push(format!("{more} more"));
    }
    first.join(", ")
}

fn named_all(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| shown(path)).collect::<Vec<_>>().join(" or ")
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}
