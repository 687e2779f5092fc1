//! Keys, signatures and headers: what is believed, and what is not.

mod support;

use std::io::Read;

use elsewhere::model::{Comparison, Fingerprint, PlannedPackage};
use elsewhere::trust::{
    Keyring, Malformed, Policy, SignatureProblem, TrustError, Verified, open, read_local,
};
use pgp::composed::KeyType;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{RevocationCode, SignatureType};
use pgp::types::Timestamp;

use support::keys::{Issuer, KeyOptions, MADE, SignOptions, SubkeyOptions, TestKey};
use support::rpms::{self, File, HeaderWriter, Package};

/// A keyring that holds `key`, pinned, and what may sign by it.
fn trusting(key: &TestKey) -> (Keyring, Vec<Fingerprint>) {
    let mut keyring = Keyring::new();
    keyring.add_pinned(&key.public_file(), &key.fingerprint()).unwrap();
    (keyring, vec![key.fingerprint()])
}

fn hello() -> Package {
    Package::new(vec![File::program("/usr/bin/hello", b"#!/bin/sh\necho hello\n")])
}

fn open_by<'a>(
    bytes: &'a [u8],
    planned: &PlannedPackage,
    key: &TestKey,
) -> Result<Verified<&'a [u8]>, TrustError> {
    let (keyring, allowed) = trusting(key);
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
    open(bytes, planned, &policy)
}

fn judge(key: &TestKey, options: &SignOptions) -> Result<(), SignatureProblem> {
    let bytes = hello().signed_so(key, options);
    match open_by(&bytes, &hello().planned(&bytes), key) {
        Ok(verified) => {
            let signed_by = verified.header().signed_by.clone().unwrap();
            assert_eq!(signed_by.fingerprint, key.fingerprint());
            assert_eq!(signed_by.signed_at, Some(options.time.into()));
            Ok(())
        }
        Err(TrustError::Package { package, source }) => {
            assert_eq!(package, "hello-1.0-1.el9.x86_64");
            Err(source)
        }
        Err(other) => panic!("{other}"),
    }
}

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
fn signatures_of_every_form_that_distributions_use_count() {
    let rsa = TestKey::with(&KeyOptions { key_type: KeyType::Rsa(2048), ..Default::default() });
    for version in [3, 4] {
        for hash in [HashAlgorithm::Sha256, HashAlgorithm::Sha512] {
            for issuer in [Issuer::Fingerprint, Issuer::KeyId, Issuer::Nobody] {
                let options = SignOptions { version, hash, issuer, ..Default::default() };
                assert_eq!(judge(&rsa, &options), Ok(()), "v{version} {hash}");
            }
        }
    }
}

#[test]
fn weak_signatures_do_not_count() {
    let key = TestKey::with(&KeyOptions { key_type: KeyType::Rsa(2048), ..Default::default() });
    for hash in [HashAlgorithm::Md5, HashAlgorithm::Sha1, HashAlgorithm::Sha224] {
        for version in [3, 4] {
            let options = SignOptions { hash, version, ..Default::default() };
            assert!(matches!(judge(&key, &options), Err(SignatureProblem::Weak(_))), "{hash}");
        }
    }
}

#[test]
fn a_signature_over_text_is_none_over_a_package() {
    let options = SignOptions { kind: SignatureType::Text, ..Default::default() };
    assert_eq!(judge(&TestKey::new(), &options), Err(SignatureProblem::Unreadable));
}

#[test]
fn keys_that_signed_themselves_with_sha1_are_usable() {
    let (key_type, self_hash) = (KeyType::Rsa(2048), HashAlgorithm::Sha1);
    let key = TestKey::with(&KeyOptions { key_type, self_hash, ..Default::default() });
    assert_eq!(judge(&key, &SignOptions::default()), Ok(()));
}

#[test]
fn signing_subkeys_count_by_fingerprint_and_by_key_id() {
    let subkey = Some(SubkeyOptions::default());
    let key = TestKey::with(&KeyOptions { subkey, primary_signs: false, ..Default::default() });
    for issuer in [Issuer::Fingerprint, Issuer::KeyId, Issuer::Nobody] {
        let by_subkey = SignOptions { by_subkey: true, issuer, ..Default::default() };
        assert_eq!(judge(&key, &by_subkey), Ok(()));
    }
    // The primary key of this certificate may not sign data.
    let result = judge(&key, &SignOptions::default());
    assert!(matches!(result, Err(SignatureProblem::UnknownKey(_))), "{result:?}");
}

#[test]
fn subkeys_that_may_not_sign_or_did_not_agree_do_not_count() {
    let by_subkey = SignOptions { by_subkey: true, ..Default::default() };
    for (signs, agrees) in [(false, true), (true, false)] {
        let subkey = Some(SubkeyOptions { signs, agrees, lifetime: None });
        let key = TestKey::with(&KeyOptions { subkey, ..Default::default() });
        let result = judge(&key, &by_subkey);
        assert!(matches!(result, Err(SignatureProblem::UnknownKey(_))), "{signs} {agrees}");
    }
}

