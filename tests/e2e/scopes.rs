//! Symbols are looked up in the same libraries, in the same order, as where the packages were made.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::installed::{Traveller, mirror};
use crate::support::tools::{files_below, need, run, stdout};

/// The packages of this machine's architecture that the mirror has for el8, unpacked as they are.
fn unpacked(arch: &str, place: &Path) {
    let (rpm2cpio, busybox) = (need("rpm2cpio", "rpm"), need("busybox", "busybox"));
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.contains(".el8") && name.ends_with(&format!(".{arch}.rpm"))
    };
    let packages: Vec<PathBuf> = files_below(&mirror().root).into_iter().filter(is_one).collect();
    assert!(!packages.is_empty());
    fs::create_dir_all(place).unwrap();
    for package in packages {
        let mut archive =
            Command::new(&rpm2cpio).arg(&package).stdout(Stdio::piped()).spawn().unwrap();
        run(Command::new(&busybox)
            .args(["cpio", "-idmu"])
            .current_dir(place)
            .stdin(archive.stdout.take().unwrap()));
        // It may still have written what stands behind the archive's end, for nobody.
        archive.wait().unwrap();
    }
}

/// The programs below `tree` that the loader starts, by their names there.
fn programs(tree: &Path, arch: &str) -> BTreeMap<PathBuf, PathBuf> {
    let is_program = |path: &PathBuf| {
        fs::symlink_metadata(path).unwrap().is_file() && has_interpreter(&fs::read(path).unwrap())
    };
    let named = |path: PathBuf| (path.strip_prefix(tree).unwrap().to_owned(), path);
    let found: BTreeMap<PathBuf, PathBuf> =
        files_below(tree).into_iter().filter(is_program).map(named).collect();
    assert!(!found.is_empty(), "no programs for {arch}");
    found
}

/// Whether this is a 64-bit ELF file with a PT_INTERP: what the kernel starts with a loader.
fn has_interpreter(bytes: &[u8]) -> bool {
    const PT_INTERP: u64 = 3;
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let number = |at: usize, size: usize| {
        let bytes = &bytes[at..at + size];
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)) as usize
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|entry| number(table + entry * size, 4) as u64 == PT_INTERP)
}

/// The file names of the libraries that the loader gives `program`, in its order.
fn loaded(program: &Path, library_path: Option<&Path>) -> Vec<String> {
    let mut command = Command::new(program);
    command.env_clear().env("LD_TRACE_LOADED_OBJECTS", "1");
    if let Some(path) = library_path {
        command.env("LD_LIBRARY_PATH", path);
    }
    let told = stdout(&mut command);
    assert!(!told.contains("not found"), "{}: {told}", program.display());
    let name = |line: &str| {
        let path = line.split(" => ").next().unwrap().split(" (0x").next().unwrap().trim();
        path.rsplit('/').next().unwrap().to_owned()
    };
    told.lines().map(name).collect()
}

#[test]
fn libraries_are_looked_through_in_the_order_of_the_packages() {
    let traveller = Traveller::new("scopes");
    let arch = traveller.session.arch.as_str();
    let originals = traveller.session.work.join("originals");
    unpacked(arch, &originals);
    let tree = traveller.prefix.join(arch).canonicalize().unwrap();
    let (mut compared, mut changed) = (0, 0);
    for (name, path) in programs(&tree, arch) {
        let original = [Path::new("usr"), Path::new("")].map(|top| originals.join(top).join(&name));
        let Some(original) = original.iter().find(|path| path.is_file()) else { continue };
        let before = loaded(original, Some(&originals.join("usr/lib64")));
        let mut after = loaded(&path, None);
        // What glibc loads when a thread ends comes behind all others, where the tree brings it.
        if after.last().is_some_and(|last| last == "libgcc_s.so.1" && !before.contains(last)) {
            after.pop();
        }
        assert_eq!(after, before, "{}", name.display());
        compared += 1;
        changed += usize::from(fs::read(&path).unwrap() != fs::read(original).unwrap());
    }
    println!("{compared} programs, of which {changed} were made to name their libraries' places");
    assert!(changed >= 10, "{changed} of {compared}");
}
