//! Payloads of a package whose header is good: compressed or not, whole archives or junk. Only
//! what the header lists is written, and only with the content that it declares.

use std::collections::BTreeMap;
use std::fs;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elsewhere::stages::report::Silent;
use elsewhere::stages::trust::{Keyring, Policy, open};
use elsewhere::stages::unpack::{Claims, Destination, unpack};

use super::package::{assert_outside_is_untouched, files};
use super::rpms::{self, Entry, Package};
use super::scratch::Scratch;
use super::tagged;

/// What the first byte chooses from.
const COMPRESSORS: [&str; 6] = ["none", "gzip", "bzip2", "xz", "lzma", "zstd"];

pub(super) fn run(input: &[u8]) {
    let Some((kind, payload)) = input.split_first() else { return };
    let Some(compressor) = COMPRESSORS.get(usize::from(*kind)) else { return };
    let header = Package::new(files()).compressor(compressor).header();
    let bytes = rpms::assemble(&rpms::signature_header(&header, None), &header, payload);
    let planned = rpms::planned(Package::new(vec![]).nevra(), &bytes);
    let policy = Policy { keyring: &Keyring::new(), allowed: &[], allow_unsigned: true };
    let verified = open(bytes.as_slice(), &planned, &policy).unwrap();
    let scratch = Scratch::new();
    let tree = Dir::open_ambient_dir(scratch.directory("tree"), ambient_authority()).unwrap();
    let destination = Destination { tree: &tree, claims: &Claims::new() };
    let unpacked = unpack(verified, &[], &destination, &Silent::default());
    assert_outside_is_untouched(&scratch);
    let expected = expected();
    let found = scratch.listing("tree");
    for path in &found {
        let content = expected.get(path.as_str()).expect("something that the header does not list");
        let place = scratch.0.join("tree").join(path);
        match content {
            Some(content) => assert_eq!(&fs::read(place).unwrap(), content, "{path}"),
            None => assert!(!place.symlink_metadata().unwrap().is_file(), "{path}"),
        }
    }
    if unpacked.is_ok() {
        assert_eq!(found.len(), expected.len(), "{found:?}");
    }
}

/// Every path of the tree, with the content of files.
fn expected() -> BTreeMap<&'static str, Option<Vec<u8>>> {
    let file = |content: &[u8]| Some(content.to_vec());
    BTreeMap::from([
        ("bin", None),
        ("bin/fuzz", file(b"#!/bin/sh\n")),
        ("bin/fuzz-link", None),
        ("etc", None),
        ("etc/fuzz", None),
        ("etc/fuzz/fuzz.conf", file(b"key = value\n")),
        ("share", None),
        ("share/one", file(b"linked")),
        ("share/two", file(b"linked")),
    ])
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let stripped = rpms::stripped_cpio(&[
        (0, b""),
        (1, b"key = value\n"),
        (2, b"#!/bin/sh\n"),
        (3, b"../../etc/fuzz"),
        (4, b""),
        (5, b"linked"),
    ]);
    for (kind, compressor) in (0..).zip(COMPRESSORS) {
        let package = Package::new(files()).compressor(compressor);
        seeds.push(tagged(kind, package.payload()));
        seeds.push(tagged(kind, rpms::compress(compressor, &stripped)));
    }
    let mut linked: Vec<Entry> = files().iter().take(6).map(Entry::of).collect();
    linked[4] = linked[4].clone().without_data();
    seeds.push(tagged(0, rpms::cpio(&linked)));
    seeds
}
