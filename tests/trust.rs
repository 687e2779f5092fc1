//! Packages: which are opened, and which are not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::Read;

use elsewhere::stages::model::Comparison;
use elsewhere::stages::trust::{
    Keyring, Malformed, Policy, SignatureProblem, TrustError, Verified, open, read_local,
};
use pgp::composed::KeyType;
use pgp::types::Timestamp;

use support::keys::{MADE, SignOptions, TestKey};
use support::opening::{hello, open_by, trusting};
use support::rpms::{self, File, HeaderWriter, Package};

#[test]
fn a_signature_by_the_pinned_key_opens_a_package() {
    let key = TestKey::new();
    let bytes = hello().signed(&key);
    let mut verified = open_by(&bytes, &hello().planned(&bytes), &key).unwrap();
    assert_eq!(verified.header().license, "MIT");
    assert_eq!(verified.header().files[0].path, "/usr/bin/hello");
    assert_eq!(verified.warning(), None);
    let mut payload = Vec::new();
    verified.payload().read_to_end(&mut payload).unwrap();
    assert_eq!(payload, hello().payload());
    let proof = verified.finish().unwrap();
    assert_eq!(proof.size, bytes.len() as u64);
    assert_eq!(proof.signed_by.unwrap().fingerprint, key.fingerprint());
}

#[test]
fn a_key_that_is_known_but_not_allowed_here_does_not_count() {
    let (ours, theirs) = (TestKey::new(), TestKey::new());
    let (mut keyring, allowed) = trusting(&ours);
    keyring.add_pinned(&theirs.public_file(), &theirs.fingerprint()).unwrap();
    let bytes = hello().signed(&theirs);
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
    let error = open(bytes.as_slice(), &hello().planned(&bytes), &policy).unwrap_err();
    let named = SignatureProblem::UnknownKey(theirs.fingerprint().as_str().to_owned());
    assert!(matches!(&error, TrustError::Package { source, .. } if *source == named), "{error}");
    assert!(error.hint().unwrap().contains("--trust-key"));
}

#[test]
fn unsigned_packages_pass_only_when_allowed_and_not_quietly() {
    let key = TestKey::new();
    let (keyring, allowed) = trusting(&key);
    let (bytes, stranger) = (hello().unsigned(), hello().signed(&TestKey::new()));
    for bytes in [bytes, stranger] {
        let planned = hello().planned(&bytes);
        let policy =
            |allow_unsigned| Policy { keyring: &keyring, allowed: &allowed, allow_unsigned };
        let refused = open(bytes.as_slice(), &planned, &policy(false));
        assert!(matches!(refused, Err(TrustError::Package { .. })));
        let verified = open(bytes.as_slice(), &planned, &policy(true)).unwrap();
        assert!(verified.warning().unwrap().contains("hello-1.0-1.el9.x86_64 is not proven"));
        assert_eq!(verified.finish().unwrap().signed_by, None);
    }
}

#[test]
fn a_wrong_signature_is_refused_even_where_none_is_needed() {
    let key = TestKey::new();
    let (keyring, allowed) = trusting(&key);
    let header = hello().header();
    let signature = key.sign(b"another header", &SignOptions::default());
    let signatures = rpms::signature_header(&header, Some(&signature));
    let bytes = rpms::assemble(&signatures, &header, &hello().payload());
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: true };
    let error = open(bytes.as_slice(), &hello().planned(&bytes), &policy).unwrap_err();
    let bad = SignatureProblem::Bad(key.fingerprint());
    assert!(matches!(error, TrustError::Package { source, .. } if source == bad));
}

#[test]
fn an_unsigned_header_must_still_match_its_digest() {
    let header = hello().header();
    let mut signatures = HeaderWriter::default();
    signatures.string(273, &"0".repeat(64));
    let bytes = rpms::assemble(&signatures.finish(), &header, &hello().payload());
    let policy = Policy { keyring: &Keyring::new(), allowed: &[], allow_unsigned: true };
    let error = open(bytes.as_slice(), &hello().planned(&bytes), &policy).unwrap_err();
    assert!(matches!(error, TrustError::HeaderDigest { .. }));
}

