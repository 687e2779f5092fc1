//! Keys that were given as trusted, by fingerprint or by the user, and what they vouch for.

use pgp::composed::SignedPublicKey;
use pgp::packet::Signature;

use crate::model::{Day, Fingerprint, KeyPin};

use super::certificate::{Certificate, KeyEnd, fingerprint};
use super::key_file::KeyFile;
use super::{SignatureProblem, SignedBy, TrustError, signature};

/// Certificates, each in here because its full fingerprint was pinned or because the user named
/// its file. Which of them may vouch for something is said anew at every use.
#[derive(Debug, Default)]
pub struct Keyring {
    certificates: Vec<Certificate>,
    passed_over: Vec<String>,
    now: Option<u64>,
}

impl Keyring {
    /// A keyring that trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A keyring that trusts nobody, and holds signatures that end against `now`, in seconds since 1970.
    /// To one without a clock they are over.
    #[must_use]
    pub fn at(now: u64) -> Self {
        Self { now: Some(now), ..Self::default() }
    }

    /// Takes the key whose primary fingerprint is `pin` out of `file`: armored, in as many blocks
    /// as there are, or binary. No other key of the file is taken.
    ///
    /// # Errors
    /// When the file does not hold that key, or the key has not signed itself.
    pub fn add_pinned(&mut self, file: &[u8], pin: &Fingerprint) -> Result<(), TrustError> {
        self.add_one(file, pin, None)
    }

    /// The same for a key as a definition pins it, with the exception that it may make.
    ///
    /// # Errors
    /// As [`Self::add_pinned`].
    pub fn add_pin(&mut self, file: &[u8], pin: &KeyPin) -> Result<(), TrustError> {
        self.add_one(file, &pin.fingerprint, pin.sha1_until.map(Day::end))
    }

    fn add_one(
        &mut self,
        file: &[u8],
        pin: &Fingerprint,
        sha1_until: Option<u64>,
    ) -> Result<(), TrustError> {
        let file = KeyFile::read(file)?;
        let mut others = Vec::new();
        for key in file.keys {
            match fingerprint(&key.primary_key) {
                Some(print) if print == *pin => {
                    let added = self.add(key, sha1_until).map(drop);
                    return added.map_err(|what| KeyFile::problem(&[what]));
                }
                other => others.extend(other),
            }
        }
        match others.as_slice() {
            [] => Err(KeyFile::problem(&file.unusable)),
            _ => Err(TrustError::PinMissing { pin: pin.clone(), found: others }),
        }
    }

    /// Takes every key of a file that the user named, and says which. What else is in the file is
    /// [passed over](Self::passed_over).
    ///
    /// # Errors
    /// When the file holds no key that can be used.
    pub fn add_trusted(&mut self, file: &[u8]) -> Result<Vec<Fingerprint>, TrustError> {
        let KeyFile { keys, mut unusable } = KeyFile::read(file)?;
        let mut added = Vec::new();
        for key in keys {
            match self.add(key, None).and_then(|print| self.check_use(print)) {
                Ok(print) => added.push(print),
                Err(what) => unusable.push(what),
            }
        }
        if added.is_empty() {
            return Err(KeyFile::problem(&unusable));
        }
        self.passed_over.append(&mut unusable);
        Ok(added)
    }

    /// What files that the user named hold besides keys that can be used, in words.
    #[must_use]
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// Whether the key of `print` is in here.
    #[must_use]
    pub(crate) fn has(&self, print: &Fingerprint) -> bool {
        self.find(print).is_some()
    }

    /// What is known of the certificate of `print`, armored, without what others than its own key signed;
    /// none where it is not in here.
    #[must_use]
    pub fn copy_of(&self, print: &Fingerprint) -> Option<String> {
        self.find(print)?.copy()
    }

    /// Whether what the key of `print` signed at `time`, in seconds since 1970, and what was accepted then, is
    /// taken away by no revocation that is known here.
    #[must_use]
    pub(crate) fn stands_by(&self, print: &Fingerprint, time: Option<u64>) -> bool {
        self.find(print).is_none_or(|known| known.stands_by(time))
    }

    /// Why the key of `print` signs nothing more, if that is so now.
    #[must_use]
    pub(crate) fn end_of(&self, print: &Fingerprint) -> Option<KeyEnd> {
        self.find(print)?.end(self.now?)
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
            return Err(TrustError::Signature(SignatureProblem::Unreadable));
        }
        self.verify(&signatures, data, allowed).map_err(TrustError::Signature)
    }

    /// The first of `signatures` that counts, or why none does. Only keys in `allowed` count.
    pub(super) fn verify(
        &self,
        signatures: &[Signature],
        data: &[u8],
        allowed: &[Fingerprint],
    ) -> Result<SignedBy, SignatureProblem> {
        signature::verify(signatures, data, self.among(allowed), self.now)
    }

    fn find(&self, print: &Fingerprint) -> Option<&Certificate> {
        self.certificates.iter().find(|known| known.fingerprint == *print)
    }

    /// The certificates whose fingerprint is in `allowed`.
    fn among<'a>(
        &'a self,
        allowed: &'a [Fingerprint],
    ) -> impl Iterator<Item = &'a Certificate> + Clone {
        self.certificates.iter().filter(|known| allowed.contains(&known.fingerprint))
    }

    fn add(
        &mut self,
        key: SignedPublicKey,
        sha1_until: Option<u64>,
    ) -> Result<Fingerprint, String> {
        let print = fingerprint(&key.primary_key);
        let known =
            self.certificates.iter().position(|known| Some(&known.fingerprint) == print.as_ref());
        let certificate = match known {
            Some(position) => self.certificates.swap_remove(position).merge(key, sha1_until),
            None => Certificate::new(key, sha1_until),
        }?;
        let print = certificate.fingerprint.clone();
        self.certificates.push(certificate);
        Ok(print)
    }

    /// Refuses a key that could sign nothing: it would be told as unknown when it is too late.
    fn check_use(&self, print: Fingerprint) -> Result<Fingerprint, String> {
        match self.find(&print).filter(|known| known.signers.is_empty()) {
            Some(known) => Err(format!("{}, which is too weak or may not sign", known.kind())),
            None => Ok(print),
        }
    }
}
