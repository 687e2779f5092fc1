//! What a certificate says of itself: which of its signatures over itself counts, and what it says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use elsewhere::stages::catalog::Catalog;
use elsewhere::stages::model::{Day, Fingerprint, KeyPin};
use elsewhere::stages::trust::{Keyring, SignatureProblem, TrustError};
use pgp::composed::{ArmorOptions, DsaKeySize, KeyType};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{RevocationCode, SignatureType, Subpacket, SubpacketData};

use support::keys::{
    Agreement, Issuer, KeyOptions, MADE, OwnOptions, SignOptions, SubkeyOptions, TestKey,
};
use support::scratch::Scratch;
use support::tools::{missing, need, run, stdout};

const DATA: &[u8] = b"<repomd/>";
const USER: &str = "A test <test@example.org>";
const OTHER: &str = "Another name <test@example.org>";

/// Whether what `key` signs so counts, by a pin or by the user's word.
fn judge(key: &TestKey, options: &SignOptions) -> Result<(), SignatureProblem> {
    judge_at(key, options, u64::from(MADE) + 100_000)
}

fn judge_at(key: &TestKey, options: &SignOptions, now: u64) -> Result<(), SignatureProblem> {
    let mut keyring = Keyring::at(now);
    keyring.add_pinned(&key.public_file(), &key.fingerprint()).unwrap();
    verify(&keyring, key, options)
}

fn verify(keyring: &Keyring, key: &TestKey, options: &SignOptions) -> Result<(), SignatureProblem> {
    match keyring.verify_detached(DATA, &key.sign(DATA, options), &[key.fingerprint()]) {
        Ok(_) => Ok(()),
        Err(TrustError::Signature(problem)) => Err(problem),
        Err(other) => panic!("{other}"),
    }
}

fn at(time: u32) -> SignOptions {
    SignOptions { time: MADE + time, ..SignOptions::default() }
}

/// An RSA key: others sign by no hash that is weak.
fn rsa(options: &KeyOptions) -> TestKey {
    TestKey::with(&KeyOptions { key_type: KeyType::Rsa(2048), ..options.clone() })
}

fn expiring(seconds: u32) -> TestKey {
    rsa(&KeyOptions { lifetime: Some(seconds), ..KeyOptions::default() })
}

/// A key with what it says of itself, and the seconds after which it signs no more.
struct Odd {
    what: &'static str,
    key: TestKey,
    until: Option<u32>,
}

/// Certificates that say several things of themselves, on which GnuPG and Sequoia agree.
fn corpus() -> Vec<Odd> {
    let mut odd = Vec::new();
    let mut add = |what, until, change: &dyn Fn(&mut TestKey)| {
        let mut key = expiring(5000);
        change(&mut key);
        odd.push(Odd { what, key, until });
    };
    let later = OwnOptions::default();
    let renewed = OwnOptions { lifetime: Some(9000), ..later };
    let earlier = OwnOptions { time: MADE - 100, lifetime: Some(9000), ..later };
    add("nothing more", Some(5000), &|_| {});
    add("the key, silent", Some(5000), &|key| key.describe(&later));
    add("the user, anew", Some(9000), &|key| key.describe_user(USER, &renewed));
    add("the user, without an end", None, &|key| key.describe_user(USER, &later));
    add("the user, an older word", Some(5000), &|key| key.describe_user(USER, &earlier));
    add("both, anew", Some(9000), &|key| {
        key.describe(&renewed);
        key.describe_user(USER, &renewed);
    });
    add("the user, renewed by MD5", Some(5000), &|key| {
        key.describe_user(USER, &OwnOptions { hash: HashAlgorithm::Md5, ..renewed });
    });
    odd
}

#[test]
fn the_newest_word_counts_and_silence_takes_nothing_back() {
    for Odd { what, key, until } in corpus() {
        match until {
            Some(until) => {
                assert_eq!(judge(&key, &at(until - 1)), Ok(()), "{what}");
                let late = Err(SignatureProblem::Outside(key.fingerprint()));
                assert_eq!(judge(&key, &at(until)), late, "{what}");
            }
            None => assert_eq!(judge(&key, &at(90_000)), Ok(()), "{what}"),
        }
    }
}

