//! Key files with more in them than can be used, and signatures of several kinds side by side.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use elsewhere::stages::model::Fingerprint;
use elsewhere::stages::trust::{Keyring, Policy, SignatureProblem, TrustError, open};
use pgp::composed::KeyType;
use pgp::packet::RevocationCode;

use support::keys::{KeyOptions, MADE, SignOptions, SubkeyOptions, TestKey};
use support::packets::{armor, base64, cut, key_body, packet, post_quantum, signature_body};
use support::rpms::{File, HeaderWriter, Package, assemble};

const KEY: &str = "PUBLIC KEY BLOCK";

fn rsa() -> TestKey {
    TestKey::with(&KeyOptions { key_type: KeyType::Rsa(2048), ..Default::default() })
}

/// That `key`, and no other, is taken from `file`, by its pin and by the user's word.
fn counts(key: &TestKey, file: &[u8], what: &str) {
    let print = key.fingerprint();
    let (mut pinned, mut trusted) = (Keyring::new(), Keyring::new());
    pinned.add_pinned(file, &print).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = trusted.add_trusted(file).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(found, std::slice::from_ref(&print), "{what}");
    for keyring in [pinned, trusted] {
        let allowed = std::slice::from_ref(&print);
        keyring.verify_detached(b"x", &key.sign_detached(b"x"), allowed).expect(what);
    }
}

/// Certificates that cannot be used, and what is said of them.
fn strangers() -> Vec<(&'static str, Vec<u8>)> {
    let user = packet(13, b"Somebody <else@example.org>");
    let with = |key: Vec<u8>, version| {
        [key, user.clone(), packet(2, &signature_body(version, 0x13, 1))].concat()
    };
    let mut unsigned = TestKey::new();
    unsigned.public.details.users.clear();
    vec![
        ("ML-DSA-87 with Ed448", post_quantum()),
        ("version 5", with(packet(6, &key_body(5, 1, 260)), 5)),
        ("version 9", with(packet(6, &key_body(9, 1, 260)), 9)),
        ("version 3", with(packet(6, &v3_key()), 3)),
        ("algorithm 105", with(packet(6, &key_body(4, 105, 260)), 4)),
        ("SLH-DSA", with(packet(6, &key_body(6, 32, 32)), 6)),
        ("RSA", with(packet(6, &key_body(4, 1, 3)), 4)),
        ("a private key", with(packet(5, &key_body(4, 1, 300)), 4)),
        ("has not signed itself", unsigned.public_packets()),
        ("too weak or may not sign", weak().public_packets()),
    ]
}

fn weak() -> TestKey {
    let dsa = KeyType::Dsa(pgp::composed::DsaKeySize::B1024);
    TestKey::with(&KeyOptions { key_type: dsa, ..Default::default() })
}

/// A key of version 3: two numbers behind the algorithm.
fn v3_key() -> Vec<u8> {
    let mut body = key_body(3, 1, 0);
    body.extend([0x04, 0x00]);
    body.extend([0xff; 128]);
    body.extend([0, 5, 0x11]);
    body
}

#[test]
fn a_key_counts_beside_others_that_cannot_be_used() {
    let key = rsa();
    let own = key.public_packets();
    for (what, other) in strangers() {
        let orders = [[&own, &other], [&other, &own]];
        for order in orders {
            let together = order.map(Vec::as_slice).concat();
            let blocks: String = order.iter().map(|packets| armor(KEY, packets)).collect();
            counts(&key, blocks.as_bytes(), what);
            counts(&key, armor(KEY, &together).as_bytes(), what);
            counts(&key, &together, what);
        }
    }
}

#[test]
fn what_was_passed_over_is_told() {
    let key = rsa();
    let file = [armor(KEY, &post_quantum()), armor(KEY, &key.public_packets())].concat();
    let mut keyring = Keyring::new();
    keyring.add_trusted(file.as_bytes()).unwrap();
    let [what] = keyring.passed_over() else { panic!("{:?}", keyring.passed_over()) };
    assert!(what.contains("ML-DSA-87 with Ed448") && what.contains("version 6"), "{what}");
}

