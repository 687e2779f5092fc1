//! Key files: the certificates in them, and what else they hold. Distributions put keys side by
//! side that not every program can use, for another standard's version or algorithm: one that
//! cannot be used condemns only itself.

use pgp::composed::{SignedKeyDetails, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Packet, Signature, SignatureType};
use pgp::types::{KeyDetails, SignedUser, Tag};

use super::TrustError;
use super::packets::{Block, Label, RawPacket, blocks};

/// Key files are a few kilobytes; the largest collections of a distribution, some hundred.
const MAX_KEY_FILE: usize = 4 << 20;
/// Longest user id, which each of its signatures takes in. GnuPG knows no longer ones.
const LONGEST_USER: usize = 2048;
/// How an armored private key begins.
const PRIVATE: &[u8] = b"-----BEGIN PGP PRIVATE KEY BLOCK-----";

/// What a key file holds.
#[derive(Default)]
pub(super) struct KeyFile {
    /// Its certificates, in its order; all copies of one are one.
    pub(super) keys: Vec<SignedPublicKey>,
    /// What else was there that looks like a key, in words.
    pub(super) unusable: Vec<String>,
}

impl KeyFile {
    /// Reads a file: armored, in as many blocks as there are, or binary.
    pub(super) fn read(file: &[u8]) -> Result<Self, TrustError> {
        if file.len() > MAX_KEY_FILE {
            return Err(TrustError::KeyFile("it is far too large".into()));
        }
        let mut read = Self::default();
        let mut loose = Vec::new();
        for block in blocks(file, Label::PublicKey) {
            loose.extend(read.take_block(&block));
        }
        if file.windows(PRIVATE.len()).any(|window| window == PRIVATE) {
            read.unusable.push("a private key, which nobody but its owner should have".to_owned());
        }
        for revocation in loose {
            let named = |key: &&mut SignedPublicKey| names(&revocation, &key.primary_key);
            if let Some(key) = read.keys.iter_mut().find(named) {
                key.details.revocation_signatures.push(revocation);
            }
        }
        Ok(read)
    }

    /// What is wrong with a file of which no key can be used.
    pub(super) fn problem(unusable: &[String]) -> TrustError {
        const SHOWN: usize = 5;
        let mut words = unusable.iter().take(SHOWN).cloned().collect::<Vec<_>>();
        if unusable.len() > SHOWN {
            words.push(format!("{} more", unusable.len() - SHOWN));
        }
        TrustError::KeyFile(match words.as_slice() {
            [] => "it holds no OpenPGP public key".to_owned(),
            words => format!("it holds {}", words.join("; ")),
        })
    }

    /// Takes a block's certificates, and returns revocations that stand before all of them: as
    /// owners keep them in a drawer, without the key.
    fn take_block(&mut self, block: &Block) -> Vec<Signature> {
        let begins = |packet: &RawPacket| matches!(packet.tag, Tag::PublicKey | Tag::SecretKey);
        let first = block.packets.iter().position(begins).unwrap_or(block.packets.len());
        let (loose, rest) = block.packets.split_at(first);
        let mut certificates: Vec<&[RawPacket]> = Vec::new();
        let mut left = rest;
        while !left.is_empty() {
            let next = left.iter().skip(1).position(begins).map_or(left.len(), |at| at + 1);
            let (one, after) = left.split_at(next);
            certificates.push(one);
            left = after;
        }
        let last = certificates.len().checked_sub(1);
        for (number, packets) in certificates.into_iter().enumerate() {
            // The end of the last one is missing, and with it perhaps a revocation.
            let damage = block.damage.filter(|_| Some(number) == last);
            match certificate(packets) {
                Ok(key) if damage.is_none() => self.add(key),
                Ok(key) => self.unusable.push(format!(
                    "a damaged copy of key {:X} ({})",
                    key.primary_key.fingerprint(),
                    damage.unwrap_or_default()
                )),
                Err(what) => self.unusable.push(what),
            }
        }
        if let (None, Some(damage)) = (last, block.damage) {
            self.unusable.push(format!("something that cannot be read as a key ({damage})"));
        }
        let signatures = loose.iter().filter_map(signature);
        signatures.filter(|one| one.typ() == Some(SignatureType::KeyRevocation)).collect()
    }

    fn add(&mut self, key: SignedPublicKey) {
        match self.keys.iter_mut().find(|known| known.primary_key == key.primary_key) {
            Some(known) => merge(known, key),
            None => self.keys.push(key),
        }
    }
}