#[test]
fn gnupg_reads_the_same_ends() {
    let gpg = need("gpg", "gnupg");
    for Odd { what, key, until } in corpus() {
        let scratch = Scratch::new("certificates-gpg");
        let home = scratch.path().join("gpg");
        fs::DirBuilder::new().mode(0o700).create(&home).unwrap();
        let file = scratch.write("key.asc", key.public_file());
        let gpg = || {
            let mut command = Command::new(&gpg);
            command.arg("--homedir").arg(&home).args(["--batch", "--quiet", "--with-colons"]);
            command
        };
        run(gpg().arg("--import").arg(&file));
        let told = stdout(gpg().arg("--list-keys"));
        let line = told.lines().find(|line| line.starts_with("pub:")).unwrap();
        let end = line.split(':').nth(6).unwrap();
        let expected = until.map_or_else(String::new, |until| (MADE + until).to_string());
        assert_eq!(end, expected, "{what}: {told}");
    }
}

/// Certificates and signatures that somebody might refuse.
#[allow(clippy::too_many_lines, reason = "a table")]
fn doubtful() -> Vec<(&'static str, TestKey, SignOptions)> {
    let signed = SignOptions::default;
    let by_subkey = || SignOptions { by_subkey: true, ..signed() };
    let with_subkey = |subkey| rsa(&KeyOptions { subkey: Some(subkey), ..KeyOptions::default() });
    let self_signed = |self_hash| rsa(&KeyOptions { self_hash, ..KeyOptions::default() });
    let changed = |change: &dyn Fn(&mut TestKey)| {
        let mut key = with_subkey(SubkeyOptions::default());
        change(&mut key);
        key
    };
    let (good, none) = (SubkeyOptions::default, KeyOptions::default);
    let dsa = KeyOptions { key_type: KeyType::Dsa(DsaKeySize::B1024), ..none() };
    let hashed = |hash| SignOptions { hash, ..signed() };
    vec![
        ("plain", rsa(&none()), signed()),
        (
            "revoked: stolen",
            changed(&|key| key.revoke(RevocationCode::KeyCompromised, MADE + 2000)),
            signed(),
        ),
        (
            "revoked later: replaced",
            changed(&|key| key.revoke(RevocationCode::KeySuperseded, MADE + 2000)),
            signed(),
        ),
        (
            "revoked before: replaced",
            changed(&|key| key.revoke(RevocationCode::KeySuperseded, MADE + 500)),
            signed(),
        ),
        ("a subkey", with_subkey(good()), by_subkey()),
        (
            "a subkey that does not agree",
            with_subkey(SubkeyOptions { agreement: Agreement::Missing, ..good() }),
            by_subkey(),
        ),
        (
            "a subkey that agreed to something else",
            with_subkey(SubkeyOptions { agreement: Agreement::Forged, ..good() }),
            by_subkey(),
        ),
        (
            "a subkey not for signing",
            with_subkey(SubkeyOptions { signs: false, ..good() }),
            by_subkey(),
        ),
        (
            "a subkey that has ended",
            with_subkey(SubkeyOptions { lifetime: Some(900), ..good() }),
            by_subkey(),
        ),
        (
            "a subkey that ends later",
            with_subkey(SubkeyOptions { lifetime: Some(1100), ..good() }),
            by_subkey(),
        ),
        (
            "a stolen subkey",
            changed(&|key| key.revoke_subkey(RevocationCode::KeyCompromised, MADE + 2000)),
            by_subkey(),
        ),
        (
            "a subkey replaced later",
            changed(&|key| key.revoke_subkey(RevocationCode::KeySuperseded, MADE + 2000)),
            by_subkey(),
        ),
        (
            "a subkey of a stolen key",
            changed(&|key| key.revoke(RevocationCode::KeyCompromised, MADE + 2000)),
            by_subkey(),
        ),
        (
            "a primary key not for signing",
            rsa(&KeyOptions { primary_signs: false, ..none() }),
            signed(),
        ),
        ("its only user taken back", changed(&|key| key.revoke_user(USER, MADE + 500)), signed()),
        (
            "ended, and the key is silent about it",
            changed(&|key| {
                *key = expiring(500);
                key.describe(&OwnOptions::default());
            }),
            signed(),
        ),
        ("DSA of 1024 bits", TestKey::with(&dsa), signed()),
        ("self-signed by SHA-1", self_signed(HashAlgorithm::Sha1), signed()),
        ("self-signed by MD5", self_signed(HashAlgorithm::Md5), signed()),
        ("a signature by SHA-512", rsa(&none()), hashed(HashAlgorithm::Sha512)),
        ("a signature by SHA-1", rsa(&none()), hashed(HashAlgorithm::Sha1)),
        ("a signature by MD5", rsa(&none()), hashed(HashAlgorithm::Md5)),
        (
            "a signature older than its key",
            rsa(&none()),
            SignOptions { time: MADE - 10, ..signed() },
        ),
        (
            "a signature from the future",
            rsa(&none()),
            SignOptions { time: u32::MAX - 10, ..signed() },
        ),
        (
            "a signature that has ended",
            rsa(&none()),
            SignOptions { lifetime: Some(500), ..signed() },
        ),
        (
            "a signature by the key's short name",
            rsa(&none()),
            SignOptions { issuer: Issuer::KeyId, ..signed() },
        ),
        (
            "a signature that names nobody",
            rsa(&none()),
            SignOptions { issuer: Issuer::Nobody, ..signed() },
        ),
        ("a signature of version 3", rsa(&none()), SignOptions { version: 3, ..signed() }),
        (
            "a signature over text",
            rsa(&none()),
            SignOptions { kind: SignatureType::Text, ..signed() },
        ),
    ]
}