#[test]
fn a_file_without_a_usable_key_says_what_each_was() {
    for (what, packets) in strangers() {
        for file in [packets.clone(), armor(KEY, &packets).into_bytes()] {
            let error = Keyring::new().add_trusted(&file).unwrap_err();
            assert!(matches!(error, TrustError::KeyFile(_)), "{error}");
            assert!(error.to_string().contains(what), "{what}: {error}");
        }
    }
    let all: Vec<u8> = strangers().into_iter().flat_map(|(_, packets)| packets).collect();
    let error = Keyring::new().add_trusted(&all).unwrap_err().to_string();
    assert!(error.contains("ML-DSA-87") && error.contains("version 5"), "{error}");
    let private = armor("PRIVATE KEY BLOCK", &packet(5, b"x"));
    let error = Keyring::new().add_trusted(private.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("a private key"), "{error}");
}

#[test]
fn what_is_not_understood_within_a_certificate_condemns_nothing_else() {
    let options = KeyOptions { subkey: Some(SubkeyOptions::default()), ..Default::default() };
    let key = TestKey::with(&options);
    let attribute = [packet(17, b"\x02\x01x"), packet(2, &signature_body(4, 0x13, 1))].concat();
    let subkey = [packet(14, &key_body(6, 36, 900)), packet(2, &signature_body(6, 0x18, 31))];
    let strange = [
        ("a trust packet", packet(12, &[0; 4])),
        ("a private-use packet", packet(60, b"x")),
        ("an unknown packet", packet(41, b"x")),
        ("an unknown critical packet", packet(24, b"x")),
        ("a marker", packet(10, b"PGP")),
        ("padding", packet(21, &[9; 40])),
        ("an unknown signature", packet(2, &signature_body(6, 0x13, 31))),
        ("a signature of version 7", packet(2, &signature_body(7, 0x13, 31))),
        ("an empty signature", packet(2, b"")),
        ("a user attribute", attribute),
        ("a post-quantum subkey", subkey.concat()),
    ];
    for (what, between) in strange {
        let packets = cut(&key.public_packets());
        assert_eq!(packets.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), [6, 13, 2, 14, 2]);
        // Behind everything that ends with a signature, and at last behind every packet.
        for places in [vec![2], vec![4], vec![2, 4]] {
            let with = packets.iter().enumerate().flat_map(|(number, (_, bytes))| {
                let odd = places.contains(&number).then(|| between.clone());
                [bytes.clone(), odd.unwrap_or_default()]
            });
            let file: Vec<u8> = with.flatten().collect();
            counts(&key, &file, what);
            let mut keyring = Keyring::new();
            let allowed = keyring.add_trusted(&file).unwrap();
            let by_subkey = SignOptions { by_subkey: true, ..Default::default() };
            let signature = key.sign(b"x", &by_subkey);
            keyring.verify_detached(b"x", &signature, &allowed).expect(what);
        }
    }
    let trust = packet(12, &[0; 4]);
    let ring = cut(&key.public_packets()).into_iter();
    let ring: Vec<u8> = ring.flat_map(|(_, bytes)| [bytes, trust.clone()].concat()).collect();
    counts(&key, &ring, "a keyring of old GnuPG");
}

#[test]
fn files_made_to_take_long_do_not() {
    let key = TestKey::new();
    let own = key.public_packets();
    // Every other key is compared with all that were found before it.
    let mut many = own.clone();
    for number in 0..60_000_u32 {
        let mut body = key_body(4, 27, 32);
        body[1..5].copy_from_slice(&number.to_be_bytes());
        many.extend(packet(6, &body));
    }
    // Every signature of a user takes in the whole of what the user is called.
    let signature = cut(&own).into_iter().find(|(tag, _)| *tag == 2).unwrap().1;
    let mut long = [own, packet(13, &vec![b'x'; 3 << 20])].concat();
    long.extend(signature.repeat(5000));
    for (what, file) in [("many keys", many), ("a long name", long)] {
        assert!(file.len() < 4 << 20, "{what}: {}", file.len());
        let start = std::time::Instant::now();
        Keyring::new().add_pinned(&file, &key.fingerprint()).unwrap();
        let took = start.elapsed();
        assert!(took.as_secs() < 15, "{what}: {took:?}");
    }
}

