//! Programs and libraries: relocated and audited in a small tree. Whatever a file says, the work
//! ends, the receipt tells the truth, and what was done needs not be done again.

use std::fs;

use elsewhere::stages::audit::audit;
use elsewhere::stages::model::{Arch, Checksum, FileKind, ReceiptFile, RelPath, Runtime};
use elsewhere::stages::relocate::{Relocated, relocate};
use elsewhere::stages::report::Silent;

use super::elf_seeds::Object;
use super::scratch::Scratch;
use super::tagged;

/// The files of the tree, each of which an input can be.
const PLACES: [&str; 3] = ["bin/p", "lib64/libx.so.1", "lib64/y/liby.so.1"];
/// Bits of the first byte, above the place's number: big-endian; started with a library path.
const BIG: u8 = 4;
const LAUNCHED: u8 = 8;

pub(super) fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    let Some(place) = PLACES.get(usize::from(kind & 3)).filter(|_| *kind < 16) else { return };
    let arch = if kind & BIG == 0 { Arch::X86_64 } else { Arch::S390x };
    let scratch = Scratch::new();
    for (path, object) in PLACES.iter().zip(objects(arch, true)) {
        scratch.write(path, &object.encode(), 0o755);
    }
    scratch.write(place, bytes, 0o755);
    let library_path = if kind & LAUNCHED == 0 { "" } else { "library_path = ['bin/p']\n" };
    let definition = format!(
        "name = 'r'\ntitle = 'r'\npackage = 'r'\n{library_path}[[command]]\nname = 'p'\npath = 'bin/p'\n"
    );
    let runtime: Runtime = toml::from_str(&definition).unwrap();
    let done = relocate_once(&scratch, arch, &runtime);
    let length = bytes.len() as u64;
    assert!(done.growth <= 8 * length + 16_384, "{length} bytes grew by {}", done.growth);
    if done.warnings.is_empty() && done.loading.aided.is_empty() {
        let again = relocate_once(&scratch, arch, &runtime);
        assert_eq!((again.rewritten, again.warnings), (0, vec![]), "not done at once");
    }
}

fn relocate_once(scratch: &Scratch, arch: Arch, runtime: &Runtime) -> Relocated {
    let mut files = list(scratch);
    let (host, silent) = (["libc.so.6".to_owned(), "ld-*".to_owned()], Silent::default());
    let done = relocate(&scratch.0, arch, &mut files, &[runtime], &host, &silent).unwrap();
    assert_eq!(bare(&files), list(scratch), "the list of files differs from the tree");
    audit(&scratch.0, arch, &files, &host, &done.loading, None).unwrap();
    done
}

/// The files of the tree, as a receipt lists them.
fn list(scratch: &Scratch) -> Vec<ReceiptFile> {
    let of = |inner: String| {
        let place = scratch.0.join(&inner);
        let (kind, mode) = match fs::read(&place) {
            Ok(bytes) => {
                let checksum = Checksum::of(&bytes);
                (FileKind::File { size: bytes.len() as u64, checksum, packaged: None }, 0o755)
            }
            Err(_) => (FileKind::Directory, 0o755),
        };
        ReceiptFile {
            path: RelPath::new(&inner).unwrap(),
            kind,
            mode,
            package: None,
            config: false,
        }
    };
    scratch.listing("").into_iter().map(of).collect()
}

/// What can be seen on disk.
fn bare(files: &[ReceiptFile]) -> Vec<ReceiptFile> {
    let mut files = files.to_vec();
    for file in &mut files {
        file.package = None;
        if let FileKind::File { packaged, .. } = &mut file.kind {
            *packaged = None;
        }
    }
    files.sort_by(|one, other| one.path.as_str().cmp(other.path.as_str()));
    files
}

/// What lies at [`PLACES`]: a program, the library that it needs, and one that this needs.
fn objects(arch: Arch, has_sections: bool) -> [Object; 3] {
    let library = |soname, needed, requires: &str, provides: &str| Object {
        arch,
        interpreter: None,
        soname: Some(soname),
        needed: vec![needed],
        runpath: None,
        requires: vec![requires.to_owned()],
        provides: vec![provides.to_owned()],
        has_sections,
    };
    let program = Object {
        arch,
        interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
        soname: None,
        needed: vec!["libx.so.1", "libc.so.6"],
        runpath: Some("/usr/lib64:$ORIGIN/../lib64/y"),
        requires: vec!["X_1".to_owned()],
        provides: vec![],
        has_sections,
    };
    [
        program,
        library("libx.so.1", "liby.so.1", "Y_1", "X_1"),
        library("liby.so.1", "libc.so.6", "GLIBC_2.28", "Y_1"),
    ]
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (arch, bits) in [(Arch::X86_64, 0), (Arch::X86_64, LAUNCHED), (Arch::S390x, BIG)] {
        for has_sections in [true, false] {
            for (place, object) in (0..).zip(objects(arch, has_sections)) {
                seeds.push(tagged(place | bits, object.encode()));
            }
        }
    }
    seeds
}
