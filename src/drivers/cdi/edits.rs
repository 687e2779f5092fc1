//! What a specification asks for, held against this machine: every path that it names is looked at.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::super::library::{glibc_needed, is_library_name, linkage};
use super::super::{DriverError, DriverLink, DriverMount, Drivers, MountLimits, shown};
use super::fields::malformed;
use super::hooks::{Deed, deed};
use super::spec::{CdiEdits, CdiMount, CdiNode};
use crate::model::Arch;

/// What `edits` of the specification `file` ask for.
pub(super) fn drivers(
    file: &Path,
    edits: &CdiEdits,
    arch: Option<Arch>,
) -> Result<Drivers, DriverError> {
    let mut drivers = Drivers { environment: edits.environment.clone(), ..Drivers::default() };
    let said = |what: &str| format!("{}: {what}", file.display());
    for node in &edits.nodes {
        let mount = device(file, node)?;
        drivers.add(Drivers { mounts: vec![mount], ..Drivers::default() });
    }
    for CdiMount { place, source, limits, stands } in &edits.mounts {
        let (place, limits) = (place.clone(), *limits);
        let source = there(file, source, stands)?;
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        let library =
            arch.filter(|_| is_library_name(&name)).and_then(|arch| linkage(&source, arch));
        let glibc = library.as_ref().and_then(glibc_needed);
        let wanted_by = format!("{}: {stands}", file.display());
        let mount = DriverMount { source, place, limits, glibc, wanted_by };
        drivers.add(Drivers { mounts: vec![mount], ..Drivers::default() });
    }
    for hook in &edits.hooks {
        match deed(file, hook)? {
            Deed::Links(links) => drivers.add(Drivers { links, ..Drivers::default() }),
            Deed::Folders(folders) => drivers.add(Drivers { folders, ..Drivers::default() }),
            Deed::Newer(newer) => drivers.newer.push(newer),
            Deed::Nothing => {}
            Deed::Unknown(name) => {
                drivers.said.push(said(&format!(
                    "{}, the hook `{name}`, is not known here, and not run",
                    hook.stands
                )));
            }
        }
    }
    drivers.said.extend(edits.others.iter().map(|other| said(other)));
    Ok(drivers)
}

/// The path without symlinks of what a specification names.
fn there(file: &Path, source: &Path, stands: &str) -> Result<std::path::PathBuf, DriverError> {
    fs::canonicalize(source).map_err(|error| DriverError::Missing {
        file: file.to_owned(),
        field: stands.to_owned(),
        path: source.into(),
        source: error,
    })
}

/// The machine's own device node, because a user can make none.
fn device(file: &Path, node: &CdiNode) -> Result<DriverMount, DriverError> {
    let source = there(file, &node.source, &node.stands)?;
    let odd =
        |why: String| malformed(file, format!("{} names {}, {why}", node.stands, shown(&source)));
    let found = fs::metadata(&source)
        .map_err(|error| DriverError::Unreadable { path: source.clone(), source: error })?;
    let kind = found.file_type();
    let kind = match () {
        () if kind.is_char_device() => "c",
        () if kind.is_block_device() => "b",
        () if kind.is_fifo() => "p",
        () => return Err(odd("which is no device node".to_owned())),
    };
    // Unbuffered is how a character device is called, too.
    let wanted = node.kind.as_deref().map(|kind| if kind == "u" { "c" } else { kind });
    if let Some(wanted) = wanted.filter(|wanted| *wanted != kind) {
        return Err(odd(format!("which is of type {kind:?}, and not {wanted:?}")));
    }
    let (major, minor) = (rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev()));
    let differs = |wanted: Option<u32>, found| wanted.is_some_and(|wanted| wanted != found);
    // Zeros stand for what is not said.
    let is_said = node.major.is_some_and(|it| it > 0) || node.minor.is_some_and(|it| it > 0);
    if is_said && kind != "p" && (differs(node.major, major) || differs(node.minor, minor)) {
        return Err(odd(format!(
            "which is {major}:{minor} here: the specification is older than the devices"
        )));
    }
    let (place, limits) = (node.place.clone(), MountLimits::default());
    let wanted_by = format!("{}: {}", file.display(), node.stands);
    Ok(DriverMount { source, place, limits, glibc: None, wanted_by })
}

/// Gives the libraries in directories that the loader is to search the names by which programs ask for them, as
/// ldconfig(8) does where it may.
pub(super) fn add_sonames(drivers: &mut Drivers, arch: Option<Arch>) {
    let Some(arch) = arch else { return };
    let mut links = Vec::new();
    for mount in &drivers.mounts {
        let (Some(directory), Some(name)) = (mount.place.parent(), mount.place.file_name()) else {
            continue;
        };
        let is_searched = drivers.folders.iter().any(|folder| folder == directory);
        if !is_searched || !is_library_name(&name.to_string_lossy()) {
            continue;
        }
        let soname = linkage(&mount.source, arch).and_then(|linkage| linkage.soname);
        let Some(soname) = soname.filter(|it| !it.is_empty() && !it.contains('/') && it != "..")
        else {
            continue;
        };
        let place = directory.join(&soname);
        let is_taken = soname.as_str() == name
            || drivers.mounts.iter().any(|other| other.place == place)
            || drivers.links.iter().any(|other| other.place == place);
        if !is_taken {
            links.push(DriverLink {
                place,
                target: name.into(),
                wanted_by: mount.wanted_by.clone(),
            });
        }
    }
    drivers.add(Drivers { links, ..Drivers::default() });
}
