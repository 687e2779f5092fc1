//! Keys that were given as trusted, by fingerprint or by the user, and what they vouch for.

use pgp::composed::{Deserializable, SignedPublicKey};

use crate::model::Fingerprint;

use super::certificate::{Certificate, fingerprint};
use super::{SignedBy, TrustError, signature};

/// Key files are a few kilobytes; the largest collections of a distribution, some hundred.
const MAX_KEY_FILE: usize = 4 << 20;
/// More certificates than a key file of a distribution holds.
const MAX_CERTIFICATES: usize = 256;
/// How an armored public key begins.
const ARMOR: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Certificates, each in here because its full fingerprint was pinned or because the user named
/// its file. Which of them may vouch for something is said anew at every use.
#[derive(Debug, Default)]
pub struct Keyring {
    certificates: Vec<Certificate>,
}

impl Keyring {
    /// A keyring that trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the key whose primary fingerprint is `pin` out of `file`: armored, in as many blocks
    /// as there are, or binary. No other key of the file is taken.
    ///
    /// # Errors
    /// When the file does not hold that key, or the key has not signed itself.
    pub fn add_pinned(&mut self, file: &[u8], pin: &Fingerprint) -> Result<(), TrustError> {
        let (keys, problem) = parse(file)?;
        let (mut is_there, mut others) = (false, Vec::new());
        for key in keys {
            match fingerprint(&key.primary_key) {
                Some(print) if print == *pin => {
                    self.add(key)?;
                    is_there = true;
                }
                other => others.extend(other),
            }
        }
        match problem {
            _ if is_there => Ok(()),
            Some(problem) if others.is_empty() => Err(problem),
            _ => Err(TrustError::PinMissing { pin: pin.clone(), found: others }),
        }
    }

    /// Takes every key of a file that the user named, and says which.
    ///
    /// # Errors
    /// When the file holds no key, or one that cannot be used.
    pub fn add_trusted(&mut self, file: &[u8]) -> Result<Vec<Fingerprint>, TrustError> {
        let (keys, problem) = parse(file)?;
        match problem {
            Some(problem) => Err(problem),
            None => keys.into_iter().map(|key| self.add(key)).collect(),
        }
    }

    /// Verifies a detached signature (`repomd.xml.asc`), armored or not, over `data`. Only keys
    /// in `allowed` count.
    ///
    /// # Errors
    /// [`TrustError::Signature`], when no signature counts.
    pub fn verify_detached(
        &self,
        data: &[u8],
        signature: &[u8],
        allowed: &[Fingerprint],
    ) -> Result<SignedBy, TrustError> {
        let signatures = signature::parse(signature);
        if signatures.is_empty() && !signature.is_empty() {
            return Err(TrustError::Signature(signature::SignatureProblem::Unreadable));
        }
        signature::verify(&signatures, data, self.among(allowed)).map_err(TrustError::Signature)
    }

    /// The certificates whose fingerprint is in `allowed`.
    pub(super) fn among<'a>(
        &'a self,
        allowed: &'a [Fingerprint],
    ) -> impl Iterator<Item = &'a Certificate> + Clone {
        self.certificates.iter().filter(|known| allowed.contains(&known.fingerprint))
    }

    fn add(&mut self, key: SignedPublicKey) -> Result<Fingerprint, TrustError> {
        let print = fingerprint(&key.primary_key)
            .ok_or_else(|| TrustError::KeyFile("it holds a key of an obsolete version".into()))?;
        let known = self.certificates.iter().position(|known| known.fingerprint == print);
        let certificate = match known {
            Some(position) => self.certificates.swap_remove(position).merge(key),
            None => Certificate::new(key),
        };
        let unusable = || TrustError::KeyFile(format!("key {print} has not signed itself"));
        self.certificates.push(certificate.ok_or_else(unusable)?);
        Ok(print)
    }
}

/// The certificates of a file, and the first problem met on the way.
fn parse(file: &[u8]) -> Result<(Vec<SignedPublicKey>, Option<TrustError>), TrustError> {
    if file.len() > MAX_KEY_FILE {
        return Err(TrustError::KeyFile("it is far too large".into()));
    }
    let blocks = match file.first() {
        // OpenPGP packets begin with a byte whose highest bit is set; text does not.
        Some(first) if first & 0x80 != 0 => vec![file],
        _ => armored_blocks(file),
    };
    if blocks.is_empty() {
        return Err(TrustError::KeyFile("it holds no OpenPGP public key".into()));
    }
    let (mut keys, mut problem) = (Vec::new(), None);
    for block in blocks {
        let parsed = SignedPublicKey::from_reader_many_buf(block)
            .and_then(|(found, _)| found.take(MAX_CERTIFICATES).collect::<Result<Vec<_>, _>>());
        match parsed {
            Ok(found) => keys.extend(found),
            Err(error) => {
                problem.get_or_insert(TrustError::KeyFile(error.to_string()));
            }
        }
    }
    if keys.is_empty() && problem.is_none() {
        return Err(TrustError::KeyFile("it holds no OpenPGP public key".into()));
    }
    Ok((keys, problem))
}

/// Every armored public key block, from its first line up to the next block or the end. Readers
/// of OpenPGP stop after the first block of a file.
fn armored_blocks(file: &[u8]) -> Vec<&[u8]> {
    let begins = file.windows(ARMOR.len()).enumerate();
    let starts: Vec<usize> =
        begins.filter(|(_, window)| *window == ARMOR).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([file.len()]);
    starts.iter().zip(ends).filter_map(|(&start, end)| file.get(start..end)).collect()
}
