//! Checksums of the SHA-2 family. Weaker ones are not representable, so nothing can rely on them.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Bytes that are read at a time.
const CHUNK: usize = 128 << 10;

/// A digest algorithm that is strong enough to prove content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256: what every EL repository and package uses today.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512: seen in metalinks.
    Sha512,
}

impl Algorithm {
    /// The name as it stands in checksums written `sha256:…`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the digest in bytes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A SHA-2 digest and its algorithm. Written `sha256:<lower-case hex>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Checksum(Sum);

/// Its bytes, which an index holds for each of many packages. They do not stand here themselves: errors hold
/// checksums too, and are no larger than must be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Sum {
    Sha256(Box<[u8; 32]>),
    Sha384(Box<[u8; 48]>),
    Sha512(Box<[u8; 64]>),
}

impl Checksum {
    /// A checksum from its algorithm's name (`sha256`, any case) and hexadecimal digits.
    ///
    /// # Errors
    /// When the algorithm is unknown or too weak, or the digits are not the right number of
    /// hexadecimal digits.
    pub fn new(algorithm: &str, hex: &str) -> Result<Self, InvalidChecksum> {
        let algorithm = match algorithm.to_ascii_lowercase().as_str() {
            "sha256" | "sha-256" => Algorithm::Sha256,
            "sha384" | "sha-384" => Algorithm::Sha384,
            "sha512" | "sha-512" => Algorithm::Sha512,
            other => return Err(InvalidChecksum::Algorithm(other.to_owned())),
        };
        let sum = match algorithm {
            Algorithm::Sha256 => digits(hex).map(|bytes| Sum::Sha256(Box::new(bytes))),
            Algorithm::Sha384 => digits(hex).map(|bytes| Sum::Sha384(Box::new(bytes))),
            Algorithm::Sha512 => digits(hex).map(|bytes| Sum::Sha512(Box::new(bytes))),
        };
        sum.map(Self).ok_or_else(|| InvalidChecksum::Digits(hex.to_owned()))
    }

    /// The SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::by(Algorithm::Sha256, bytes)
    }

    /// The digest of `bytes` by `algorithm`.
    #[must_use]
    pub fn by(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut digester = Digester::new(algorithm);
        digester.update(bytes);
        digester.finish()
    }

    /// The digest by `algorithm` of all that `reader` gives, and how many bytes that was.
    ///
    /// # Errors
    /// When reading fails.
    pub fn of_reader(algorithm: Algorithm, reader: impl io::Read) -> io::Result<(Self, u64)> {
        let mut digester = Digester::new(algorithm);
        let size = io::copy(&mut io::BufReader::with_capacity(CHUNK, reader), &mut digester)?;
        Ok((digester.finish(), size))
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Sum::Sha256(_) => Algorithm::Sha256,
            Sum::Sha384(_) => Algorithm::Sha384,
            Sum::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The digest's bytes.
    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Sum::Sha256(bytes) => &**bytes,
            Sum::Sha384(bytes) => &**bytes,
            Sum::Sha512(bytes) => &**bytes,
        }
    }

    /// The digest in lower-case hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
        self.bytes().iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).collect()
    }

    /// Its first hexadecimal digits, so many, for names that need not be longer.
    #[must_use]
    pub fn first_digits(&self, count: usize) -> String {
        let mut hex = self.hex();
        hex.truncate(count);
        hex
    }
}

/// The bytes that hexadecimal digits of either case stand for, if they are just so many.
fn digits<const SIZE: usize>(hex: &str) -> Option<[u8; SIZE]> {
    if hex.len() != 2 * SIZE {
        return None;
    }
    let mut bytes = [0; SIZE];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        for &digit in pair {
            let value = char::from(digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(value).ok()?;
        }
    }
    Some(bytes)
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm().as_str(), self.hex())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Checksum {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let (algorithm, hex) =
            text.split_once(':').ok_or_else(|| InvalidChecksum::Digits(text.to_owned()))?;
        Self::new(algorithm, hex)
    }
}

impl TryFrom<String> for Checksum {
    type Error = InvalidChecksum;

    fn try_from(text: String) -> Result<Self, InvalidChecksum> {
        text.parse()
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
}

/// Why a checksum cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidChecksum {
    /// The algorithm is unknown, or too weak to prove anything (MD5, SHA-1).
    #[error("checksum algorithm {0:?} is not accepted (SHA-256 or better is)")]
    Algorithm(String),
    /// The digits are not a digest of the algorithm.
    #[error("{0:?} is not a digest in hexadecimal")]
    Digits(String),
}

/// Computes a [`Checksum`] from pieces. Also an [`io::Write`], for [`io::copy`].
#[derive(Clone, Debug)]
pub struct Digester(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Digester {
    /// A digester that has seen nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha384 => State::Sha384(Sha384::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha384(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The checksum of all that was added.
    #[must_use]
    pub fn finish(self) -> Checksum {
        Checksum(match self.0 {
            State::Sha256(state) => Sum::Sha256(Box::new(state.finalize().into())),
            State::Sha384(state) => Sum::Sha384(Box::new(state.finalize().into())),
            State::Sha512(state) => Sum::Sha512(Box::new(state.finalize().into())),
        })
    }
}

impl io::Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_abc() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            Checksum::of(b"abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_reader_has_the_digest_of_its_bytes() {
        let bytes: Vec<u8> = (0..3 * CHUNK + 5).map(|number| (number % 251) as u8).collect();
        let (checksum, size) = Checksum::of_reader(Algorithm::Sha512, bytes.as_slice()).unwrap();
        assert_eq!(
            (&checksum, size),
            (&Checksum::by(Algorithm::Sha512, &bytes), bytes.len() as u64)
        );
        assert_ne!(checksum, Checksum::by(Algorithm::Sha512, &bytes[1..]));
    }

    #[test]
    fn weak_and_malformed_checksums_are_refused() {
        assert!(matches!(Checksum::new("sha", "00"), Err(InvalidChecksum::Algorithm(_))));
        assert!(matches!(Checksum::new("md5", "00"), Err(InvalidChecksum::Algorithm(_))));
        assert!(matches!(Checksum::new("sha256", "00"), Err(InvalidChecksum::Digits(_))));
        assert!(matches!(
            Checksum::new("sha256", &"zz".repeat(32)),
            Err(InvalidChecksum::Digits(_))
        ));
    }

    #[test]
    fn text_round_trips() {
        let checksum = Checksum::of(b"");
        assert_eq!(checksum.to_string().parse(), Ok(checksum));
    }
}
