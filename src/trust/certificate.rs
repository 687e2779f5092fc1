//! One OpenPGP certificate: which of its keys may sign data, and from when to when.
//!
//! Only what the primary key itself has signed counts: certifications by others, and bindings or
//! revocations that do not verify, are as if they were not there. Of several signatures over the same
//! thing the newest counts (RFC 9580, 5.2.3.10), and what it leaves open the one over the key itself
//! says, as Sequoia has it: what one signature says of a key's end, none that is silent about it takes back.
//!
//! Self-signatures are held to Sequoia's policy: none counts by MD5, SHA-1 or RIPEMD-160, and none by
//! a primary key that is weak itself. Some keys have nothing better than SHA-1, and what is published
//! needs them: their definitions say so, each with the day after which they never signed so (`sha1_until`).
//! A revocation counts by whatever hash: who forges one takes trust away. Signatures over *data* are held
//! to a stricter rule, in [`super::signature`].

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    PublicKey, PublicSubkey, RevocationCode, Signature, SignatureType, Subpacket, SubpacketData,
};
use pgp::ser::Serialize;
use pgp::types::{Duration, KeyDetails, PublicParams, SignedUser, Tag, Timestamp};

use crate::model::Fingerprint;

use super::{copy, key_file};

/// The fewest bits of an RSA key that may sign packages, itself or other keys. EL's oldest keys have as
/// many.
const MIN_RSA_BITS: u16 = 2048;

/// A certificate and what follows from it.
#[derive(Debug)]
pub(super) struct Certificate {
    /// Fingerprint of the primary key.
    pub(super) fingerprint: Fingerprint,
    /// The keys that may sign data: the primary key, signing subkeys, or both.
    pub(super) signers: Vec<Signer>,
    packets: SignedPublicKey,
    sha1_until: Option<u64>,
    /// The hardest revocation of any of its keys that may sign.
    revoked: Option<Revoked>,
}

/// A key that may sign data, and when.
#[derive(Debug)]
pub(super) struct Signer {
    /// The key.
    pub(super) key: SignerKey,
    /// When it was made, in seconds since 1970.
    from: u32,
    /// The second at which it expired or will.
    until: Option<u32>,
    /// When it was revoked.
    revoked: Option<Revoked>,
}

/// A primary key or a subkey.
#[derive(Debug)]
pub(super) enum SignerKey {
    /// The certificate's own key.
    Primary(PublicKey),
    /// A key that the certificate's own key has bound to itself.
    Subkey(PublicSubkey),
}

/// Why a key signs nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyEnd {
    /// It, or one of its subkeys that sign, was revoked.
    Revoked,
    /// It expired, in seconds since 1970.
    Expired(u64),
}

/// What a revocation means for signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Revoked {
    /// The key may have been in other hands: nothing that it ever signed counts.
    Always,
    /// The key is retired: what it signed before counts.
    Since(u32),
}

/// Whether a signature's time is one at which its key might sign.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is.
    Good,
    /// The key was not made yet, or had expired.
    Outside,
    /// The key is revoked.
    Revoked,
}

impl Certificate {
    /// Verifies the self-signatures of `packets`, of which those by SHA-1 count that were made until
    /// `sha1_until`, in seconds since 1970. The error says what it is that cannot be used: a key without a
    /// fingerprint that can be pinned (OpenPGP version 3), of an unknown algorithm, or one that has not
    /// signed itself.
    pub(super) fn new(packets: SignedPublicKey, sha1_until: Option<u64>) -> Result<Self, String> {
        let fingerprint = fingerprint(&packets.primary_key)
            .ok_or_else(|| format!("{}, which is not supported", kind(&packets)))?;
        if matches!(packets.primary_key.public_params(), PublicParams::Unknown { .. }) {
            return Err(format!("{}, which is not supported", kind(&packets)));
        }
        let counts = |signature: &Signature| counts(signature, sha1_until);
        let own = OwnSignatures::of(&packets, counts).ok_or_else(|| {
            let is_weak = OwnSignatures::of(&packets, |_| true).is_some();
            let how = if is_weak { " but by a hash that can be forged" } else { "" };
            format!("key {fingerprint}, which has not signed itself{how}")
        })?;
        let revoked = revocation(own_revocations(&packets));
        let primary = Signer {
            from: packets.primary_key.created_at().as_secs(),
            until: own.expiry(packets.primary_key.created_at()),
            revoked,
            key: SignerKey::Primary(packets.primary_key.clone()),
        };
        let mut signers = Vec::new();
        // What a weak key says of itself and of its subkeys anybody may have said.
        if is_strong(packets.primary_key.public_params()) {
            signers = subkey_signers(&packets, &primary, counts);
            if own.may_sign() {
                signers.insert(0, primary);
            }
        }
        let of_signers = signers.iter().filter_map(|signer| signer.revoked);
        let revoked = of_signers.chain(revoked).min();
        Ok(Self { fingerprint, signers, packets, sha1_until, revoked })
    }

