//! Keys and signatures: whose word counts, for what, and when.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use elsewhere::stages::trust::{Keyring, Policy, SignatureProblem, TrustError, open};
use pgp::composed::KeyType;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{RevocationCode, SignatureType};

use support::keys::{Agreement, Issuer, KeyOptions, MADE, SignOptions, SubkeyOptions, TestKey};
use support::opening::{hello, open_by, trusting};

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
    let cases = [(false, Agreement::Given), (true, Agreement::Missing), (true, Agreement::Forged)];
    for (signs, agreement) in cases {
        let subkey = Some(SubkeyOptions { signs, agreement, ..SubkeyOptions::default() });
        let key = TestKey::with(&KeyOptions { subkey, ..Default::default() });
        let result = judge(&key, &by_subkey);
        assert!(matches!(result, Err(SignatureProblem::UnknownKey(_))), "{result:?}");
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
fn a_subkey_that_somebody_else_bound_does_not_count() {
    let subkey = Some(SubkeyOptions::default());
    let attacker = TestKey::with(&KeyOptions { subkey, ..Default::default() });
    let mut victim = TestKey::new();
    victim.public.public_subkeys.clone_from(&attacker.public.public_subkeys);
    // The subkey agrees to be the victim's; who binds it is the attacker.
    victim.public.public_subkeys[0].signatures =
        vec![attacker.bind(&victim, &SubkeyOptions::default(), MADE)];
    let bytes =
        hello().signed_so(&attacker, &SignOptions { by_subkey: true, ..Default::default() });
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
fn what_an_expired_key_signed_is_no_unsigned_package() {
    let key = TestKey::with(&KeyOptions { lifetime: Some(5000), ..Default::default() });
    let (keyring, allowed) = trusting(&key);
    let late = SignOptions { time: MADE + 5000, ..Default::default() };
    let bytes = hello().signed_so(&key, &late);
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: true };
    let error = open(bytes.as_slice(), &hello().planned(&bytes), &policy).unwrap_err();
    let outside = SignatureProblem::Outside(key.fingerprint());
    assert!(matches!(error, TrustError::Package { source, .. } if source == outside));
}

#[test]
fn nobody_else_lets_a_key_live_longer() {
    let mut key = TestKey::with(&KeyOptions { lifetime: Some(5000), ..Default::default() });
    let forged = TestKey::new().certify(&key, 9000, MADE + 100);
    key.public.details.users[0].signatures.push(forged);
    let late = judge(&key, &SignOptions { time: MADE + 5000, ..Default::default() });
    assert_eq!(late, Err(SignatureProblem::Outside(key.fingerprint())));
}

#[test]
fn the_newest_binding_of_a_subkey_counts() {
    for (before, after) in [(5000, 9000), (9000, 5000)] {
        for place in [0, 1] {
            let options =
                |lifetime| SubkeyOptions { lifetime: Some(lifetime), ..Default::default() };
            let subkey = Some(options(before));
            let mut key = TestKey::with(&KeyOptions { subkey, ..Default::default() });
            let newer = key.bind(&key, &options(after), MADE + 100);
            key.public.public_subkeys[0].signatures.insert(place, newer);
            let at =
                |time| judge(&key, &SignOptions { by_subkey: true, time, ..Default::default() });
            assert_eq!(at(MADE + after - 1), Ok(()));
            assert_eq!(at(MADE + after), Err(SignatureProblem::Outside(key.fingerprint())));
        }
    }
}

#[test]
fn a_subkey_is_made_and_goes_with_its_primary_key() {
    let subkey = Some(SubkeyOptions::default());
    let mut key = TestKey::with(&KeyOptions { subkey, ..Default::default() });
    let at = |key: &TestKey, time| {
        judge(key, &SignOptions { by_subkey: true, time, ..Default::default() })
    };
    assert_eq!(at(&key, MADE - 1), Err(SignatureProblem::Outside(key.fingerprint())));
    key.revoke(RevocationCode::KeyRetired, MADE + 9000);
    assert_eq!(at(&key, MADE + 8999), Ok(()));
    assert_eq!(at(&key, MADE + 9000), Err(SignatureProblem::Revoked(key.fingerprint())));
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
fn of_several_revocations_the_hardest_and_the_earliest_counts() {
    use RevocationCode::{KeyCompromised, KeyRetired, KeySuperseded};
    let hard = [(KeyRetired, 9000), (KeyCompromised, 9500)];
    let early = [(KeyRetired, 9000), (KeySuperseded, 5000)];
    for (revocations, from) in [(hard, 10), (early, 5000)] {
        for order in [[0, 1], [1, 0]] {
            let mut key = TestKey::new();
            for (reason, time) in order.map(|number: usize| revocations[number]) {
                key.revoke(reason, MADE + time);
            }
            let late = judge(&key, &SignOptions { time: MADE + from, ..Default::default() });
            assert_eq!(late, Err(SignatureProblem::Revoked(key.fingerprint())));
        }
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
fn a_revocation_of_a_subkey_in_one_copy_of_a_key_binds_the_other() {
    let subkey = Some(SubkeyOptions::default());
    let mut key = TestKey::with(&KeyOptions { subkey, ..Default::default() });
    let fresh = key.public_file();
    key.revoke_subkey(RevocationCode::KeyCompromised, MADE + 1);
    let revoked = key.public_file();
    let bytes = hello().signed_so(&key, &SignOptions { by_subkey: true, ..Default::default() });
    for files in [[&fresh, &revoked], [&revoked, &fresh]] {
        let mut keyring = Keyring::new();
        for file in files {
            keyring.add_pinned(file, &key.fingerprint()).unwrap();
        }
        let allowed = [key.fingerprint()];
        let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
        let error = open(bytes.as_slice(), &hello().planned(&bytes), &policy).unwrap_err();
        let revoked = SignatureProblem::Revoked(key.fingerprint());
        assert!(matches!(error, TrustError::Package { source, .. } if source == revoked));
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