#[test]
fn another_package_under_the_name_is_refused() {
    let key = TestKey::new();
    let bytes = hello().signed(&key);
    let changes: [fn(&mut Package); 5] = [
        |package| package.name = "other".into(),
        |package| package.version = "1.00".into(),
        |package| package.release = "2.el9".into(),
        |package| package.epoch = Some(1),
        |package| package.arch = "aarch64".into(),
    ];
    for change in changes {
        let mut asked = hello();
        change(&mut asked);
        let error = open_by(&bytes, &asked.planned(&bytes), &key).unwrap_err();
        assert!(matches!(error, TrustError::Identity { .. }), "{error}");
    }
}

#[test]
fn the_file_must_be_the_plans_byte_for_byte() {
    let key = TestKey::new();
    let bytes = hello().signed(&key);
    let planned = hello().planned(&bytes);
    let finish = |bytes: &[u8]| open_by(bytes, &planned, &key).unwrap().finish().unwrap_err();
    let longer = [bytes.as_slice(), b"x"].concat();
    assert!(matches!(finish(&longer), TrustError::TooLong { .. }));
    let shorter = &bytes[..bytes.len() - 1];
    assert!(matches!(finish(shorter), TrustError::Size { .. }));
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(matches!(finish(&changed), TrustError::Checksum { .. }));
}

#[test]
fn an_endless_response_ends_where_the_plan_says() {
    let key = TestKey::new();
    let bytes = hello().signed(&key);
    let (keyring, allowed) = trusting(&key);
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
    let endless = bytes.as_slice().chain(std::io::repeat(0));
    let verified = open(endless, &hello().planned(&bytes), &policy).unwrap();
    assert!(matches!(verified.finish(), Err(TrustError::TooLong { .. })));
}

#[test]
fn every_file_needs_a_digest_that_proves_something() {
    let key = TestKey::new();
    let md5 = "0".repeat(32);
    for (algorithm, digest) in [(None, &md5), (Some(1), &md5), (Some(8), &String::new())] {
        let mut package = hello();
        package.digest_algorithm = algorithm;
        package.files[0].digest = Some(digest.clone());
        let bytes = package.signed(&key);
        let error = open_by(&bytes, &package.planned(&bytes), &key).unwrap_err();
        let TrustError::NoFileDigest { path, .. } = error else { panic!("{error}") };
        assert_eq!(path, "/usr/bin/hello");
    }
}

#[test]
fn one_file_without_a_digest_is_enough() {
    let key = TestKey::new();
    let mut package = hello();
    package.files.push(File::regular("/usr/share/hello", b"hello"));
    package.files[1].digest = Some(String::new());
    let bytes = package.signed(&key);
    let error = open_by(&bytes, &package.planned(&bytes), &key).unwrap_err();
    let TrustError::NoFileDigest { path, .. } = error else { panic!("{error}") };
    assert_eq!(path, "/usr/share/hello");
}

#[test]
fn no_bit_of_the_headers_can_be_changed_unnoticed() {
    let key = TestKey::new();
    let (keyring, allowed) = trusting(&key);
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
    let bytes = hello().signed(&key);
    let planned = hello().planned(&bytes);
    let header = rpms::parts(&bytes)[1];
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 1 << (position % 8);
        let opened = open(changed.as_slice(), &planned, &policy);
        let is_header = (header..rpms::parts(&bytes)[2]).contains(&position);
        assert!(!is_header || opened.is_err(), "header byte {position}");
        let result = opened.and_then(Verified::finish);
        assert!(result.is_err(), "byte {position}");
    }
}

#[test]
fn no_prefix_of_a_package_is_one() {
    let key = TestKey::new();
    let bytes = hello().signed(&key);
    let planned = hello().planned(&bytes);
    let payload = rpms::parts(&bytes)[2];
    for length in 0..payload {
        let error = open_by(&bytes[..length], &planned, &key).unwrap_err();
        let truncated =
            matches!(error, TrustError::Malformed { source: Malformed::Truncated(_), .. });
        assert!(truncated, "{length}: {error}");
    }
}