    /// Takes what another copy of the same certificate says too: a renewal, or a revocation.
    pub(super) fn merge(
        self,
        other: SignedPublicKey,
        sha1_until: Option<u64>,
    ) -> Result<Self, String> {
        let mut packets = self.packets;
        key_file::merge(&mut packets, other);
        Self::new(packets, self.sha1_until.max(sha1_until))
    }

    /// What is known of it, as it is kept.
    pub(super) fn copy(&self) -> Option<String> {
        copy::armored(&self.packets)
    }

    /// Whether no revocation takes away what one of its keys signed at `time`, as it was accepted then.
    pub(super) fn stands_by(&self, time: Option<u64>) -> bool {
        match self.revoked {
            None => true,
            Some(Revoked::Always) => false,
            Some(Revoked::Since(moment)) => time.is_some_and(|time| time < u64::from(moment)),
        }
    }

    /// Why none of its keys signs anything more at `now`.
    pub(super) fn end(&self, now: u64) -> Option<KeyEnd> {
        if self.revoked.is_some() {
            return Some(KeyEnd::Revoked);
        }
        let ends: Option<Vec<u32>> = self.signers.iter().map(|signer| signer.until).collect();
        let last = u64::from(ends?.into_iter().max()?);
        (last <= now).then_some(KeyEnd::Expired(last))
    }

    /// What it is, for messages about a certificate that cannot sign anything.
    pub(super) fn kind(&self) -> String {
        kind(&self.packets)
    }
}

impl Signer {
    /// Whether a signature made at `time` (seconds since 1970) counts.
    pub(super) fn standing_at(&self, time: u32) -> Standing {
        let revoked = match self.revoked {
            None => false,
            Some(Revoked::Always) => true,
            Some(Revoked::Since(moment)) => time >= moment,
        };
        if revoked {
            return Standing::Revoked;
        }
        let in_time = time >= self.from && self.until.is_none_or(|until| time < until);
        if in_time { Standing::Good } else { Standing::Outside }
    }

    /// Whether `signature` names this key, or nobody. A key id is as good as a fingerprint: it
    /// only says which key to try.
    pub(super) fn may_have_made(&self, signature: &Signature) -> bool {
        let (ids, fingerprints) = (signature.issuer_key_id(), signature.issuer_fingerprint());
        let (id, fingerprint) = match &self.key {
            SignerKey::Primary(key) => (key.legacy_key_id(), key.fingerprint()),
            SignerKey::Subkey(key) => (key.legacy_key_id(), key.fingerprint()),
        };
        names_nobody(signature) || ids.contains(&&id) || fingerprints.contains(&&fingerprint)
    }

    /// Whether `signature` over `data` is this key's.
    pub(super) fn made(&self, signature: &Signature, data: &[u8]) -> bool {
        match &self.key {
            SignerKey::Primary(key) => signature.verify(key, data).is_ok(),
            SignerKey::Subkey(key) => signature.verify(key, data).is_ok(),
        }
    }
}

/// Whether a signature leaves open whose it is.
pub(super) fn names_nobody(signature: &Signature) -> bool {
    signature.issuer_key_id().is_empty() && signature.issuer_fingerprint().is_empty()
}

/// A key and its kind, in words.
fn kind(packets: &SignedPublicKey) -> String {
    let key = &packets.primary_key;
    let algorithm = key_file::named(key.algorithm().into());
    let version = u8::from(key.version());
    format!("key {:X} ({algorithm}, OpenPGP version {version})", key.fingerprint())
}

