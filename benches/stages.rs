//! The stages that take time, each alone: parsing metadata, resolving, decoding a package,
//! relocating a tree. `cargo bench`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a benchmark")]

#[allow(dead_code, reason = "the program that measures installs uses all of it")]
#[path = "../examples/bench/synthetic.rs"]
mod synthetic;

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use elsewhere::stages::decoding::Decoder;
use elsewhere::stages::model::{
    Arch, Checksum, Dist, FileKind, HostGives, Index, PackageReason, PlannedPackage, ReceiptFile,
    RelPath, Runtime, Source,
};
use elsewhere::stages::relocate::relocate;
use elsewhere::stages::repodata::primary::{Scope, parse};
use elsewhere::stages::repodata::repomd::{self, RepomdRecord};
use elsewhere::stages::report::Silent;
use elsewhere::stages::resolve::{Part, Target, Wanted, resolve};
use elsewhere::stages::trust::{Keyring, Policy, open, read_local};
use elsewhere::stages::unpack::{Claims, Destination, unpack};
use synthetic::{Mirror, Shape};

fn main() {
    divan::main();
}

static MIRROR: LazyLock<Mirror> = LazyLock::new(|| {
    let shape = Shape {
        packages: 20,
        largest: 16 << 20,
        other: 100 << 10,
        metadata: 60,
        arches: 1,
        compressor: "xz",
    };
    Mirror::build(&scratch("mirror"), shape)
});

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/stages").join(name)
}

fn repository(name: &str) -> PathBuf {
    MIRROR.root.join("bench.example").join(name).join("x86_64")
}

/// A repository's record of its primary.xml, and that.
fn primary(name: &str) -> (RepomdRecord, Vec<u8>) {
    let base = repository(name);
    let repomd = repomd::parse(&fs::read(base.join("repodata/repomd.xml")).unwrap()).unwrap();
    let bytes = fs::read(base.join(&repomd.primary.location)).unwrap();
    (repomd.primary, bytes)
}

fn index(name: &str) -> Index {
    let (record, bytes) = primary(name);
    let mut index = Index { repositories: vec![name.into()], ..Index::default() };
    let scope = Scope { arch: Arch::X86_64, repository: 0, only: &[], may_fetch: &|_| true };
    parse(&mut Decoder::here(), bytes.as_slice(), &record, &scope, &mut index).unwrap();
    index
}

#[divan::bench]
fn parse_primary(bencher: Bencher<'_, '_>) {
    let (record, bytes) = primary("base");
    bencher.counter(BytesCount::new(record.open_size.unwrap())).bench_local(|| {
        let mut index = Index::default();
        let scope = Scope { arch: Arch::X86_64, repository: 0, only: &[], may_fetch: &|_| true };
        parse(&mut Decoder::here(), bytes.as_slice(), &record, &scope, &mut index).unwrap();
        index
    });
}

#[divan::bench]
fn resolve_runtime(bencher: Bencher<'_, '_>) {
    let read = |path: &str| fs::read_to_string(MIRROR.repos.join(path)).unwrap();
    let runtime: Runtime = toml::from_str(&read("runtimes/bench-runtime.toml")).unwrap();
    let dist: Dist = toml::from_str(&read("dists/bench.toml")).unwrap();
    let mut all = Index::default();
    let mut sources = Vec::new();
    for name in ["extra", "apps", "base"] {
        all.append(index(name));
        sources.push(Source {
            id: name.into(),
            base: Vec::new(),
            metadata: None,
            keys: Vec::new(),
        });
    }
    let wanted = [Wanted { runtime: &runtime, version: None, local: false, part: Part::Whole }];
    let host = HostGives::default();
    bencher.bench_local(|| {
        let sources = sources.clone();
        let target =
            Target { arch: Arch::X86_64, dist: &dist, runtimes: &wanted, host: &host, sources };
        resolve(&all, &target).unwrap()
    });
}

#[divan::bench]
fn decode_package(bencher: Bencher<'_, '_>) {
    let bytes =
        fs::read(repository("extra").join("Packages/bench-runtime-1.0-1.x86_64.rpm")).unwrap();
    let local = read_local(bytes.as_slice(), "bench-runtime").unwrap();
    let planned = PlannedPackage {
        nevra: local.nevra,
        source: "extra".into(),
        location: String::new(),
        size: local.size,
        installed_size: 0,
        checksum: local.checksum,
        files: Vec::new(),
        reason: PackageReason { by: String::new(), needs: String::new() },
    };
    let mut keyring = Keyring::new();
    let key = fs::read(MIRROR.root.join("bench.example/key")).unwrap();
    let allowed = keyring.add_trusted(&key).unwrap();
    let place = scratch("tree");
    bencher.counter(BytesCount::of_slice(&bytes)).bench_local(|| {
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        let tree =
            cap_std::fs::Dir::open_ambient_dir(&place, cap_std::ambient_authority()).unwrap();
        let claims = Claims::new();
        let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
        let verified = open(Cursor::new(&bytes), &planned, &policy).unwrap();
        let destination = Destination { tree: &tree, claims: &claims };
        unpack(verified, &[], &destination, &Silent::default()).unwrap()
    });
}

/// Programs that need a library of the tree: copies of this one, and of its libgcc.
#[divan::bench]
fn relocate_tree(bencher: Bencher<'_, '_>) {
    let libraries = ["/lib64", "/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/x86_64-linux-gnu"];
    let library = libraries.iter().map(|path| Path::new(path).join("libgcc_s.so.1"));
    let Some(library) = library.into_iter().find(|path| path.is_file()) else { return };
    let program = fs::read("/proc/self/exe").unwrap();
    let place = scratch("relocate");
    bencher.counter(BytesCount::new(20 * program.len())).bench_local(|| {
        let _ = fs::remove_dir_all(&place);
        let mut files = vec![directory("bin"), directory("lib64")];
        fs::create_dir_all(place.join("bin")).unwrap();
        fs::create_dir_all(place.join("lib64")).unwrap();
        files.push(file(&place, "lib64/libgcc_s.so.1", &fs::read(&library).unwrap()));
        for number in 0..20 {
            files.push(file(&place, &format!("bin/program-{number}"), &program));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        black_box(relocate(&place, Arch::X86_64, &mut files, &[], &[], &Silent::default()).unwrap())
    });
}

fn directory(path: &str) -> ReceiptFile {
    let path = RelPath::new(path).unwrap();
    ReceiptFile { path, kind: FileKind::Directory, mode: 0o755, package: None, config: false }
}

fn file(place: &Path, path: &str, bytes: &[u8]) -> ReceiptFile {
    fs::write(place.join(path), bytes).unwrap();
    let (size, checksum) = (bytes.len() as u64, Checksum::of(bytes));
    let kind = FileKind::File { size, checksum, packaged: None };
    ReceiptFile {
        path: RelPath::new(path).unwrap(),
        kind,
        mode: 0o755,
        package: None,
        config: false,
    }
}
