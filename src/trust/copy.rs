//! A certificate as it is kept: what its own primary key signed, once. What others add to a copy is worth
//! nothing and would only grow.

use pgp::composed::{ArmorOptions, SignedKeyDetails, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{PublicKey, Signature, SignatureType};
use pgp::types::{SignedUser, Tag};

/// The certificate without what its primary key did not sign, armored.
pub(super) fn armored(packets: &SignedPublicKey) -> Option<String> {
    own(packets).to_armored_string(ArmorOptions::default()).ok()
}

fn own(packets: &SignedPublicKey) -> SignedPublicKey {
    let (primary, details) = (&packets.primary_key, &packets.details);
    let over_key = |signatures: &[Signature], kind: SignatureType| {
        once(signatures, |signature| {
            signature.typ() == Some(kind) && signature.verify_key(primary).is_ok()
        })
    };
    let user = |user: &SignedUser| {
        let is_own = |signature: &Signature| {
            signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        };
        SignedUser::new(user.id.clone(), once(&user.signatures, is_own))
    };
    let subkey = |subkey: &SignedPublicSubKey| {
        let is_own = |signature: &Signature| binds(signature, primary, subkey);
        SignedPublicSubKey::new(subkey.key.clone(), once(&subkey.signatures, is_own))
    };
    // Users and subkeys without a signature are left out there.
    let details = SignedKeyDetails::new(
        over_key(&details.revocation_signatures, SignatureType::KeyRevocation),
        over_key(&details.direct_signatures, SignatureType::Key),
        details.users.iter().map(user).collect(),
        Vec::new(),
    );
    let subkeys = packets.public_subkeys.iter().map(subkey).collect();
    SignedPublicKey::new(primary.clone(), details, subkeys)
}

/// Whether the primary key binds or revokes a subkey by this; and the subkey agrees, where it is said that
/// it does: anybody may have added that.
fn binds(signature: &Signature, primary: &PublicKey, subkey: &SignedPublicSubKey) -> bool {
    let agrees = |back: &Signature| back.verify_primary_key_binding(&subkey.key, primary).is_ok();
    signature.verify_subkey_binding(primary, &subkey.key).is_ok()
        && signature.embedded_signature().is_none_or(agrees)
}

/// Those signatures that `is_own` takes, of several that say the same one.
fn once(signatures: &[Signature], is_own: impl Fn(&Signature) -> bool) -> Vec<Signature> {
    let mut kept: Vec<Signature> = Vec::new();
    for signature in signatures.iter().filter(|signature| is_own(signature)) {
        if !kept.iter().any(|known| says_the_same(known, signature)) {
            kept.push(signature.clone());
        }
    }
    kept
}

/// Whether two signatures of one key say the same: what is not signed of a signature anybody can change, but
/// for a subkey's agreement, which has its own.
fn says_the_same(one: &Signature, other: &Signature) -> bool {
    let said = |signature: &Signature| {
        let config = signature.config()?;
        let agrees = signature.embedded_signature().is_some();
        Some((config.typ(), config.hash_alg, signature.created(), agrees))
    };
    let signed = |signature: &Signature| Some(signature.config()?.hashed_subpackets.clone());
    said(one).is_some() && said(one) == said(other) && signed(one) == signed(other)
}