/// The full fingerprint, where the key's version has one that identifies it.
pub(super) fn fingerprint(key: &PublicKey) -> Option<Fingerprint> {
    Fingerprint::new(&format!("{:X}", key.fingerprint())).ok()
}

/// The signatures by which the primary key describes itself: the newest over its primary user, and the
/// newest over the key. There is one of them at least.
struct OwnSignatures<'a> {
    user: Option<&'a Signature>,
    key: Option<&'a Signature>,
}

impl<'a> OwnSignatures<'a> {
    /// Those of `packets` that verify, and that `counts` lets count.
    fn of(packets: &'a SignedPublicKey, counts: impl Fn(&Signature) -> bool) -> Option<Self> {
        let primary = &packets.primary_key;
        let direct = packets.details.direct_signatures.iter().filter(|signature| {
            let is_it = signature.typ() == Some(SignatureType::Key) && counts(signature);
            is_it && signature.verify_key(primary).is_ok()
        });
        let mut users: Vec<UserSignature<'_>> = Vec::new();
        for user in &packets.details.users {
            users.extend(UserSignature::of(user, primary, &counts));
        }
        // A key whose users are all revoked is still what it says of itself.
        if users.iter().any(|user| !user.is_revoked) {
            users.retain(|user| !user.is_revoked);
        }
        let rank = |user: &UserSignature<'_>| (user.newest.is_primary(), user.newest.created());
        let user = users.into_iter().max_by_key(rank).map(|user| user.newest);
        let key = direct.max_by_key(|signature| signature.created());
        (user.is_some() || key.is_some()).then_some(Self { user, key })
    }

    /// What the user's signature says, or else the key's.
    fn first<T>(&self, says: impl Fn(&Signature) -> Option<T>) -> Option<T> {
        self.user.and_then(&says).or_else(|| self.key.and_then(&says))
    }

    /// When the key expires, which was made at `created`.
    fn expiry(&self, created: Timestamp) -> Option<u32> {
        let lifetime = self.first(Signature::key_expiration_time);
        let own = self.user.or(self.key).and_then(end);
        lifetime.and_then(|lifetime| after(created, lifetime)).into_iter().chain(own).min()
    }

    /// Whether the primary key may sign data: yes where it does not say.
    fn may_sign(&self) -> bool {
        let flags = |signature: &Signature| {
            let is_flags = |packet: &Subpacket| matches!(packet.data, SubpacketData::KeyFlags(_));
            let says = signature.config()?.hashed_subpackets().any(is_flags);
            says.then(|| signature.key_flags().sign())
        };
        self.first(flags).unwrap_or(true)
    }
}

/// The newest signature by which the primary key describes a user.
struct UserSignature<'a> {
    newest: &'a Signature,
    /// Whether the key took it back, no earlier.
    is_revoked: bool,
}

impl<'a> UserSignature<'a> {
    fn of(
        user: &'a SignedUser,
        primary: &PublicKey,
        counts: impl Fn(&Signature) -> bool,
    ) -> Option<Self> {
        let is_own = |signature: &&Signature| {
            signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        };
        let is_revocation =
            |signature: &Signature| signature.typ() == Some(SignatureType::CertRevocation);
        let certifies = |signature: &&Signature| {
            signature.is_certification() && !is_revocation(signature) && counts(signature)
        };
        let own = user.signatures.iter().filter(certifies).filter(is_own);
        let newest = own.max_by_key(|signature| signature.created())?;
        let mut revocations = user.signatures.iter().filter(|it| is_revocation(it)).filter(is_own);
        let is_revoked = revocations.any(|revocation| revocation.created() >= newest.created());
        Some(Self { newest, is_revoked })
    }
}

/// Whether a self-signature's hash is one that nobody forges.
fn counts(signature: &Signature, sha1_until: Option<u64>) -> bool {
    match signature.hash_alg() {
        Some(HashAlgorithm::Sha1) => {
            let made = signature.created().map(|time| u64::from(time.as_secs()));
            made.zip(sha1_until).is_some_and(|(made, until)| made <= until)
        }
        Some(
            HashAlgorithm::Sha224
            | HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512,
        ) => true,
        _ => false,
    }
}