/// On what Sequoia's verifier and this program differ: which of the two believes it, and why.
const DIFFERENCES: [(&str, Believes, &str); 4] = [
    ("a signature over text", Believes::Sequoia, "packages and metadata are no texts"),
    ("a signature of version 3", Believes::Elsewhere, "packages of EL 7 and 8 have them"),
    ("a signature from the future", Believes::Elsewhere, "a machine's clock may be behind"),
    ("a signature that names nobody", Believes::Elsewhere, "sqv 1.1 ends with a panic"),
];

#[derive(Clone, Copy, PartialEq)]
enum Believes {
    Sequoia,
    Elsewhere,
}

#[test]
fn sequoia_believes_the_same_but_for_what_is_named() {
    let sqv = need("sqv", "sqv");
    let scratch = Scratch::new("certificates-sqv");
    let data = scratch.write("data", DATA);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ends = corpus().into_iter().flat_map(|odd| {
        let until = odd.until.unwrap_or(90_000);
        let key = odd.key;
        [(odd.what, key.clone(), at(until - 1)), (odd.what, key, at(until))]
    });
    let mut differences = Vec::new();
    for (what, key, options) in ends.chain(doubtful()) {
        let certificate = scratch.write("key.asc", key.public_file());
        let signature = scratch.write("signature", key.sign(DATA, &options));
        let output =
            Command::new(&sqv).arg("--keyring").args([&certificate, &signature, &data]).output();
        let output = output.unwrap();
        let mut keyring = Keyring::at(now);
        let added = keyring.add_pinned(&key.public_file(), &key.fingerprint());
        let ours = added.is_ok() && verify(&keyring, &key, &options).is_ok();
        let named = DIFFERENCES.iter().find(|(name, ..)| *name == what).map(|named| named.1);
        let found = match (ours, output.status.success()) {
            (true, false) => Some(Believes::Elsewhere),
            (false, true) => Some(Believes::Sequoia),
            (true, true) | (false, false) => None,
        };
        if found != named {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            differences.push(format!("{what}: here {ours}, there {}: {said}", output.status));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn of_several_users_the_primary_one_speaks() {
    let mut key = expiring(5000);
    key.describe_user(OTHER, &OwnOptions { lifetime: Some(9000), ..OwnOptions::default() });
    assert_eq!(judge(&key, &at(8999)), Ok(()), "the newer of two that are alike");
    let primary = OwnOptions { time: MADE + 1, primary: true, ..OwnOptions::default() };
    key.describe_user(USER, &OwnOptions { lifetime: Some(5000), ..primary });
    let late = Err(SignatureProblem::Outside(key.fingerprint()));
    assert_eq!(judge(&key, &at(5000)), late, "the primary one, though older");
    // A user that was taken back says nothing.
    key.revoke_user(USER, MADE + 200);
    assert_eq!(judge(&key, &at(5000)), Ok(()));
    key.revoke_user(OTHER, MADE + 200);
    assert_eq!(judge(&key, &at(5000)), late, "all were taken back");
}

#[test]
fn a_word_that_is_over_makes_no_key_younger() {
    let mut key = expiring(5000);
    key.describe_user(USER, &OwnOptions { ends: Some(1000), ..OwnOptions::default() });
    assert_eq!(judge(&key, &at(1099)), Ok(()));
    assert_eq!(judge(&key, &at(1100)), Err(SignatureProblem::Outside(key.fingerprint())));
}

#[test]
fn weak_primary_keys_vouch_for_nobody() {
    let strong = Some(SubkeyOptions { key_type: Some(KeyType::Rsa(2048)), ..Default::default() });
    let key_type = KeyType::Dsa(DsaKeySize::B1024);
    let key = TestKey::with(&KeyOptions { key_type, subkey: strong, ..KeyOptions::default() });
    for by_subkey in [false, true] {
        let result = judge(&key, &SignOptions { by_subkey, ..SignOptions::default() });
        assert!(matches!(result, Err(SignatureProblem::UnknownKey(_))), "{result:?}");
    }
}

#[test]
fn an_rsa_key_of_1024_bits_vouches_for_nobody() {
    let scratch = Scratch::new("certificates-rsa");
    let home = scratch.path().join("gpg");
    fs::DirBuilder::new().mode(0o700).create(&home).unwrap();
    let gpg = || {
        let mut command = Command::new(need("gpg", "gnupg"));
        command.arg("--homedir").arg(&home).args(["--batch", "--quiet", "--passphrase", ""]);
        command
    };
    run(gpg().args([
        "--quick-generate-key",
        "Weak <weak@example.org>",
        "rsa1024",
        "cert",
        "never",
    ]));
    let told = stdout(gpg().args(["--with-colons", "--list-keys"]));
    let print = told.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap();
    let print = Fingerprint::new(print.trim_matches(':')).unwrap();
    run(gpg().args(["--quick-add-key", print.as_str(), "rsa2048", "sign", "never"]));
    let data = scratch.write("data", DATA);
    run(gpg().arg("--detach-sign").arg(&data));
    let file = stdout(gpg().args(["--armor", "--export"]));
    run(Command::new(need("gpgconf", "gpgconf"))
        .arg("--homedir")
        .arg(&home)
        .args(["--kill", "all"]));
    let mut keyring = Keyring::new();
    keyring.add_pinned(file.as_bytes(), &print).unwrap();
    let signature = fs::read(data.with_extension("sig")).unwrap();
    let result = keyring.verify_detached(DATA, &signature, &[print]);
    let unknown = matches!(result, Err(TrustError::Signature(SignatureProblem::UnknownKey(_))));
    assert!(unknown, "{result:?}");
    let error = Keyring::new().add_trusted(file.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("too weak"), "{error}");
}

fn pin(key: &TestKey, sha1_until: Option<&str>) -> KeyPin {
    let sha1_until = sha1_until.map(|day| Day::new(day).unwrap());
    let (fingerprint, url) = (key.fingerprint(), "https://k.example/key".to_owned());
    KeyPin { fingerprint, url, alternates: Vec::new(), arches: Vec::new(), sha1_until }
}

#[test]
fn weak_self_signatures_count_only_where_a_definition_names_their_day() {
    let subkey = Some(SubkeyOptions::default());
    let made = |self_hash| {
        let subkey = subkey.clone();
        rsa(&KeyOptions { self_hash, subkey, ..KeyOptions::default() })
    };
    let add = |key: &TestKey, day| Keyring::new().add_pin(&key.public_file(), &pin(key, day));
    // Keys are made on 2020-09-13.
    for (hash, day, counts) in [
        (HashAlgorithm::Sha1, None, false),
        (HashAlgorithm::Sha1, Some("2020-09-12"), false),
        (HashAlgorithm::Sha1, Some("2020-09-13"), true),
        (HashAlgorithm::Md5, Some("2020-09-13"), false),
        (HashAlgorithm::Sha256, None, true),
    ] {
        let key = made(hash);
        let added = add(&key, day);
        assert_eq!(added.is_ok(), counts, "{hash} {day:?}: {added:?}");
        if let Err(error) = added {
            assert!(error.to_string().contains("a hash that can be forged"), "{error}");
            assert!(Keyring::new().add_trusted(&key.public_file()).is_err());
            continue;
        }
        let mut keyring = Keyring::new();
        keyring.add_pin(&key.public_file(), &pin(&key, day)).unwrap();
        for by_subkey in [false, true] {
            let options = SignOptions { by_subkey, ..SignOptions::default() };
            assert_eq!(verify(&keyring, &key, &options), Ok(()), "{hash}");
        }
    }
    // What was said by SHA-1 later than that is as if it were not there.
    let self_hash = HashAlgorithm::Sha1;
    let mut key = rsa(&KeyOptions { self_hash, lifetime: Some(5000), ..KeyOptions::default() });
    let hash = HashAlgorithm::Sha1;
    key.describe_user(USER, &OwnOptions { time: MADE + 200_000, hash, ..OwnOptions::default() });
    let mut keyring = Keyring::new();
    keyring.add_pin(&key.public_file(), &pin(&key, Some("2020-09-13"))).unwrap();
    let late = Err(SignatureProblem::Outside(key.fingerprint()));
    assert_eq!(verify(&keyring, &key, &at(6000)), late);
}

/// What is kept of a certificate that a definition pins.
fn kept(file: &[u8], pin: &KeyPin) -> String {
    let mut keyring = Keyring::new();
    keyring.add_pin(file, pin).unwrap();
    keyring.copy_of(&pin.fingerprint).unwrap()
}

/// The keys of `../shared`, where they are at hand: those that definitions pin are usable, and the
/// exceptions among them are as many as are needed and no more.
#[test]
fn the_exceptions_are_those_that_are_needed() {
    let catalog = Catalog::load(&[]).unwrap();
    let repositories = catalog.dists().flat_map(|dist| &dist.repositories);
    let mut pins: Vec<&KeyPin> = repositories.flat_map(|repository| &repository.keys).collect();
    pins.sort_by_key(|pin| pin.fingerprint.clone());
    for same in pins.chunk_by(|one, other| one.fingerprint == other.fingerprint) {
        assert!(same.iter().all(|pin| pin.sha1_until == same[0].sha1_until), "{:?}", same[0]);
    }
    pins.dedup_by_key(|pin| pin.fingerprint.clone());
    let named = pins.iter().filter(|pin| pin.sha1_until.is_some()).count();
    assert_eq!(named, 6, "a further exception needs a measurement");
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/keys");
    if !keys.is_dir() {
        missing("real keys: there are none beside the repository");
        return;
    }
    for entry in fs::read_dir(keys).unwrap() {
        let path = entry.unwrap().path();
        let (name, file) = (path.display(), fs::read(&path).unwrap());
        for pin in &pins {
            let holds = |added: Result<(), TrustError>| match added {
                Err(TrustError::PinMissing { .. }) => None,
                added => Some(added.is_ok()),
            };
            let Some(with) = holds(Keyring::new().add_pin(&file, pin)) else { continue };
            let without = holds(Keyring::new().add_pinned(&file, &pin.fingerprint)).unwrap();
            assert!(with, "{name}: {} is of no use", pin.fingerprint);
            assert_eq!(kept(&file, pin), kept(kept(&file, pin).as_bytes(), pin), "{name}");
            assert_eq!(without, pin.sha1_until.is_none(), "{name}: {}", pin.fingerprint);
        }
    }
}

#[test]
fn the_certificates_that_come_with_the_program_are_of_pinned_keys() {
    let catalog = Catalog::load(&[]).unwrap();
    let repositories = catalog.dists().flat_map(|dist| &dist.repositories);
    let pins: Vec<&KeyPin> = repositories.flat_map(|repository| &repository.keys).collect();
    for (print, certificate) in catalog.certificates() {
        let pin = pins.iter().find(|pin| pin.fingerprint == *print);
        let pin = pin.unwrap_or_else(|| panic!("no definition pins {print}"));
        Keyring::new().add_pin(certificate.as_bytes(), pin).unwrap();
    }
}

/// What a keyring makes of copies of a certificate.
fn merged(copies: &[Vec<u8>], print: &Fingerprint) -> Keyring {
    let mut keyring = Keyring::at(u64::from(MADE) + 100_000);
    copies.iter().for_each(|copy| keyring.add_pinned(copy, print).unwrap());
    keyring
}

#[test]
fn copies_of_a_certificate_add_up_in_any_order() {
    let mut key = expiring(5000);
    let young = key.public_file();
    key.describe_user(OTHER, &OwnOptions { lifetime: Some(9000), ..OwnOptions::default() });
    let renewed = key.public_file();
    key.revoke_user(OTHER, MADE + 200);
    let taken_back = key.public_file();
    key.revoke(RevocationCode::KeyCompromised, MADE + 300);
    let revoked = key.public_file();
    let (print, late) = (key.fingerprint(), Err(SignatureProblem::Outside(key.fingerprint())));
    for copies in [[&renewed, &taken_back], [&taken_back, &renewed], [&taken_back, &young]] {
        let keyring = merged(&copies.map(Clone::clone), &print);
        assert_eq!(verify(&keyring, &key, &at(4999)), Ok(()));
        assert_eq!(verify(&keyring, &key, &at(5000)), late, "a user is another's copy's too");
    }
    for copies in [[&revoked, &young], [&young, &revoked]] {
        let keyring = merged(&copies.map(Clone::clone), &print);
        let gone = Err(SignatureProblem::Revoked(print.clone()));
        assert_eq!(verify(&keyring, &key, &at(100)), gone);
        // What is kept of it says all of that.
        let kept = keyring.copy_of(&print).unwrap().into_bytes();
        assert_eq!(verify(&merged(&[kept, young.clone()], &print), &key, &at(100)), gone);
    }
}

#[test]
fn what_is_kept_of_a_certificate_is_its_own_word_once() {
    let subkey = Some(SubkeyOptions::default());
    let mut key = rsa(&KeyOptions { subkey, lifetime: Some(5000), ..KeyOptions::default() });
    key.describe(&OwnOptions { lifetime: Some(5000), ..OwnOptions::default() });
    let print = key.fingerprint();
    let own = merged(&[key.public_file()], &print).copy_of(&print).unwrap();
    assert_eq!(merged(&[own.clone().into_bytes()], &print).copy_of(&print).unwrap(), own);
    // What strangers add is not kept, nor what is said twice: with something that nobody signed, say.
    let stranger = TestKey::new();
    let theirs = stranger.certify(&key, 9000, MADE + 100);
    key.public.details.users[0].signatures.push(theirs);
    let mut again = key.public.details.users[0].signatures[0].clone();
    let note = SubpacketData::SignersUserID(b"a note".to_vec().into());
    again.unhashed_subpacket_push(Subpacket::regular(note).unwrap()).unwrap();
    key.public.details.users[0].signatures.push(again);
    let keyring = merged(&[own.clone().into_bytes(), key.public_file()], &print);
    assert_eq!(keyring.copy_of(&print).unwrap(), own);
}

#[test]
fn a_copy_that_lacks_a_subkeys_agreement_takes_nothing_away() {
    let subkey = Some(SubkeyOptions::default());
    let whole = TestKey::with(&KeyOptions { subkey, ..KeyOptions::default() });
    let print = whole.fingerprint();
    let without = SubkeyOptions { agreement: Agreement::Missing, ..SubkeyOptions::default() };
    let mut lacking = whole.public.clone();
    lacking.public_subkeys[0].signatures = vec![whole.bind(&whole, &without, MADE)];
    let lacking = lacking.to_armored_bytes(ArmorOptions::default()).unwrap();
    let by_subkey = SignOptions { by_subkey: true, ..SignOptions::default() };
    for copies in [[whole.public_file(), lacking.clone()], [lacking, whole.public_file()]] {
        let keyring = merged(&copies, &print);
        assert_eq!(verify(&keyring, &whole, &by_subkey), Ok(()));
        let kept = keyring.copy_of(&print).unwrap().into_bytes();
        assert_eq!(verify(&merged(&[kept], &print), &whole, &by_subkey), Ok(()));
    }
}

#[test]
fn a_signature_that_says_that_it_is_over_is_over() {
    let key = TestKey::new();
    let options = SignOptions { lifetime: Some(500), ..at(1000) };
    let at = |now: u32| judge_at(&key, &options, u64::from(MADE + now));
    let over = Err(SignatureProblem::Expired(key.fingerprint()));
    assert_eq!(at(1499), Ok(()));
    assert_eq!(at(1500), over);
    // Without a clock it cannot be known to count.
    let mut keyring = Keyring::new();
    keyring.add_pinned(&key.public_file(), &key.fingerprint()).unwrap();
    assert_eq!(verify(&keyring, &key, &options), over);
    // One for ever is one for ever.
    let forever = SignOptions { lifetime: Some(0), ..options };
    assert_eq!(judge_at(&key, &forever, u64::from(u32::MAX)), Ok(()));
}
