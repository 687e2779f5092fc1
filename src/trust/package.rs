//! Opening a package: everything about it is proven but the payload, which is held against the
//! header while it streams through. Of a package that was unpacked before, its head is enough.

use std::io::{self, Read};

use crate::model::{Checksum, Digester, Fingerprint, PlannedPackage, escape};

use super::blob::{self, Blob, LEAD_SIZE, Malformed};
use super::{Header, Keyring, SignatureProblem, SignedBy, TrustError, signature};

/// Tags of the signature header that hold OpenPGP signatures over the header alone: RSA, the
/// elliptic curves (under DSA's name), and RPM 6's list of signatures in base64.
const HEADER_SIGNATURES: [u32; 2] = [268, 267];
const OPENPGP_SIGNATURES: u32 = 278;
/// Tag of the signature header: SHA-256 of the header, in hexadecimal.
const HEADER_SHA256: u32 = 273;

/// Whom a package must come from.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// The keys at hand.
    pub keyring: &'a Keyring,
    /// Those that may have signed this package: its own repository's, and the user's.
    pub allowed: &'a [Fingerprint],
    /// Whether a package without an acceptable signature passes, with a warning. One with a
    /// signature that is *wrong* does not.
    pub allow_unsigned: bool,
}

/// A package whose header is proven, and whose payload is about to be read. Only [`open`] makes
/// one.
#[derive(Debug)]
pub struct Verified<R> {
    header: Header,
    head: Vec<u8>,
    source: Measured<R>,
    package: String,
    size: u64,
    checksum: Checksum,
    warning: Option<String>,
}

/// A package's header, proven, without a payload: what is held against it may come from anywhere. Only
/// [`open_head`] makes one.
#[derive(Debug)]
pub(crate) struct ProvenHeader(Header);

impl ProvenHeader {
    /// What the package says about itself.
    #[must_use]
    pub(crate) fn header(&self) -> &Header {
        &self.0
    }
}

/// That a whole package file was what the plan says, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Bytes of the file.
    pub size: u64,
    /// Digest of the file.
    pub checksum: Checksum,
    /// Whose signature the header carries; `None` when the policy let it pass without.
    pub signed_by: Option<SignedBy>,
}

/// Reads a package's lead, signature header and header from `reader`, and proves that a key of
/// `policy` signed the header, that it is `expected`'s, and that it vouches for every file.
///
/// # Errors
/// [`TrustError`], naming the package.
pub fn open<R: Read>(
    reader: R,
    expected: &PlannedPackage,
    policy: &Policy,
) -> Result<Verified<R>, TrustError> {
    let mut source = Measured::new(reader, expected);
    let Proved { header, head, warning } = prove(&mut source, expected, policy)?;
    let package = expected.nevra.to_string();
    let (size, checksum) = (expected.size, expected.checksum.clone());
    Ok(Verified { header, head, source, package, size, checksum, warning })
}

/// The same of a package's head alone, as [`Verified::parts`] gives it. Nothing proves that the file that it
/// once began was the plan's: so a head without a signature that counts is refused, whatever `policy` says.
///
/// # Errors
/// [`TrustError`], naming the package.
pub(crate) fn open_head(
    mut head: impl Read,
    expected: &PlannedPackage,
    policy: &Policy,
) -> Result<ProvenHeader, TrustError> {
    let policy = Policy { allow_unsigned: false, ..*policy };
    prove(&mut head, expected, &policy).map(|proved| ProvenHeader(proved.header))
}

/// What is proven before the payload is read.
struct Proved {
    header: Header,
    head: Vec<u8>,
    warning: Option<String>,
}

fn prove(
    source: &mut impl Read,
    expected: &PlannedPackage,
    policy: &Policy,
) -> Result<Proved, TrustError> {
    let package = expected.nevra.to_string();
    let malformed = |source| TrustError::Malformed { package: package.clone(), source };
    let (lead, signatures, blob) = read_headers(source).map_err(malformed)?;
    let verdict = verify_header(&signatures, &blob, policy).map_err(malformed)?;
    let (signed_by, warning) = accept(verdict, &package, policy)?;
    if signed_by.is_none() {
        check_header_digest(&signatures, &blob, &package)?;
    }
    let mut header = Header::parse(&blob).map_err(malformed)?;
    header.signed_by = signed_by;
    check_identity(&header, expected)?;
    if let Some(file) = header.file_without_digest() {
        let path = escape(&file.path).into_owned();
        return Err(TrustError::NoFileDigest { package, path });
    }
    let padding = vec![0; signatures.padding()];
    let head = [&lead, signatures.bytes(), &padding, blob.bytes()].concat();
    Ok(Proved { header, head, warning })
}

