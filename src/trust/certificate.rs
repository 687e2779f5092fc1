//! One OpenPGP certificate: which of its keys may sign data, and from when to when.
//!
//! Only what the primary key itself has signed counts: certifications by others, and bindings or
//! revocations that do not verify, are as if they were not there. Self-signatures may use SHA-1,
//! as those of EPEL 7 and 8, CentOS and the older AlmaLinux key do: these keys could not be used
//! otherwise, and each is known by its full fingerprint. Signatures over *data* are held to a
//! stricter rule, in [`super::signature`].

use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{
    PublicKey, PublicSubkey, RevocationCode, Signature, SignatureType, SubpacketData,
};
use pgp::ser::Serialize;
use pgp::types::{Duration, KeyDetails, PublicParams, Tag, Timestamp};

use crate::model::Fingerprint;

use super::key_file;

/// The fewest bits of an RSA key that may sign packages. EL's oldest keys have as many.
const MIN_RSA_BITS: u16 = 2048;

/// A certificate and what follows from it.
#[derive(Debug)]
pub(super) struct Certificate {
    /// Fingerprint of the primary key.
    pub(super) fingerprint: Fingerprint,
    /// The keys that may sign data: the primary key, signing subkeys, or both.
    pub(super) signers: Vec<Signer>,
    packets: SignedPublicKey,
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
    /// Verifies the self-signatures of `packets`. The error says what it is that cannot be used: a
    /// key without a fingerprint that can be pinned (OpenPGP version 3), of an unknown algorithm,
    /// or one that has not signed itself.
    pub(super) fn new(packets: SignedPublicKey) -> Result<Self, String> {
        let fingerprint = fingerprint(&packets.primary_key)
            .ok_or_else(|| format!("{}, which is not supported", kind(&packets)))?;
        if matches!(packets.primary_key.public_params(), PublicParams::Unknown { .. }) {
            return Err(format!("{}, which is not supported", kind(&packets)));
        }
        let own = newest_self_signature(&packets)
            .ok_or_else(|| format!("key {fingerprint}, which has not signed itself"))?;
        let revoked = revocation(own_revocations(&packets));
        let primary = Signer {
            from: packets.primary_key.created_at().as_secs(),
            until: expiry(packets.primary_key.created_at(), own),
            revoked,
            key: SignerKey::Primary(packets.primary_key.clone()),
        };
        let mut signers = subkey_signers(&packets, &primary);
        if may_sign(own) && is_strong(packets.primary_key.public_params()) {
            signers.insert(0, primary);
        }
        Ok(Self { fingerprint, signers, packets })
    }

    /// Takes what another copy of the same certificate says too: a renewal, or a revocation.
    pub(super) fn merge(self, other: SignedPublicKey) -> Result<Self, String> {
        let mut packets = self.packets;
        key_file::merge(&mut packets, other);
        Self::new(packets)
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

/// The newest of the signatures by which the primary key describes itself.
fn newest_self_signature(packets: &SignedPublicKey) -> Option<&Signature> {
    let key = &packets.primary_key;
    let direct = packets.details.direct_signatures.iter().filter(|signature| {
        signature.typ() == Some(SignatureType::Key) && signature.verify_key(key).is_ok()
    });
    let of_users = packets.details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|signature| {
            is_certification(signature)
                && signature.verify_certification(key, Tag::UserId, &user.id).is_ok()
        })
    });
    direct.chain(of_users).max_by_key(|signature| signature.created())
}

/// Whether the signature certifies a user id (and does not revoke a certification).
fn is_certification(signature: &Signature) -> bool {
    signature.is_certification() && signature.typ() != Some(SignatureType::CertRevocation)
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
fn subkey_signers(packets: &SignedPublicKey, primary: &Signer) -> Vec<Signer> {
    let strong = packets.public_subkeys.iter().filter(|sub| is_strong(sub.key.public_params()));
    strong.filter_map(|subkey| subkey_signer(subkey, packets, primary)).collect()
}

fn subkey_signer(
    subkey: &SignedPublicSubKey,
    packets: &SignedPublicKey,
    primary: &Signer,
) -> Option<Signer> {
    let of_type = |wanted: SignatureType| {
        subkey.signatures.iter().filter(move |signature| {
            signature.typ() == Some(wanted)
                && signature.verify_subkey_binding(&packets.primary_key, &subkey.key).is_ok()
        })
    };
    let binding =
        of_type(SignatureType::SubkeyBinding).max_by_key(|signature| signature.created())?;
    let back = binding.embedded_signature()?;
    let agreed = back.verify_primary_key_binding(&subkey.key, &packets.primary_key).is_ok();
    if !agreed || !binding.key_flags().sign() {
        return None;
    }
    let revoked = revocation(of_type(SignatureType::SubkeyRevocation));
    let until = expiry(subkey.key.created_at(), binding);
    Some(Signer {
        from: primary.from.max(subkey.key.created_at().as_secs()),
        until: until.into_iter().chain(primary.until).min(),
        revoked: revoked.into_iter().chain(primary.revoked).min(),
        key: SignerKey::Subkey(subkey.key.clone()),
    })
}

/// When a key expires whose newest self-signature is `own`.
fn expiry(created: Timestamp, own: &Signature) -> Option<u32> {
    let lifetime = own.key_expiration_time().map(Duration::as_secs).filter(|&seconds| seconds > 0);
    lifetime.map(|seconds| created.as_secs().saturating_add(seconds))
}

/// Whether a primary key with this self-signature may sign data: yes where it does not say.
fn may_sign(own: &Signature) -> bool {
    let says = own.config().is_some_and(|config| {
        config.hashed_subpackets().any(|packet| matches!(packet.data, SubpacketData::KeyFlags(_)))
    });
    !says || own.key_flags().sign()
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