#[test]
fn text_around_blocks_and_odd_armor_are_no_hindrance() {
    let key = rsa();
    let armored = String::from_utf8(key.public_file()).unwrap();
    let checksum = armored.lines().rev().nth(1).unwrap().to_owned();
    assert!(checksum.starts_with('=') && checksum.len() == 5);
    let plain = armor(KEY, &key.public_packets());
    let headers = plain.replacen("-----\n\n", "-----\nVersion: GnuPG v1\nComment: a: b\n\n", 1);
    let files = [
        ("a checksum", armored.clone()),
        ("a wrong checksum", armored.replace(&checksum, "=AAAA")),
        ("no checksum", plain.clone()),
        ("headers", headers.clone()),
        ("no empty line", plain.replacen("-----\n\n", "-----\n", 1)),
        ("headers and no empty line", headers.replacen("b\n\n", "b\n", 1)),
        ("Windows' line ends", headers.replace('\n', "\r\n")),
        ("old line ends", headers.replace('\n', "\r")),
        ("blanks at line ends", headers.replace('\n', " \t\n")),
        ("indented", headers.replace('\n', "\n    ")),
        ("no last line end", headers.trim_end().to_owned()),
        ("a byte order mark", format!("\u{feff}{headers}")),
        ("text before", format!("The key:\n----- not a block\n\n{headers}")),
        ("text that is not ASCII", format!("Schlüssel für é ƀ\n{headers}")),
        ("text behind", format!("{headers}\nThat was it.\n-----\n")),
        ("a list of packages", format!("pub  rsa2048 2020-09-13\n     ABCD\n\n{headers}")),
        ("a cut block before", format!("-----BEGIN PGP {KEY}-----\n\nxsBNBF\n{headers}")),
        ("a damaged block behind", format!("{headers}-----BEGIN PGP {KEY}-----\n\n?!\n")),
        ("another kind of block", format!("{}{headers}", armor("MESSAGE", b"hello"))),
    ];
    for (what, file) in files {
        counts(&key, file.as_bytes(), what);
    }
    counts(&key, &[key.public_packets(), b"\n".to_vec()].concat(), "a binary file and a line end");
}

#[test]
fn a_damaged_certificate_counts_only_where_it_stands_whole_too() {
    let (key, other) = (rsa(), TestKey::new());
    let whole = armor(KEY, &key.public_packets());
    let packets = key.public_packets();
    let cut_off = whole.split_once("-----END").unwrap().0.to_owned();
    for damaged in [cut_off, armor(KEY, &packets[..packets.len() - 9])] {
        let error = Keyring::new().add_trusted(damaged.as_bytes()).unwrap_err();
        let print = key.fingerprint();
        assert!(error.to_string().contains(&format!("a damaged copy of key {print}")), "{error}");
        assert!(Keyring::new().add_pinned(damaged.as_bytes(), &print).is_err());
        counts(&other, format!("{damaged}{}", armor(KEY, &other.public_packets())).as_bytes(), "");
        counts(&key, format!("{damaged}{whole}").as_bytes(), "the whole one behind");
        counts(&key, format!("{whole}{damaged}").as_bytes(), "the whole one before");
    }
}

