//! Real packages and keys of distributions, where a directory of them lies beside the repository:
//! all verify and unpack, and none does once a bit of it is changed. Without the directory there
//! is nothing to do, and that is said.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use elsewhere::stages::catalog::Catalog;
use elsewhere::stages::model::{Checksum, FileKind, Fingerprint, KeyPin};
use elsewhere::stages::report::Silent;
use elsewhere::stages::trust::{Keyring, Policy, TrustError, open, read_local};
use elsewhere::stages::unpack::{Claims, Destination, UnpackError, Unpacked, unpack};

use support::jail::Jail;
use support::rpms;
use support::tools::missing;

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_in(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Unpacks `bytes` as the package that `original` is. The plan's digest is that of `planned`.
fn install(
    bytes: &[u8],
    original: &[u8],
    planned: &[u8],
    keyring: &Keyring,
    allowed: &[Fingerprint],
    scratch: &Jail,
) -> Result<Unpacked, UnpackError> {
    let nevra = read_local(original, "original").unwrap().nevra;
    let policy = Policy { keyring, allowed, allow_unsigned: false };
    let verified = open(bytes, &rpms::planned(nevra, planned), &policy)?;
    let (tree, claims) = (scratch.dir(), Claims::new());
    unpack(verified, &[], &Destination { tree: &tree, claims: &claims }, &Silent::default())
}

/// Compares every file with its digest; the number of regular files.
fn check(unpacked: &Unpacked, scratch: &Jail) -> usize {
    let mut count = 0;
    for file in &unpacked.files {
        let path = scratch.tree().join(file.path.as_path());
        if let FileKind::File { size, checksum, .. } = &file.kind {
            let content = fs::read(path).unwrap();
            assert_eq!((content.len() as u64, &Checksum::of(&content)), (*size, checksum));
            count += 1;
        }
    }
    assert_eq!(unpacked.files.len(), scratch.tree_listing().len());
    count
}

/// The five places where a bit is flipped.
fn places(bytes: &[u8]) -> [(&'static str, usize); 5] {
    let [signatures, header, payload] = rpms::parts(bytes);
    [
        ("signature header", rpms::middle_of(bytes, signatures, 268)),
        ("header", (header + payload) / 2),
        ("payload start", payload + 16),
        ("payload middle", (payload + bytes.len()) / 2),
        ("payload end", bytes.len() - 4),
    ]
}

fn stage(error: &UnpackError) -> &'static str {
    match error {
        UnpackError::Trust(TrustError::Package { .. }) => "signature",
        UnpackError::Trust(TrustError::Checksum { .. }) => "file digest",
        UnpackError::Trust(TrustError::Malformed { .. }) => "header form",
        UnpackError::Decode { .. } => "decoder",
        UnpackError::Archive { .. } => "archive",
        UnpackError::File { .. } => "content",
        other => panic!("{other}"),
    }
}

#[test]
fn real_packages_verify_and_unpack_and_changed_ones_do_not() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let (packages, keys) = (shared.join("realrpms"), shared.join("keys"));
    if !packages.is_dir() || !keys.is_dir() {
        missing("real packages: there are none beside the repository");
        return;
    }
    let catalog = Catalog::load(&[]).unwrap();
    let repositories = catalog.dists().flat_map(|dist| &dist.repositories);
    let pins: Vec<&KeyPin> = repositories.flat_map(|repository| &repository.keys).collect();
    let (mut keyring, mut owners) = (Keyring::new(), BTreeMap::new());
    for file in files_in(&keys) {
        let name = file.file_name().unwrap().to_string_lossy().replace("RPM-GPG-KEY-", "");
        let bytes = fs::read(&file).unwrap();
        // Some have nothing better than SHA-1 by which they signed themselves: as definitions pin them.
        let is_there = |pin: &&KeyPin| keyring.add_pin(&bytes, pin).is_ok();
        let pinned: Vec<_> = pins.iter().copied().filter(is_there).collect();
        let pinned = pinned.into_iter().map(|pin| pin.fingerprint.clone());
        for print in pinned.chain(keyring.add_trusted(&bytes).unwrap_or_default()) {
            owners.entry(print).or_insert_with(BTreeSet::new).insert(name.clone());
        }
    }
    let all: Vec<Fingerprint> = owners.keys().cloned().collect();
    println!("real packages: {}", packages.display());
    for path in files_in(&packages) {
        let original = fs::read(&path).unwrap();
        let scratch = Jail::new();
        let unpacked = install(&original, &original, &original, &keyring, &all, &scratch).unwrap();
        let files = check(&unpacked, &scratch);
        let signer = unpacked.signed_by.unwrap().fingerprint;
        let others: Vec<_> = all.iter().filter(|&print| *print != signer).cloned().collect();
        let result = install(&original, &original, &original, &keyring, &others, &Jail::new());
        assert!(matches!(result, Err(UnpackError::Trust(TrustError::Package { .. }))));
        let mut stages = Vec::new();
        for (place, at) in places(&original) {
            let mut changed = original.clone();
            changed[at] ^= 1;
            let error = install(&changed, &original, &original, &keyring, &all, &Jail::new());
            let honest = stage(&error.expect_err(place));
            // The same where the plan is forged too: refused, or nothing differs.
            let second = Jail::new();
            let forged = match install(&changed, &original, &changed, &keyring, &all, &second) {
                Err(error) => stage(&error),
                Ok(_) if second.tree_listing() == scratch.tree_listing() => "(same files)",
                Ok(_) => panic!("{} changed at {place} was unpacked", path.display()),
            };
            stages.push(format!("{place}: {honest} / {forged}"));
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        println!(
            "{name:68} {:24} {files:3} files; {}",
            owners[&signer].iter().cloned().collect::<Vec<_>>().join("+"),
            stages.join("; ")
        );
    }
}