#[test]
fn a_subkey_bound_by_another_key_does_not_count() {
    let subkey = Some(SubkeyOptions::default());
    let attacker = TestKey::with(&KeyOptions { subkey, ..Default::default() });
    let mut victim = TestKey::new();
    victim.public.public_subkeys.clone_from(&attacker.public.public_subkeys);
    let by_subkey = SignOptions { by_subkey: true, ..Default::default() };
    let bytes = hello().signed_so(&attacker, &by_subkey);
    let result = open_by(&bytes, &hello().planned(&bytes), &victim);
    let unknown = |error| {
        matches!(error, TrustError::Package { source: SignatureProblem::UnknownKey(_), .. })
    };
    assert!(result.is_err_and(unknown));
}

#[test]
fn an_expired_key_vouches_for_what_it_signed_before() {
    let key = TestKey::with(&KeyOptions { lifetime: Some(5000), ..Default::default() });
    let at = |time| judge(&key, &SignOptions { time, ..Default::default() });
    let outside = || Err(SignatureProblem::Outside(key.fingerprint()));
    assert_eq!(at(MADE + 4999), Ok(()));
    assert_eq!(at(MADE + 5000), outside());
    assert_eq!(at(MADE - 1), outside());
}

#[test]
fn an_expired_subkey_and_a_subkey_of_an_expired_key_vouch_no_longer() {
    let by_subkey = |time| SignOptions { by_subkey: true, time, ..Default::default() };
    for (own, primary) in [(Some(5000), None), (None, Some(5000))] {
        let subkey = Some(SubkeyOptions { lifetime: own, ..Default::default() });
        let key = TestKey::with(&KeyOptions { subkey, lifetime: primary, ..Default::default() });
        assert_eq!(judge(&key, &by_subkey(MADE + 10)), Ok(()));
        let late = judge(&key, &by_subkey(MADE + 6000));
        assert_eq!(late, Err(SignatureProblem::Outside(key.fingerprint())));
    }
}

#[test]
fn a_compromised_key_vouches_for_nothing_and_a_retired_one_for_its_past() {
    let at = |key: &TestKey, time| judge(key, &SignOptions { time, ..Default::default() });
    for reason in [RevocationCode::KeyCompromised, RevocationCode::NoReason] {
        let mut key = TestKey::new();
        key.revoke(reason, MADE + 9000);
        let revoked = Err(SignatureProblem::Revoked(key.fingerprint()));
        assert_eq!(at(&key, MADE + 10), revoked);
    }
    for reason in [RevocationCode::KeyRetired, RevocationCode::KeySuperseded] {
        let mut key = TestKey::new();
        key.revoke(reason, MADE + 9000);
        assert_eq!(at(&key, MADE + 8999), Ok(()));
        assert_eq!(at(&key, MADE + 9000), Err(SignatureProblem::Revoked(key.fingerprint())));
    }
}

#[test]
fn a_revoked_subkey_does_not_count_and_its_primary_key_does() {
    let subkey = Some(SubkeyOptions::default());
    let mut key = TestKey::with(&KeyOptions { subkey, ..Default::default() });
    key.revoke_subkey(RevocationCode::KeyCompromised, MADE + 9000);
    let by_subkey = SignOptions { by_subkey: true, ..Default::default() };
    assert_eq!(judge(&key, &by_subkey), Err(SignatureProblem::Revoked(key.fingerprint())));
    assert_eq!(judge(&key, &SignOptions::default()), Ok(()));
}

#[test]
fn a_revocation_by_somebody_else_does_not_count() {
    let (mut key, mut other) = (TestKey::new(), TestKey::new());
    other.revoke(RevocationCode::KeyCompromised, MADE + 1);
    let forged = other.public.details.revocation_signatures.clone();
    key.public.details.revocation_signatures = forged;
    assert_eq!(judge(&key, &SignOptions::default()), Ok(()));
}

#[test]
fn a_revocation_in_one_copy_of_a_key_binds_the_other() {
    let mut key = TestKey::new();
    let fresh = key.public_file();
    key.revoke(RevocationCode::KeyCompromised, MADE + 1);
    let revoked = key.public_file();
    let bytes = hello().signed(&key);
    for files in [[&fresh, &revoked], [&revoked, &fresh]] {
        let mut keyring = Keyring::new();
        for file in files {
            keyring.add_pinned(file, &key.fingerprint()).unwrap();
        }
        let allowed = [key.fingerprint()];
        let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: true };
        let result = open(bytes.as_slice(), &hello().planned(&bytes), &policy);
        assert!(matches!(
            result,
            Err(TrustError::Package { source: SignatureProblem::Revoked(_), .. })
        ));
    }
}

