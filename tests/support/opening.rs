//! Packages that one key signs, and opening them.

use elsewhere::stages::model::{Fingerprint, PlannedPackage};
use elsewhere::stages::trust::{Keyring, Policy, TrustError, Verified, open};

use super::keys::TestKey;
use super::rpms::{File, Package};

/// A keyring that holds `key`, pinned, and what may sign by it.
pub fn trusting(key: &TestKey) -> (Keyring, Vec<Fingerprint>) {
    let mut keyring = Keyring::new();
    keyring.add_pinned(&key.public_file(), &key.fingerprint()).unwrap();
    (keyring, vec![key.fingerprint()])
}

/// A package with one program.
pub fn hello() -> Package {
    Package::new(vec![File::program("/usr/bin/hello", b"#!/bin/sh\necho hello\n")])
}

/// Opens a package as one that `key` must have signed.
pub fn open_by<'a>(
    bytes: &'a [u8],
    planned: &PlannedPackage,
    key: &TestKey,
) -> Result<Verified<&'a [u8]>, TrustError> {
    let (keyring, allowed) = trusting(key);
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
    open(bytes, planned, &policy)
}