/// The verified revocations of the whole certificate.
fn own_revocations(packets: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    packets.details.revocation_signatures.iter().filter(|signature| {
        signature.typ() == Some(SignatureType::KeyRevocation)
            && signature.verify_key(&packets.primary_key).is_ok()
    })
}

/// What revocations mean together: the hardest, or the earliest.
fn revocation<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<Revoked> {
    let meaning = |signature: &Signature| match signature.revocation_reason_code() {
        Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired) => {
            signature.created().map_or(Revoked::Always, |time| Revoked::Since(time.as_secs()))
        }
        _ => Revoked::Always,
    };
    signatures.map(meaning).min()
}

/// The subkeys that may sign data, none of them with more freedom than the primary key has.
fn subkey_signers(
    packets: &SignedPublicKey,
    primary: &Signer,
    counts: impl Fn(&Signature) -> bool,
) -> Vec<Signer> {
    let strong = packets.public_subkeys.iter().filter(|sub| is_strong(sub.key.public_params()));
    strong.filter_map(|subkey| subkey_signer(subkey, packets, primary, &counts)).collect()
}

fn subkey_signer(
    subkey: &SignedPublicSubKey,
    packets: &SignedPublicKey,
    primary: &Signer,
    counts: impl Fn(&Signature) -> bool,
) -> Option<Signer> {
    let of_type = |wanted: SignatureType| {
        subkey.signatures.iter().filter(move |signature| {
            signature.typ() == Some(wanted)
                && signature.verify_subkey_binding(&packets.primary_key, &subkey.key).is_ok()
        })
    };
    let agreement = |binding: &'_ Signature| {
        let back = binding.embedded_signature().filter(|back| counts(back))?;
        back.verify_primary_key_binding(&subkey.key, &packets.primary_key).ok().map(|()| end(back))
    };
    let bindings = of_type(SignatureType::SubkeyBinding).filter(|signature| counts(signature));
    // Of two copies of one, whoever passed it on may have left the agreement out.
    let rank = |binding: &&Signature| (binding.created(), agreement(binding).is_some());
    let binding = bindings.max_by_key(rank)?;
    let agreed_until = agreement(binding)?;
    if !binding.key_flags().sign() {
        return None;
    }
    let revoked = revocation(of_type(SignatureType::SubkeyRevocation));
    let until = binding.key_expiration_time();
    let until = until.and_then(|lifetime| after(subkey.key.created_at(), lifetime));
    let ends = [until, end(binding), agreed_until, primary.until];
    Some(Signer {
        from: primary.from.max(subkey.key.created_at().as_secs()),
        until: ends.into_iter().flatten().min(),
        revoked: revoked.into_iter().chain(primary.revoked).min(),
        key: SignerKey::Subkey(subkey.key.clone()),
    })
}

/// The second at which a signature itself expires.
pub(super) fn end(signature: &Signature) -> Option<u32> {
    after(signature.created()?, signature.signature_expiration_time()?)
}

/// The second so long after `time`; none for a duration of nothing, which means that there is no end.
fn after(time: Timestamp, duration: Duration) -> Option<u32> {
    let seconds = Some(duration.as_secs()).filter(|&seconds| seconds > 0);
    seconds.map(|seconds| time.as_secs().saturating_add(seconds))
}

/// RSA of at least [`MIN_RSA_BITS`], or a signature scheme on an elliptic curve. DSA is out.
fn is_strong(params: &PublicParams) -> bool {
    match params {
        PublicParams::RSA(_) => rsa_bits(params) >= MIN_RSA_BITS,
        PublicParams::ECDSA(_)
        | PublicParams::EdDSALegacy(_)
        | PublicParams::Ed25519(_)
        | PublicParams::Ed448(_) => true,
        _ => false,
    }
}

/// Bits of an RSA modulus: the number with which its encoding begins (RFC 9580, 3.2).
fn rsa_bits(params: &PublicParams) -> u16 {
    let mut bytes = Vec::new();
    match params.to_writer(&mut bytes) {
        Ok(()) => bytes.first_chunk().map_or(0, |first| u16::from_be_bytes(*first)),
        Err(_) => 0,
    }
}
