//! Libraries of drivers: whose they are, and which C library they ask for.

use std::fs::File;
use std::path::Path;

use crate::elf::{Abi, Elf, Linkage, Reading};
use crate::model::{Arch, GlibcVersion};
use crate::owned::open_to_read;

/// Where libraries are seen that have no place of their own in an image.
pub(crate) const LIBRARIES: &str = "/.drivers/lib";

/// The symbol version by which a library asks for relative relocations, and the first glibc that has them.
const RELATIVE: (&str, GlibcVersion) = ("GLIBC_ABI_DT_RELR", GlibcVersion { major: 2, minor: 36 });

/// Whether a file of this name is a library.
pub(crate) fn is_library_name(name: &str) -> bool {
    name.ends_with(".so") || name.contains(".so.")
}

/// What a library at `path`, which has no symlinks in it, asks of the loader and gives; `None` where it is none of `arch`.
pub(crate) fn linkage(path: &Path, arch: Arch) -> Option<Linkage> {
    let file: File = open_to_read(path).ok()?;
    match Elf::read(&file, Abi::of(arch)) {
        Ok(Reading::Native(elf)) => Some(elf.linkage),
        _ => None,
    }
}

/// Whether the file at `path`, which has no symlinks in it, is a program or library of `arch`.
pub(crate) fn is_native(path: &Path, arch: Arch) -> bool {
    linkage(path, arch).is_some()
}

/// The newest glibc that a library asks for.
pub(crate) fn glibc_needed(linkage: &Linkage) -> Option<GlibcVersion> {
    let demands = linkage.required.iter().filter(|required| !required.weak);
    demands.filter_map(|required| version(&required.version)).max()
}

/// The version of glibc that the file at `path`, which has no symlinks in it, is: the newest that it has symbols of.
pub(crate) fn newest_glibc(path: &Path, arch: Arch) -> Option<GlibcVersion> {
    linkage(path, arch)?.provided.iter().filter_map(|name| version(name)).max()
}

fn version(name: &str) -> Option<GlibcVersion> {
    if name == RELATIVE.0 { Some(RELATIVE.1) } else { GlibcVersion::from_symbol_version(name) }
}
