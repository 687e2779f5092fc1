//! The umask changes nothing in a tree. Alone in its file: the umask is the process's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use elsewhere::stages::report::Silent;
use elsewhere::stages::trust::{Keyring, Policy, open};
use elsewhere::stages::unpack::{Claims, Destination, unpack};
use rustix::fs::Mode;

use support::jail::Jail;
use support::keys::TestKey;
use support::rpms::{File, Package};

#[test]
fn modes_do_not_depend_on_the_umask() {
    let key = TestKey::new();
    let package = Package::new(vec![
        File::program("/usr/bin/tool", b"x"),
        File::regular("/etc/new/tool.conf", b"x").mode(0o100_600),
        File::directory("/var/lib/tool").mode(0o040_700),
    ]);
    let bytes = package.signed(&key);
    let mut keyring = Keyring::new();
    let allowed = keyring.add_trusted(&key.public_file()).unwrap();
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
    let listings = [0o000, 0o022, 0o077, 0o277].map(|umask| {
        let (scratch, claims) = (Jail::new(), Claims::new());
        let tree = scratch.dir();
        let verified = open(bytes.as_slice(), &package.planned(&bytes), &policy).unwrap();
        let old = rustix::process::umask(Mode::from_raw_mode(umask));
        let destination = Destination { tree: &tree, claims: &claims };
        let result = unpack(verified, &[], &destination, &Silent::default());
        rustix::process::umask(old);
        result.unwrap();
        scratch.tree_listing()
    });
    assert_eq!(listings[0]["bin/tool"], "755 1500000000 x");
    assert_eq!(listings[0]["etc/new/tool.conf"], "644 1500000000 x");
    assert_eq!(listings[0]["var/lib/tool"], "755 directory");
    assert!(listings.iter().all(|listing| *listing == listings[0]), "{listings:?}");
}