#[test]
fn headers_with_absurd_numbers_are_refused_without_memory() {
    let key = TestKey::new();
    let bytes = hello().signed(&key);
    let planned = hello().planned(&bytes);
    let start = rpms::parts(&bytes)[0];
    let with = |at: usize, number: u32| {
        let mut changed = bytes.clone();
        changed[start + at..start + at + 4].copy_from_slice(&number.to_be_bytes());
        open_by(&changed, &planned, &key).unwrap_err()
    };
    for (at, number) in [(8, u32::MAX), (8, 0x1000_0000), (8, 0), (12, u32::MAX), (12, 65 << 20)] {
        let error = with(at, number);
        let absurd =
            matches!(error, TrustError::Malformed { source: Malformed::Absurd { .. }, .. });
        assert!(absurd, "{at} {number}: {error}");
    }
    // An entry's type, offset and count: the signature's tag is the first entry.
    for (at, number) in [(20, 4), (24, u32::MAX), (24, 0x7fff_ffff), (28, u32::MAX)] {
        let error = with(at, number);
        let damaged = matches!(error, TrustError::Malformed { source: Malformed::Entry(268), .. });
        assert!(damaged, "{at} {number}: {error}");
    }
}

#[test]
fn signed_headers_that_contradict_themselves_are_refused() {
    let key = TestKey::new();
    let sign = |header: &mut HeaderWriter| {
        let header = header.finish();
        let signature = key.sign(&header, &SignOptions::default());
        let signatures = rpms::signature_header(&header, Some(&signature));
        rpms::assemble(&signatures, &header, b"")
    };
    let named = || {
        let mut header = HeaderWriter::default();
        header
            .string(1000, "hello")
            .string(1001, "1.0")
            .string(1002, "1.el9")
            .string(1022, "x86_64");
        header
    };
    let (one, two) = (vec![b"a".to_vec()], vec![b"a".to_vec(), b"b".to_vec()]);
    let cases = [
        sign(named().strings(1117, &two).u32s(1116, &[0]).strings(1118, &one)),
        sign(HeaderWriter::default().string(1000, "hello")),
        sign(named().string(1125, "rar")),
        sign(named().string(1124, "drpm")),
        sign(named().strings(1027, &one)),
        sign(named().u32s(1125, &[1])),
    ];
    for bytes in cases {
        let error = open_by(&bytes, &hello().planned(&bytes), &key).unwrap_err();
        assert!(matches!(error, TrustError::Malformed { .. }), "{error}");
    }
}

#[test]
fn small_headers_cannot_name_gigabytes_of_paths() {
    let key = TestKey::new();
    let refused = |directory: &str, files: usize| {
        let names = (0..files).map(|number| File::regular(&format!("{directory}{number}"), b""));
        let package = Package { files: names.collect(), ..hello() };
        let bytes = package.signed(&key);
        assert!(bytes.len() < 1 << 20);
        let error = open_by(&bytes, &package.planned(&bytes), &key).unwrap_err();
        assert!(error.to_string().contains("long path") || error.to_string().contains("a path of"));
        matches!(error, TrustError::Malformed { source: Malformed::Unsupported(_), .. })
    };
    assert!(refused(&format!("/{}/", "a".repeat(4096)), 1));
    assert!(refused(&format!("/{}", "a/".repeat(2000)), 100));
}

#[test]
fn headers_of_nothing_but_empty_texts_are_refused_without_memory() {
    let texts = vec![Vec::new(); (1 << 20) + 1];
    let header = hello().header();
    let signatures = HeaderWriter::default().strings(278, &texts).finish();
    let bytes = rpms::assemble(&signatures, &header, b"");
    let error = open_by(&bytes, &hello().planned(&bytes), &TestKey::new()).unwrap_err();
    let damaged = matches!(error, TrustError::Malformed { source: Malformed::Entry(278), .. });
    assert!(damaged, "{error}");
    let mut named = HeaderWriter::default();
    for (tag, text) in [(1000, "hello"), (1001, "1.0"), (1002, "1.el9"), (1022, "x86_64")] {
        named.string(tag, text);
    }
    let signatures = HeaderWriter::default().u32s(1000, &[0]).finish();
    let bytes = rpms::assemble(&signatures, &named.strings(1117, &texts).finish(), b"");
    let error = read_local(bytes.as_slice(), "hello.rpm").unwrap_err();
    let damaged = matches!(error, TrustError::Malformed { source: Malformed::Entry(1117), .. });
    assert!(damaged, "{error}");
}