#[test]
fn a_revocation_counts_wherever_it_stands() {
    let mut key = rsa();
    let fresh = key.public_packets();
    key.revoke(RevocationCode::KeyCompromised, MADE + 1);
    let revoked = cut(&key.public_packets());
    let revocation = revoked.iter().find(|(tag, _)| *tag == 2).unwrap().1.clone();
    let bare = [revoked[0].1.clone(), revocation.clone()].concat();
    let files = [
        ("behind all", armor(KEY, &[fresh.clone(), revocation.clone()].concat())),
        ("without the key", format!("{}{}", armor(KEY, &fresh), armor(KEY, &revocation))),
        ("before the key", format!("{}{}", armor(KEY, &revocation), armor(KEY, &fresh))),
        ("a copy without users before", format!("{}{}", armor(KEY, &bare), armor(KEY, &fresh))),
        ("a copy without users behind", format!("{}{}", armor(KEY, &fresh), armor(KEY, &bare))),
    ];
    for (what, file) in files {
        let mut keyring = Keyring::new();
        let allowed = keyring.add_trusted(file.as_bytes()).expect(what);
        let result = keyring.verify_detached(b"x", &key.sign_detached(b"x"), &allowed);
        let revoked = Err(SignatureProblem::Revoked(key.fingerprint()));
        let problem = result.map(drop).map_err(|error| match error {
            TrustError::Signature(problem) => problem,
            other => panic!("{other}"),
        });
        assert_eq!(problem, revoked, "{what}");
    }
}

#[test]
fn a_detached_signature_counts_beside_others_that_cannot_be_read() {
    let key = rsa();
    let mut keyring = Keyring::new();
    let allowed = keyring.add_trusted(&key.public_file()).unwrap();
    let good = key.sign(b"x", &SignOptions::default());
    let label = "SIGNATURE";
    for (version, algorithm) in [(6, 31), (7, 1), (5, 1), (4, 105)] {
        let other = packet(2, &signature_body(version, 0, algorithm));
        for [one, two] in [[&good, &other], [&other, &good]] {
            let together = [one.as_slice(), two].concat();
            let blocks = format!("{}{}", armor(label, one), armor(label, two));
            for file in [blocks.into_bytes(), armor(label, &together).into_bytes(), together] {
                let verified = keyring.verify_detached(b"x", &file, &allowed);
                verified.unwrap_or_else(|error| panic!("version {version}: {error}"));
            }
        }
    }
}

#[test]
fn a_packages_good_signature_counts_beside_others() {
    let (key, stranger) = (rsa(), TestKey::new());
    let package = Package::new(vec![File::program("/usr/bin/hello", b"hello")]);
    let header = package.header();
    let good = key.sign(&header, &SignOptions::default());
    let quantum = packet(2, &signature_body(6, 0, 31));
    let foreign = stranger.sign(&header, &SignOptions::default());
    let texts = |signatures: &[&Vec<u8>]| -> Vec<Vec<u8>> {
        signatures.iter().map(|one| base64(one).into_bytes()).collect()
    };
    let cases = [
        ("RHEL's way", Some(&good), texts(&[&good, &quantum])),
        ("the list alone", None, texts(&[&quantum, &good])),
        ("only a stranger's old one", Some(&foreign), texts(&[&quantum, &foreign, &good])),
        ("an unknown one in the old place", Some(&quantum), texts(&[&good])),
        ("nonsense in the list", Some(&good), vec![b"!".to_vec(), b"".to_vec()]),
        ("one text of two", None, texts(&[&[quantum.clone(), good.clone()].concat()])),
    ];
    let (mut keyring, none) = (Keyring::new(), [] as [Fingerprint; 0]);
    let allowed = keyring.add_trusted(&key.public_file()).unwrap();
    for (what, old, list) in cases {
        let mut signatures = HeaderWriter::default();
        if let Some(old) = old {
            signatures.binary(268, old);
        }
        signatures.strings(278, &list);
        let bytes = assemble(&signatures.finish(), &header, &package.payload());
        let try_with = |allowed: &[Fingerprint]| {
            let policy = Policy { keyring: &keyring, allowed, allow_unsigned: false };
            open(bytes.as_slice(), &package.planned(&bytes), &policy).map(drop)
        };
        try_with(&allowed).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(matches!(try_with(&none), Err(TrustError::Package { .. })), "{what}");
    }
}
