//! A mirror in the shape of Enterprise Linux's, of any size: one big package, many small ones, and
//! metadata with as many packages more as are asked for. The bytes are this machine's own programs'.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use elsewhere::stages::model::{Arch, Evr};

use super::support::header::Relations;
use super::support::keys::TestKey;
use super::support::metadata::{self, Listing, Repodata, write};
use super::support::rpms::{File, Package, compress};
use super::support::world::{Dist, Repository};

/// What a mirror holds.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Packages that the runtime needs, itself included.
    pub(crate) packages: usize,
    /// Bytes of the runtime's own package, unpacked.
    pub(crate) largest: usize,
    /// Bytes of each other package, unpacked.
    pub(crate) other: usize,
    /// Megabytes of primary.xml, over three repositories.
    pub(crate) metadata: usize,
    /// How many architectures.
    pub(crate) arches: usize,
    /// By what payloads are packed.
    pub(crate) compressor: &'static str,
}

/// What was changed in a mirror since it was first made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// Nothing.
    First,
    /// One of the other packages has a file that is mended.
    Mended,
    /// The runtime has another version, with all of its package's files.
    Next,
}

/// A mirror on disk.
pub(crate) struct Mirror {
    pub(crate) root: PathBuf,
    pub(crate) repos: PathBuf,
    /// The payload of the largest package.
    pub(crate) payload: PathBuf,
}

const REPOSITORIES: [&str; 3] = ["extra", "apps", "base"];
const MADE: u64 = 1_700_000_000;

impl Mirror {
    /// Builds the mirror in `directory`.
    pub(crate) fn build(directory: &Path, shape: Shape) -> Self {
        Self::changed(directory, shape, &TestKey::new(), Since::First)
    }

    /// The same, whose owner has this key, with what was changed since.
    pub(crate) fn changed(directory: &Path, shape: Shape, key: &TestKey, since: Since) -> Self {
        let _ = fs::remove_dir_all(directory);
        let root = directory.join("mirror");
        let repos = directory.join("repos");
        write(&root.join("bench.example/key"), &key.public_file());
        let arches = &Arch::ALL[..shape.arches];
        write(&repos.join("dists/bench.toml"), dist(key, arches).as_bytes());
        write(&repos.join("runtimes/bench-runtime.toml"), RUNTIME.as_bytes());
        let payload = directory.join(format!("payload.{}", shape.compressor));
        let mut source = Programs::new();
        let made: Vec<(Package, Vec<u8>)> = (0..shape.packages)
            .map(|number| {
                let package = package(number, shape, since, &mut source);
                let bytes = package.payload();
                (package, bytes)
            })
            .collect();
        write(&payload, &made[0].1);
        for arch in arches {
            let mut texts = REPOSITORIES.map(|_| String::new());
            for (number, (package, payload)) in made.iter().enumerate() {
                let repository = number.min(1) + usize::from(number > 1 && number % 2 == 0);
                let bytes = signed(package, payload, *arch, key, shape.compressor);
                let Package { name, version, release, .. } = package;
                let location = format!("Packages/{name}-{version}-{release}.{arch}.rpm");
                let base = root.join(format!("bench.example/{}/{arch}", REPOSITORIES[repository]));
                write(&base.join(&location), &bytes);
                let needs = if number == 0 { shape.packages } else { 1 };
                let needs: Vec<String> = (1..needs).map(self::name).collect();
                let package = Package { arch: arch.as_str().into(), ..package.clone() };
                let listing = Listing::of(&package, &bytes, location).and("requires", &needs);
                texts[repository] += &listing.entry();
            }
            for (name, mut text) in REPOSITORIES.iter().zip(texts) {
                filler(&mut text, *arch, name, (shape.metadata << 20) / 3);
                let base = root.join(format!("bench.example/{name}/{arch}"));
                let primary = metadata::document(1, &text);
                let repodata = Repodata::new(MADE + since as u64).packed("gzip").by_digest();
                repodata.with("primary", primary).write(&base);
            }
        }
        Self { root, repos, payload }
    }
}

/// Bytes as programs have them.
struct Programs {
    files: Vec<PathBuf>,
    open: Option<fs::File>,
}

impl Programs {
    fn new() -> Self {
        let mut files: Vec<PathBuf> =
            ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib64"]
                .iter()
                .filter_map(|directory| fs::read_dir(directory).ok())
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.is_file() && !path.is_symlink())
                .collect();
        files.sort();
        Self { files, open: None }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let rest = (length - bytes.len()) as u64;
            let read = match &mut self.open {
                Some(file) => file.take(rest).read_to_end(&mut bytes).unwrap_or(0),
                None => 0,
            };
            if read == 0 {
                let Some(next) = self.files.pop() else {
                    // A small machine: the same again.
                    *self = Self::new();
                    continue;
                };
                self.open = fs::File::open(next).ok();
            }
        }
        bytes
    }
}