#[test]
fn what_is_no_binary_package_is_refused_as_such() {
    let key = TestKey::new();
    let bytes = hello().signed(&key);
    let planned = hello().planned(&bytes);
    let mut source = bytes.clone();
    source[7] = 1;
    let html = b"<!DOCTYPE html>".repeat(20);
    for (bytes, expected) in [(source, "is a source package"), (html, "is no RPM package")] {
        let error = open_by(&bytes, &planned, &key).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn names_that_are_not_utf8_are_refused_and_shown_escaped() {
    let key = TestKey::new();
    let mut package = hello();
    package.files[0].path = b"/usr/bin/caf\xe9\x1b[31m".to_vec();
    let bytes = package.signed(&key);
    let error = open_by(&bytes, &package.planned(&bytes), &key).unwrap_err();
    assert!(error.to_string().contains("caf\\xe9\\x1b[31m"), "{error}");
}

#[test]
fn packages_built_by_the_rpm_crate_are_read_alike() {
    let key = TestKey::new();
    let mut builder = rpm::PackageBuilder::new("tool", "2.1", "BSD-2-Clause", "x86_64", "A tool");
    builder
        .epoch(1)
        .release("3")
        .requires(rpm::Dependency::greater_eq("libc.so.6", "2.28"))
        .requires(rpm::Dependency::script_post("ldconfig"))
        .with_file_contents("data", rpm::FileOptions::new("/usr/share/tool/data"))
        .unwrap();
    let mut bytes = Vec::new();
    builder.build().unwrap().write(&mut bytes).unwrap();
    let bytes = rpms::resign(&bytes, &key);
    let local = read_local(bytes.as_slice(), "tool.rpm").unwrap();
    assert_eq!(local.nevra.to_string(), "tool-1:2.1-3.x86_64");
    assert_eq!(local.files, ["/usr/share/tool/data"]);
    assert_eq!((local.size, local.installed_size), (bytes.len() as u64, 4));
    let requires: Vec<_> = local.requires.iter().map(|relation| relation.name.as_str()).collect();
    assert_eq!(requires, ["libc.so.6"]);
    assert_eq!(local.requires[0].comparison, Comparison::GreaterOrEqual);
    assert_eq!(local.requires[0].evr.as_deref(), Some("2.28"));
    let provides = local.provides.iter().find(|relation| relation.name == "tool").unwrap();
    assert_eq!(provides.evr.as_deref(), Some("1:2.1-3"));
    let planned = rpms::planned(local.nevra, &bytes);
    open_by(&bytes, &planned, &key).unwrap().finish().unwrap();
}

#[test]
fn signatures_by_the_rpm_crate_count() {
    let secret = pgp::composed::SecretKeyParamsBuilder::default()
        .key_type(KeyType::Ed25519Legacy)
        .created_at(Timestamp::from_secs(MADE))
        .can_certify(true)
        .can_sign(true)
        .primary_user_id("A test <test@example.org>".into())
        .build()
        .unwrap()
        .generate(rand::thread_rng())
        .unwrap();
    let armored = secret.to_armored_bytes(Default::default()).unwrap();
    let public = secret.to_public_key().to_armored_bytes(Default::default()).unwrap();
    let signer = rpm::signature::pgp::Signer::from_asc_bytes(&armored).unwrap();
    for config in [rpm::BuildConfig::v4(), rpm::BuildConfig::v6()] {
        let mut builder = rpm::PackageBuilder::new("tool", "2.1", "MIT", "noarch", "A tool");
        builder.using_config(config);
        let package = builder.build_and_sign(&signer).unwrap();
        let mut bytes = Vec::new();
        package.write(&mut bytes).unwrap();
        let mut keyring = Keyring::new();
        let allowed = keyring.add_trusted(&public).unwrap();
        let local = read_local(bytes.as_slice(), "tool.rpm").unwrap();
        let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
        let planned = rpms::planned(local.nevra, &bytes);
        open(bytes.as_slice(), &planned, &policy).unwrap().finish().unwrap();
    }
}