#[test]
fn only_the_pinned_key_of_a_file_is_taken_whatever_block_it_is_in() {
    let keys = [TestKey::new(), TestKey::new(), TestKey::new()];
    let comment = b"Keys of a distribution:\n".to_vec();
    let file = [comment, keys[0].public_file(), keys[1].public_file()].concat();
    for (pinned, other) in [(0, 1), (1, 0)] {
        let mut keyring = Keyring::new();
        keyring.add_pinned(&file, &keys[pinned].fingerprint()).unwrap();
        let all: Vec<_> = keys.iter().map(TestKey::fingerprint).collect();
        let check = |key: &TestKey| keyring.verify_detached(b"x", &key.sign_detached(b"x"), &all);
        assert_eq!(check(&keys[pinned]).unwrap().fingerprint, all[pinned]);
        assert!(matches!(
            check(&keys[other]),
            Err(TrustError::Signature(SignatureProblem::UnknownKey(_)))
        ));
    }
    let error = Keyring::new().add_pinned(&file, &keys[2].fingerprint()).unwrap_err();
    let TrustError::PinMissing { found, .. } = &error else { panic!("{error}") };
    assert_eq!(found.len(), 2);
}

#[test]
fn a_file_that_the_user_trusts_gives_all_its_keys() {
    let keys = [TestKey::new(), TestKey::new()];
    let armored = [keys[0].public_file(), keys[1].public_file()].concat();
    let binary: Vec<u8> =
        keys.iter().flat_map(|key| pgp::ser::Serialize::to_bytes(&key.public).unwrap()).collect();
    for file in [armored, binary] {
        let found = Keyring::new().add_trusted(&file).unwrap();
        assert_eq!(found, [keys[0].fingerprint(), keys[1].fingerprint()]);
    }
}

#[test]
fn every_copy_of_the_pinned_key_in_a_file_counts() {
    let mut key = TestKey::new();
    let fresh = key.public_file();
    key.revoke(RevocationCode::KeyCompromised, MADE + 1);
    let mut keyring = Keyring::new();
    keyring.add_pinned(&[fresh, key.public_file()].concat(), &key.fingerprint()).unwrap();
    let result = keyring.verify_detached(b"x", &key.sign_detached(b"x"), &[key.fingerprint()]);
    assert!(matches!(result, Err(TrustError::Signature(SignatureProblem::Revoked(_)))));
}

#[test]
fn files_without_usable_keys_are_refused() {
    let armored = TestKey::new().public_file();
    let cut = &armored[..armored.len() / 2];
    let huge = vec![b'-'; 5 << 20];
    let mut unsigned = TestKey::new();
    unsigned.public.details.users.clear();
    let unsigned = unsigned.public_file();
    for file in [b"".as_slice(), b"hello", b"\x99\x01", cut, &huge, &unsigned] {
        let error = Keyring::new().add_trusted(file).unwrap_err();
        assert!(matches!(error, TrustError::KeyFile(_)), "{error}");
        assert!(error.hint().is_some());
    }
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
fn dsa_keys_cannot_sign() {
    let dsa = KeyType::Dsa(pgp::composed::DsaKeySize::B1024);
    let key = TestKey::with(&KeyOptions { key_type: dsa, ..Default::default() });
    let result = judge(&key, &SignOptions::default());
    assert!(matches!(result, Err(SignatureProblem::UnknownKey(_))), "{result:?}");
}

#[test]
fn detached_signatures_are_verified() {
    let (key, other) = (TestKey::new(), TestKey::new());
    let (keyring, allowed) = trusting(&key);
    let check = |data: &[u8], signature: &[u8]| keyring.verify_detached(data, signature, &allowed);
    let signature = key.sign_detached(b"<repomd/>");
    assert_eq!(check(b"<repomd/>", &signature).unwrap().fingerprint, key.fingerprint());
    let binary = key.sign(b"<repomd/>", &SignOptions::default());
    assert!(check(b"<repomd/>", &binary).is_ok());
    let problem = |result| match result {
        Err(TrustError::Signature(problem)) => problem,
        other => panic!("{other:?}"),
    };
    let bad = SignatureProblem::Bad(key.fingerprint());
    assert_eq!(problem(check(b"<repomd>", &signature)), bad);
    assert_eq!(problem(check(b"<repomd/>", b"")), SignatureProblem::Missing);
    assert_eq!(problem(check(b"<repomd/>", b"junk")), SignatureProblem::Unreadable);
    let foreign = other.sign_detached(b"<repomd/>");
    assert!(matches!(problem(check(b"<repomd/>", &foreign)), SignatureProblem::UnknownKey(_)));
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
