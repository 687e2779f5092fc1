//! Detached signatures in minisign's format (<https://jedisct1.github.io/minisign/>): whether somebody's
//! key vouches for bytes, and vouching for some. Releases of this program have them, and receipts that a
//! librarian signed.
//!
//! Signatures are made over a digest of the bytes (`minisign -S` does so since 2022); older ones, over the
//! bytes themselves, are refused.

mod error;
mod secret;

use std::io::Cursor;

pub use error::MinisigProblem;
pub(crate) use error::SigningError;
pub(crate) use secret::SecretKey;

use minisign::SignatureBox;

/// How long the lines with a signature are: 74 bytes with the key's number, and 64 over the comment.
/// The library reads beyond the end of shorter ones.
const SIGNATURE_LINES: [usize; 2] = [100, 88];

/// A key that signatures are verified by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(minisign::PublicKey);

impl PublicKey {
    /// The key in a file that minisign makes, or in its second line alone; `None` where it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let key = match lines.as_slice() {
            [key] | [_, key] => key,
            _ => return None,
        };
        // "Ed", in Base64 with what follows.
        let is_ours = key.starts_with("RW");
        minisign::PublicKey::from_base64(key).ok().filter(|_| is_ours).map(Self)
    }

    /// Its number, as minisign shows it.
    #[must_use]
    pub fn id(&self) -> String {
        id(self.0.keynum())
    }

    /// The comment that is signed with `bytes`, once `signature`, the text of minisign's file, proves that
    /// the owner of this key signed both.
    ///
    /// # Errors
    /// When it does not.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<String, MinisigProblem> {
        let signature = read_signature(signature).ok_or(MinisigProblem::Malformed)?;
        if signature.keynum() != self.0.keynum() {
            return Err(MinisigProblem::OtherKey { id: id(signature.keynum()) });
        }
        if !signature.is_prehashed() {
            return Err(MinisigProblem::Old);
        }
        let (quiet, output, old) = (true, false, false);
        minisign::verify(&self.0, &signature, Cursor::new(bytes), quiet, output, old)
            .map_err(|_| MinisigProblem::Wrong)?;
        signature.trusted_comment().map_err(|_| MinisigProblem::Malformed)
    }
}

/// The signature in the text of its file.
fn read_signature(text: &str) -> Option<SignatureBox> {
    let mut lines = text.lines().map(str::trim_end);
    let lines = [lines.next()?, lines.next()?, lines.next()?, lines.next()?];
    if [lines[1].len(), lines[3].len()] != SIGNATURE_LINES {
        return None;
    }
    SignatureBox::from_string(&lines.join("\n")).ok()
}

/// A key's number in minisign's writing.
fn id(number: &[u8]) -> String {
    let number: Option<[u8; 8]> = number.try_into().ok();
    format!("{:016X}", u64::from_le_bytes(number.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../../tests/release/minisign.pub");
    const OTHER: &str = include_str!("../../tests/release/other.pub");
    const SUMS: &[u8] = include_bytes!("../../tests/release/new/SHA256SUMS");
    const SIGNATURE: &str = include_str!("../../tests/release/new/SHA256SUMS.minisig");

    #[test]
    fn a_key_is_read_from_its_file_or_line() {
        let key = PublicKey::read(KEY).unwrap();
        let line = KEY.lines().nth(1).unwrap();
        assert_eq!(PublicKey::read(line).unwrap(), key);
        assert_eq!(PublicKey::read(&format!("{line}\n")).unwrap(), key);
        assert_eq!(key.id(), "587CB5D0A4D220F8");
        for none in ["", "\n", "nothing", SIGNATURE, &line[1..], &line.replace("RW", "RU")] {
            assert!(PublicKey::read(none).is_none(), "{none}");
        }
    }

    #[test]
    fn a_signature_is_for_its_bytes_comment_and_key() {
        let key = PublicKey::read(KEY).unwrap();
        let comment = key.verify(SUMS, SIGNATURE).unwrap();
        assert!(SIGNATURE.contains(&format!("trusted comment: {comment}\n")), "{comment}");
        assert_eq!(key.verify(b"other", SIGNATURE), Err(MinisigProblem::Wrong));
        let forged = SIGNATURE.replace(&comment, "anything else");
        assert_eq!(key.verify(SUMS, &forged), Err(MinisigProblem::Wrong));
        let other = PublicKey::read(OTHER).unwrap().verify(SUMS, SIGNATURE);
        assert_eq!(other, Err(MinisigProblem::OtherKey { id: key.id() }));
        // "Ed" for "ED": the same bytes, said not to be digested.
        let old = SIGNATURE.replacen("\nRU", "\nRW", 1);
        assert_eq!(key.verify(SUMS, &old), Err(MinisigProblem::Old));
    }

    #[test]
    fn whatever_is_no_signature_is_refused() {
        let key = PublicKey::read(KEY).unwrap();
        // A prefix of every length: without what follows the library would read beyond its end.
        for end in 0..SIGNATURE.trim_end().len() {
            assert_eq!(
                key.verify(SUMS, &SIGNATURE[..end]),
                Err(MinisigProblem::Malformed),
                "{end}"
            );
        }
        let lines: Vec<&str> = SIGNATURE.lines().collect();
        for at in 0..lines.len() {
            for text in ["", "AAAA", "untrusted comment: x", "\u{fe0f}"] {
                let mut lines = lines.clone();
                lines[at] = text;
                assert!(
                    at == 0 && text.starts_with("untrusted")
                        || key.verify(SUMS, &lines.join("\n")).is_err()
                );
            }
        }
        assert!(key.verify(SUMS, &SIGNATURE.replace('\n', "\r\n")).is_ok());
    }
}