/// Takes what another copy of the same certificate says too: a renewal, or a revocation.
pub(super) fn merge(known: &mut SignedPublicKey, other: SignedPublicKey) {
    add(&mut known.details.revocation_signatures, other.details.revocation_signatures);
    add(&mut known.details.direct_signatures, other.details.direct_signatures);
    for user in other.details.users {
        let same = |known: &&mut SignedUser| known.id == user.id;
        match known.details.users.iter_mut().find(same) {
            Some(known) => add(&mut known.signatures, user.signatures),
            None => known.details.users.push(user),
        }
    }
    for subkey in other.public_subkeys {
        let same = |known: &&mut SignedPublicSubKey| known.key == subkey.key;
        match known.public_subkeys.iter_mut().find(same) {
            Some(known) => add(&mut known.signatures, subkey.signatures),
            None => known.public_subkeys.push(subkey),
        }
    }
}

/// Adds those signatures that are not there yet.
fn add(known: &mut Vec<Signature>, more: Vec<Signature>) {
    for signature in more {
        if !known.contains(&signature) {
            known.push(signature);
        }
    }
}

/// The certificate that these packets are, the first of which is its key. Packets that are not
/// understood are left out with the signatures behind them. The error is what it is instead.
fn certificate(packets: &[RawPacket]) -> Result<SignedPublicKey, String> {
    let (first, rest) = packets.split_first().ok_or_else(String::new)?;
    let Some(Packet::PublicKey(primary)) = first.parse() else {
        return Err(describe(first));
    };
    let details = SignedKeyDetails::new(Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut key = SignedPublicKey::new(primary, details, Vec::new());
    let mut owner = Owner::Key;
    for packet in rest {
        match (packet.tag, packet.parse()) {
            (_, Some(Packet::Signature(signature))) => owner.sign(&mut key, signature),
            (_, Some(Packet::UserId(user))) if packet.body().len() <= LONGEST_USER => {
                key.details.users.push(SignedUser::new(user, Vec::new()));
                owner = Owner::User;
            }
            (_, Some(Packet::PublicSubkey(subkey)))
                if subkey.version() == key.primary_key.version() =>
            {
                key.public_subkeys.push(SignedPublicSubKey::new(subkey, Vec::new()));
                owner = Owner::Subkey;
            }
            // Programs leave these between others for themselves.
            (Tag::Signature | Tag::Trust | Tag::Marker | Tag::Padding, _) => {}
            _ => owner = Owner::Nobody,
        }
    }
    Ok(key)
}

/// Whose the signatures are that come next.
enum Owner {
    Key,
    User,
    Subkey,
    Nobody,
}

impl Owner {
    fn sign(&self, key: &mut SignedPublicKey, signature: Signature) {
        let signatures = match self {
            _ if signature.typ() == Some(SignatureType::KeyRevocation) => {
                Some(&mut key.details.revocation_signatures)
            }
            Self::Key => Some(&mut key.details.direct_signatures),
            Self::User => key.details.users.last_mut().map(|user| &mut user.signatures),
            Self::Subkey => key.public_subkeys.last_mut().map(|subkey| &mut subkey.signatures),
            Self::Nobody => None,
        };
        if let Some(signatures) = signatures {
            signatures.push(signature);
        }
    }
}

/// The signature in a packet, if that is one that is understood.
fn signature(packet: &RawPacket) -> Option<Signature> {
    match packet.parse() {
        Some(Packet::Signature(signature)) => Some(signature),
        _ => None,
    }
}

fn names(signature: &Signature, key: &impl KeyDetails) -> bool {
    let (id, fingerprint) = (key.legacy_key_id(), key.fingerprint());
    signature.issuer_key_id().contains(&&id)
        || signature.issuer_fingerprint().contains(&&fingerprint)
}

/// What a key is that cannot be read, in words.
fn describe(packet: &RawPacket) -> String {
    if packet.tag == Tag::SecretKey {
        return "a private key, which nobody but its owner should have".to_owned();
    }
    let version = packet.body().first().copied().unwrap_or_default();
    // Version 3 has the days of its validity in between.
    let at = if version > 3 { 5 } else { 7 };
    let algorithm = packet.body().get(at).map_or_else(String::new, |&number| named(number));
    format!("an OpenPGP key of version {version} ({algorithm}), which is not supported")
}

/// An algorithm of a public key, by the number that OpenPGP gives it.
pub(super) fn named(algorithm: u8) -> String {
    let name = match algorithm {
        1..=3 => "RSA",
        16 | 20 => "ElGamal",
        17 => "DSA",
        18 => "ECDH",
        19 => "ECDSA",
        22 => "EdDSA",
        25 => "X25519",
        26 => "X448",
        27 => "Ed25519",
        28 => "Ed448",
        30 => "ML-DSA-65 with Ed25519",
        31 => "ML-DSA-87 with Ed448",
        32..=34 => "SLH-DSA",
        35 => "ML-KEM-768 with X25519",
        36 => "ML-KEM-1024 with X448",
        other => return format!("algorithm {other}"),
    };
    name.to_owned()
}
