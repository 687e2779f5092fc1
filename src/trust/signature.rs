//! Signatures over data, and the rule by which one counts: a binary signature with SHA-256 or
//! better, by a key of an allowed certificate, made while that key was valid, and not over since where it
//! says itself when it will be (RFC 9580, 5.2.3.18). Packets of version
//! 3, 4 and 6 are read: RPM itself wrote version 3 until 2019.

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Packet, Signature, SignatureType};

use crate::model::Fingerprint;

use super::SignatureProblem;
use super::certificate::{Certificate, Standing, end, names_nobody};
use super::packets::{Block, Label, RawPacket, bare_block, blocks};

/// More signatures than anybody puts side by side.
pub(super) const MAX_SIGNATURES: usize = 16;

/// Who signed, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// Fingerprint of the primary key, also where a subkey signed.
    pub fingerprint: Fingerprint,
    /// When, in seconds since 1970, as the signature itself says.
    pub signed_at: Option<u64>,
}

/// The signatures in `bytes`, armored in as many blocks as there are, or not. Whatever else is there
/// is passed over, signatures of an unknown kind too.
pub(super) fn parse(bytes: &[u8]) -> Vec<Signature> {
    signatures(blocks(bytes, Label::Signature))
}

/// The signatures in base64 without armor, as RPM 6 keeps them.
pub(super) fn parse_base64(text: &str) -> Vec<Signature> {
    signatures([bare_block(text)])
}

fn signatures(blocks: impl IntoIterator<Item = Block>) -> Vec<Signature> {
    let packets = blocks.into_iter().flat_map(|block| block.packets);
    let signature = |packet: RawPacket| match packet.parse() {
        Some(Packet::Signature(signature)) => Some(signature),
        _ => None,
    };
    packets.take(MAX_SIGNATURES).filter_map(signature).collect()
}

/// The first signature that counts, or what says most about why none does. Without a `now`, in seconds since
/// 1970, none counts that is to end.
pub(super) fn verify<'a>(
    signatures: &[Signature],
    data: &[u8],
    certificates: impl Iterator<Item = &'a Certificate> + Clone,
    now: Option<u64>,
) -> Result<SignedBy, SignatureProblem> {
    let mut problem = SignatureProblem::Missing;
    for signature in signatures {
        match judge(signature, data, certificates.clone(), now) {
            Ok(signed_by) => return Ok(signed_by),
            Err(other) => problem = problem.max(other),
        }
    }
    Err(problem)
}

fn judge<'a>(
    signature: &Signature,
    data: &[u8],
    certificates: impl Iterator<Item = &'a Certificate>,
    now: Option<u64>,
) -> Result<SignedBy, SignatureProblem> {
    let created = signature.created().ok_or(SignatureProblem::Unreadable)?.as_secs();
    if signature.typ() != Some(SignatureType::Binary) {
        return Err(SignatureProblem::Unreadable);
    }
    check_hash(signature)?;
    let mut problem = SignatureProblem::UnknownKey(issuer(signature));
    for certificate in certificates {
        for signer in certificate.signers.iter().filter(|key| key.may_have_made(signature)) {
            let fingerprint = certificate.fingerprint.clone();
            let found = match (signer.made(signature, data), signer.standing_at(created)) {
                (true, Standing::Good) if is_over(signature, now) => {
                    SignatureProblem::Expired(fingerprint)
                }
                (true, Standing::Good) => return Ok(signed_by(certificate, created)),
                (true, Standing::Outside) => SignatureProblem::Outside(fingerprint),
                (true, Standing::Revoked) => SignatureProblem::Revoked(fingerprint),
                (false, _) if names_nobody(signature) => continue,
                (false, _) => SignatureProblem::Bad(fingerprint),
            };
            problem = problem.max(found);
        }
    }
    Err(problem)
}

/// Whether the signature has an end that is not known to lie ahead.
fn is_over(signature: &Signature, now: Option<u64>) -> bool {
    end(signature).is_some_and(|end| now.is_none_or(|now| now >= u64::from(end)))
}

fn signed_by(certificate: &Certificate, created: u32) -> SignedBy {
    SignedBy { fingerprint: certificate.fingerprint.clone(), signed_at: Some(created.into()) }
}

fn check_hash(signature: &Signature) -> Result<(), SignatureProblem> {
    match signature.hash_alg() {
        Some(
            HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512,
        ) => Ok(()),
        Some(other) => Err(SignatureProblem::Weak(other.to_string())),
        None => Err(SignatureProblem::Unreadable),
    }
}

/// The key that a signature names, for messages.
fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|print| format!("{print:X}"));
    let id = || signature.issuer_key_id().first().map(|id| id.to_string().to_uppercase());
    fingerprint.or_else(id).unwrap_or_else(|| "(unnamed)".to_owned())
}