impl<R: Read> Verified<R> {
    /// What the package says about itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The digest that the whole file is to have.
    pub(crate) fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    /// What the user must be told, once: that this package's origin is not proven.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The payload as it lies in the file, compressed.
    pub fn payload(&mut self) -> impl Read + '_ {
        &mut self.source
    }

    /// The header, what the file begins with (lead, signatures, header), and the payload at once.
    pub(crate) fn parts(&mut self) -> (&Header, &[u8], impl Read + '_) {
        (&self.header, &self.head, &mut self.source)
    }

    /// Reads what is left of the file, and compares its size and digest with the plan's.
    ///
    /// # Errors
    /// [`TrustError::Size`] or [`TrustError::Checksum`] when it is another file, and
    /// [`TrustError::Malformed`] when it cannot be read.
    pub fn finish(mut self) -> Result<Proven, TrustError> {
        let package = self.package;
        match io::copy(&mut self.source, &mut io::sink()) {
            Ok(_) => {}
            Err(error) if is_too_long(&error) => {
                return Err(TrustError::TooLong { package, expected: self.size });
            }
            Err(error) => {
                return Err(TrustError::Malformed { package, source: Malformed::Read(error) });
            }
        }
        if self.size != 0 && self.source.count != self.size {
            let (expected, got) = (self.size, self.source.count);
            return Err(TrustError::Size { package, expected, got });
        }
        let got = self.source.digester.finish();
        if got != self.checksum {
            let expected = self.checksum;
            return Err(TrustError::Checksum { package, expected, got });
        }
        Ok(Proven { size: self.size, checksum: got, signed_by: self.header.signed_by })
    }
}

fn read_headers(source: &mut impl Read) -> Result<([u8; LEAD_SIZE], Blob, Blob), Malformed> {
    let lead = blob::read_lead(source)?;
    let signatures = Blob::read(source, "signature header")?;
    signatures.skip_padding(source)?;
    Ok((lead, signatures, Blob::read(source, "header")?))
}

/// Looks for a signature over the header that counts.
fn verify_header(
    signatures: &Blob,
    header: &Blob,
    policy: &Policy,
) -> Result<Result<SignedBy, SignatureProblem>, Malformed> {
    let (mut found, mut present) = (Vec::new(), false);
    for tag in HEADER_SIGNATURES {
        present |= signatures.has(tag);
        found.extend(signature::parse(signatures.binary(tag)?));
    }
    let texts = signatures.texts(OPENPGP_SIGNATURES)?;
    for text in texts.into_iter().take(signature::MAX_SIGNATURES) {
        present = true;
        found.extend(signature::parse_base64(text));
    }
    if found.is_empty() && present {
        return Ok(Err(SignatureProblem::Unreadable));
    }
    Ok(policy.keyring.verify(&found, header.bytes(), policy.allowed))
}

/// Whether the policy takes the verdict; with the warning that it costs, if it does.
fn accept(
    verdict: Result<SignedBy, SignatureProblem>,
    package: &str,
    policy: &Policy,
) -> Result<(Option<SignedBy>, Option<String>), TrustError> {
    let problem = match verdict {
        Ok(signed_by) => return Ok((Some(signed_by), None)),
        Err(problem) => problem,
    };
    if policy.allow_unsigned && problem.is_lack_of_proof() {
        let warning = format!("the origin of package {package} is not proven: {problem}");
        return Ok((None, Some(warning)));
    }
    Err(TrustError::Package { package: package.to_owned(), source: problem })
}

/// Compares the header's own digest, which is all there is to hold an unsigned header against.
fn check_header_digest(signatures: &Blob, header: &Blob, package: &str) -> Result<(), TrustError> {
    let package = package.to_owned();
    match signatures.text(HEADER_SHA256) {
        Ok(None) => Ok(()),
        Ok(Some(hex)) if Checksum::of(header.bytes()).hex() == hex => Ok(()),
        Ok(Some(_)) => Err(TrustError::HeaderDigest { package }),
        Err(source) => Err(TrustError::Malformed { package, source }),
    }
}

/// The text of every part counts, not what RPM holds to be equal: `1.0` is not `1.00`.
fn check_identity(header: &Header, expected: &PlannedPackage) -> Result<(), TrustError> {
    let (got, want) = (&header.nevra, &expected.nevra);
    let same = got.name == want.name
        && got.arch == want.arch
        && got.evr.epoch == want.evr.epoch
        && got.evr.version == want.evr.version
        && got.evr.release == want.evr.release;
    match same {
        true => Ok(()),
        false => Err(TrustError::Identity { expected: want.to_string(), got: got.to_string() }),
    }
}

/// A reader that counts and digests what passes, and ends where the plan says that the file does.
#[derive(Debug)]
pub(super) struct Measured<R> {
    inner: R,
    digester: Digester,
    count: u64,
    limit: u64,
}

impl<R> Measured<R> {
    fn new(inner: R, expected: &PlannedPackage) -> Self {
        let digester = Digester::new(expected.checksum.algorithm());
        // A repository need not say how long its files are. Then the digest alone decides.
        let limit = if expected.size == 0 { u64::MAX } else { expected.size };
        Self { inner, digester, count: 0, limit }
    }
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digester.update(buffer.get(..count).unwrap_or_default());
        self.count += count as u64;
        if self.count > self.limit {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok(count)
    }
}

fn is_too_long(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::FileTooLarge
}
