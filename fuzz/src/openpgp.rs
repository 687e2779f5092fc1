//! Key files, and detached signatures. Whatever the bytes: nothing vouches for a text that no
//! trusted key has signed.

use std::sync::OnceLock;

use elsewhere::stages::model::Fingerprint;
use elsewhere::stages::trust::Keyring;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::RevocationCode;

use super::keys::{Agreement, Issuer, KeyOptions, MADE, SignOptions, SubkeyOptions, TestKey};
use super::tagged;

const KEY_FILE: u8 = 0;
const SIGNATURE: u8 = 1;
/// What the seeds' signatures are over.
const SIGNED: &[u8] = b"<repomd/>";
/// What nobody has signed.
const FORGED: &[u8] = b"<repomd></repomd>";

/// A keyring, and a signature over [`SIGNED`] by its key.
struct Trusted {
    keyring: Keyring,
    allowed: Vec<Fingerprint>,
    signature: Vec<u8>,
}

pub(super) fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    let trusted = trusted();
    match *kind {
        KEY_FILE => run_key_file(bytes, trusted),
        SIGNATURE => {
            let _ = trusted.keyring.verify_detached(SIGNED, bytes, &trusted.allowed);
            let forged = trusted.keyring.verify_detached(FORGED, bytes, &trusted.allowed);
            assert!(forged.is_err(), "a signature over a text that nobody has signed");
        }
        _ => {}
    }
}

fn run_key_file(file: &[u8], trusted: &Trusted) {
    let mut keyring = Keyring::new();
    let mut allowed = keyring.add_trusted(file).unwrap_or_default();
    let mut pinned = Keyring::new();
    for pin in &trusted.allowed {
        if pinned.add_pinned(file, pin).is_ok() {
            // The key is the pinned one, so it vouches for what it signed or has been revoked.
            let _ = pinned.verify_detached(SIGNED, &trusted.signature, &trusted.allowed);
        }
    }
    allowed.extend_from_slice(&trusted.allowed);
    for keyring in [&keyring, &pinned] {
        let forged = keyring.verify_detached(FORGED, &trusted.signature, &allowed);
        assert!(forged.is_err(), "a key file that makes a signature count for another text");
    }
}

fn trusted() -> &'static Trusted {
    static TRUSTED: OnceLock<Trusted> = OnceLock::new();
    TRUSTED.get_or_init(|| {
        let (mut keyring, keys) = (Keyring::new(), keys());
        let files = keys.iter().map(TestKey::public_file);
        let allowed =
            files.flat_map(|file| keyring.add_trusted(&file).unwrap()).collect::<Vec<_>>();
        let signature = keys[0].sign(SIGNED, &SignOptions::default());
        Trusted { keyring, allowed, signature }
    })
}

/// A plain key; one that signs by its subkey; one that has expired; one that was revoked.
fn keys() -> Vec<TestKey> {
    let subkey = Some(SubkeyOptions { agreement: Agreement::Given, ..Default::default() });
    let expired = KeyOptions { lifetime: Some(500), ..Default::default() };
    let with_subkey = KeyOptions { subkey, ..Default::default() };
    let options = [KeyOptions::default(), with_subkey, expired, KeyOptions::default()];
    let mut keys: Vec<TestKey> =
        (1..).zip(&options).map(|(seed, options)| TestKey::seeded(seed, options)).collect();
    keys[3].revoke(RevocationCode::KeyCompromised, MADE + 2000);
    keys
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let keys = keys();
    let armored: Vec<Vec<u8>> = keys.iter().map(TestKey::public_file).collect();
    let mut seeds: Vec<Vec<u8>> = armored.iter().map(|file| tagged(KEY_FILE, file)).collect();
    seeds.extend(keys.iter().map(|key| tagged(KEY_FILE, key.public_packets())));
    seeds.push(tagged(KEY_FILE, armored.concat()));
    let default = SignOptions::default();
    let ways = [
        SignOptions { version: 3, ..default.clone() },
        SignOptions { hash: HashAlgorithm::Sha512, ..default.clone() },
        SignOptions { issuer: Issuer::KeyId, ..default.clone() },
        SignOptions { issuer: Issuer::Nobody, ..default.clone() },
        SignOptions { by_subkey: true, ..default.clone() },
    ];
    for key in &keys {
        seeds.push(tagged(SIGNATURE, key.sign_detached(SIGNED)));
        seeds.extend(ways.iter().map(|way| tagged(SIGNATURE, key.sign(SIGNED, way))));
    }
    seeds
}
