//! Package files: signed ones under a strict policy, unsigned ones where that is allowed, and
//! ones that the user named. No header passes but those that the trusted key has signed.

use std::sync::OnceLock;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elsewhere::stages::model::{Fingerprint, PlannedPackage};
use elsewhere::stages::report::Silent;
use elsewhere::stages::trust::{Keyring, Policy, open, read_local};
use elsewhere::stages::unpack::{Claims, Destination, unpack};

use super::keys::{KeyOptions, SignOptions, TestKey};
use super::rpms::{self, File, HeaderWriter, Package};
use super::scratch::Scratch;
use super::tagged;

const STRICT: u8 = 0;
const UNSIGNED: u8 = 1;
const LOCAL: u8 = 2;

struct Trusted {
    keyring: Keyring,
    allowed: Vec<Fingerprint>,
    /// The headers that the key has signed.
    headers: Vec<Vec<u8>>,
}

pub(super) fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    match *kind {
        STRICT => run_package(bytes, false),
        UNSIGNED => run_package(bytes, true),
        LOCAL => {
            let _ = read_local(bytes, "fuzz.rpm");
        }
        _ => {}
    }
}

fn run_package(bytes: &[u8], allow_unsigned: bool) {
    let trusted = trusted();
    let policy = Policy { keyring: &trusted.keyring, allowed: &trusted.allowed, allow_unsigned };
    let planned: PlannedPackage = rpms::planned(Package::new(vec![]).nevra(), bytes);
    let Ok(verified) = open(bytes, &planned, &policy) else { return };
    if !allow_unsigned {
        let [_, header, payload] = rpms::parts(bytes);
        let header = &bytes[header..payload];
        assert!(trusted.headers.iter().any(|known| known == header), "a forged header passes");
    }
    let scratch = Scratch::new();
    let tree = Dir::open_ambient_dir(scratch.directory("tree"), ambient_authority()).unwrap();
    let destination = Destination { tree: &tree, claims: &Claims::new() };
    let unpacked = unpack(verified, &[], &destination, &Silent::default());
    assert_outside_is_untouched(&scratch);
    if let Ok(unpacked) = unpacked {
        let paths: Vec<&str> = unpacked.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(sorted(&paths), scratch.listing("tree"), "the receipt is not what is there");
    }
}

fn sorted(paths: &[&str]) -> Vec<String> {
    let mut paths: Vec<String> = paths.iter().map(|path| path.to_string()).collect();
    paths.sort();
    paths
}

/// The tree lies alone in its directory.
pub(super) fn assert_outside_is_untouched(scratch: &Scratch) {
    let mut outside = scratch.listing("");
    outside.retain(|path| path != "tree" && !path.starts_with("tree/"));
    assert!(outside.is_empty(), "outside the tree: {outside:?}");
}

fn trusted() -> &'static Trusted {
    static TRUSTED: OnceLock<Trusted> = OnceLock::new();
    TRUSTED.get_or_init(|| {
        let mut keyring = Keyring::new();
        let allowed = keyring.add_trusted(&key().public_file()).unwrap();
        let headers = packages().iter().map(Package::header).collect();
        Trusted { keyring, allowed, headers }
    })
}

fn key() -> TestKey {
    TestKey::seeded(1, &KeyOptions::default())
}

/// Files of every kind.
pub(super) fn files() -> Vec<File> {
    vec![
        File::directory("/etc/fuzz"),
        File::regular("/etc/fuzz/fuzz.conf", b"key = value\n").flags(1 << 4 | 1),
        File::program("/usr/bin/fuzz", b"#!/bin/sh\n"),
        File::symlink("/usr/bin/fuzz-link", "../../etc/fuzz"),
        File::regular("/usr/share/one", b"linked").inode(7),
        File::regular("/usr/share/two", b"linked").inode(7),
        File::regular("/usr/share/ghost", b"").flags(1 << 6),
    ]
}

fn packages() -> Vec<Package> {
    let compressors = ["none", "gzip", "bzip2", "xz", "lzma", "zstd"];
    compressors.map(|compressor| Package::new(files()).compressor(compressor)).to_vec()
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let key = key();
    let mut seeds = Vec::new();
    for package in packages() {
        let bytes = package.signed(&key);
        seeds.extend([STRICT, LOCAL].map(|kind| tagged(kind, &bytes)));
        seeds.push(tagged(UNSIGNED, without_digest(&package)));
    }
    let way = SignOptions { version: 3, ..SignOptions::default() };
    seeds.push(tagged(STRICT, packages()[0].signed_so(&key, &way)));
    seeds.push(tagged(UNSIGNED, packages()[0].unsigned()));
    seeds.push(tagged(LOCAL, with_relations()));
    seeds
}

/// The package without signature, and without a digest of its header: whatever becomes of that,
/// it is read.
fn without_digest(package: &Package) -> Vec<u8> {
    let signatures = HeaderWriter::default().u32s(1000, &[0]).finish();
    rpms::assemble(&signatures, &package.header(), &package.payload())
}

/// A package that requires, provides and so on.
fn with_relations() -> Vec<u8> {
    let mut header = HeaderWriter::default();
    for (tag, text) in [(1000, "a"), (1001, "1"), (1002, "1"), (1014, "MIT"), (1022, "noarch")] {
        header.string(tag, text);
    }
    let texts = |texts: [&str; 2]| texts.map(|text| text.as_bytes().to_vec());
    for [names, flags, versions] in
        [[1047, 1112, 1113], [1049, 1048, 1050], [1054, 1053, 1055], [1090, 1114, 1115]]
    {
        header.strings(names, &texts(["b", "rpmlib(x)"])).u32s(flags, &[8, 10]);
        header.strings(versions, &texts(["1:2-3", ""]));
    }
    let signatures = HeaderWriter::default().u32s(1000, &[0]).finish();
    rpms::assemble(&signatures, &header.finish(), b"")
}