fn package(number: usize, shape: Shape, since: Since, source: &mut Programs) -> Package {
    let name = name(number);
    let size = if number == 0 { shape.largest } else { shape.other };
    let files = if number == 0 { 100 } else { 10 };
    let (is_mended, is_next) =
        (since != Since::First && number == 1, since == Since::Next && number == 0);
    // Not at the beginning of a file: nothing here is to be taken for a program.
    let mut data = |file| {
        let is_new = is_next || is_mended && file == 0;
        let first: &[u8] = if is_new { b"more\n" } else { b"data\n" };
        [first, &source.take(size / files)].concat()
    };
    let version = if is_next { "1.1" } else { "1.0" };
    let mut listed: Vec<File> = (0..files)
        .map(|file| File::regular(&format!("/usr/share/{name}/{file}"), &data(file)))
        .collect();
    if number == 0 {
        listed.insert(
            0,
            File::program(
                "/usr/bin/bench-runtime",
                format!("#!/bin/sh\necho bench-runtime {version}\n").as_bytes(),
            ),
        );
    }
    let package = Package::new(listed).named(&name).compressor(shape.compressor);
    let release = if is_mended { "2" } else { "1" };
    Package { version: version.into(), release: release.into(), ..package }
}

fn name(number: usize) -> String {
    if number == 0 { "bench-runtime".into() } else { format!("bench-part-{number}") }
}

fn signed(
    package: &Package,
    payload: &[u8],
    arch: Arch,
    key: &TestKey,
    compressor: &str,
) -> Vec<u8> {
    let mut package = package.clone();
    package.arch = arch.as_str().into();
    // The signature does not cover the payload: signed with an empty one, which then gives way.
    package.archive = Some(Vec::new());
    let mut bytes = package.signed(key);
    let empty = compress(compressor, &[]).len();
    bytes.truncate(bytes.len() - empty);
    bytes.extend_from_slice(payload);
    bytes
}

/// Packages that nobody needs, as real ones look, until there are so many bytes.
fn filler(text: &mut String, arch: Arch, repository: &str, bytes: usize) {
    let mut number = 0;
    while text.len() < bytes {
        number += 1;
        let name = format!("{repository}-library-{number}");
        let evr = Evr::parse(&format!("{}.{}-{}.el8", number % 9, number % 7, number % 5));
        let provides: Vec<String> =
            (0..8).map(|it| format!("lib{name}-{it}.so.1()(64bit) = 1.{it}-1.el8")).collect();
        let requires: Vec<String> = (0..12)
            .map(|it| {
                let other = (number * 7 + it * 13) % 997;
                format!("lib{repository}-library-{other}-{}.so.1()(64bit)", it % 8)
            })
            .collect();
        let listing = Listing {
            summary: format!("One of the libraries that {repository} has"),
            description: "It gives programs what they ask of it, and nothing else. ".repeat(4),
            size: 1000 + number,
            installed: 5000 + number,
            location: format!("Packages/{name}-{}-{}.{arch}.rpm", evr.version, evr.release),
            details: format!(
                "<rpm:license>MIT</rpm:license>\n<rpm:vendor>bench</rpm:vendor>\n\
                 <rpm:group>Unspecified</rpm:group>\n<rpm:buildhost>localhost</rpm:buildhost>\n\
                 <rpm:sourcerpm>{name}-1.src.rpm</rpm:sourcerpm>\n\
                 <rpm:header-range start=\"4504\" end=\"20000\"/>\n"
            ),
            relations: Relations::default().and("provides", &provides).and("requires", &requires),
            files: (0..2).map(|it| ("", format!("/usr/bin/{name}-{it}"))).collect(),
            ..Listing::new(&name, arch.as_str(), &evr)
        };
        text.push_str(&listing.entry());
    }
}

fn dist(key: &TestKey, arches: &[Arch]) -> String {
    let host = "https://bench.example";
    let repository = |id| Repository {
        id,
        base: format!("{host}/{id}/$basearch/"),
        arches,
        is_signed: false,
        keys: vec![(key, format!("{host}/key"))],
    };
    let repositories = REPOSITORIES.map(repository).into();
    Dist { name: "bench", glibc: "2.28", x86_64_level: 1, repositories }.text()
}

const RUNTIME: &str = "name = \"bench-runtime\"\ntitle = \"what is installed to measure\"\n\
package = \"bench-runtime\"\n\n[[command]]\nname = \"bench-runtime\"\npath = \"bin/bench-runtime\"\n\n\
[[smoke]]\npath = \"bin/bench-runtime\"\nexpect = \"bench-runtime {version}\"\n";
