//! A secret key, and what is signed with it.

use std::fmt;
use std::io::Cursor;

use minisign::{ErrorKind, SecretKeyBox};

use super::{PublicKey, SigningError};
use crate::tools::base64;

/// How a key begins: for Ed25519 …
const ALGORITHM: &[u8] = b"Ed";
/// … protected by scrypt, or by nothing.
const PROTECTED: &[u8] = b"Sc";
const OPEN: &[u8] = &[0, 0];

/// How long it is.
const LENGTH: usize = 158;

/// The comment that nothing proves.
const UNTRUSTED: &str = "signature from elsewhere receipt sign";

/// A key that signatures are made with.
pub(crate) struct SecretKey(minisign::SecretKey);

impl fmt::Debug for SecretKey {
    /// Nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    /// Whether the key in the text of minisign's file is protected by a password.
    #[must_use]
    pub(crate) fn is_protected(text: &str) -> bool {
        decode(text).is_some_and(|bytes| bytes[2..4] == *PROTECTED)
    }

    /// The key in the text of minisign's file.
    ///
    /// # Errors
    /// When it is none, or `password` does not open it.
    pub(crate) fn read(text: &str, password: Option<&str>) -> Result<Self, SigningError> {
        let bytes = decode(text).ok_or(SigningError::NoKey)?;
        if bytes[2..4] == *OPEN {
            // minisign until 0.11 leaves the checksum out. What is signed is verified, which says more.
            let key = minisign::SecretKey::from_bytes(&bytes).map_err(|_| SigningError::NoKey)?;
            return Ok(Self(key));
        }
        // Without one the library asks by itself, and writes among the results.
        let password = password.ok_or(SigningError::Protected)?.to_owned();
        let boxed = SecretKeyBox::from_string(text).map_err(|_| SigningError::NoKey)?;
        let opened = boxed.into_secret_key(Some(password));
        opened.map(Self).map_err(|error| match error.kind() {
            ErrorKind::Verify => SigningError::Password,
            _ => SigningError::NoKey,
        })
    }

    /// The other half.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn public(&self) -> Result<PublicKey, SigningError> {
        let public = minisign::PublicKey::from_secret_key(&self.0);
        public.map(PublicKey).map_err(|_| SigningError::Damaged)
    }

    /// The text of the file that proves that this key signed `bytes` and `comment`, which is one line.
    ///
    /// # Errors
    /// When it cannot be made, or would not be verified by the other half.
    pub(crate) fn sign(&self, bytes: &[u8], comment: &str) -> Result<String, SigningError> {
        let (bytes_of, untrusted) = (Cursor::new(bytes), Some(UNTRUSTED));
        let made = minisign::sign(None, &self.0, bytes_of, Some(comment), untrusted);
        let text = made.map_err(|error| SigningError::Failed(error.to_string()))?.into_string();
        match self.public()?.verify(bytes, &text) {
            Ok(signed) if signed == comment => Ok(text),
            _ => Err(SigningError::Damaged),
        }
    }
}

/// The bytes of the key in the text of minisign's file: its second line, in Base64.
fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = base64::decode(text.lines().nth(1)?.as_bytes())?;
    let is_key = bytes.len() == LENGTH
        && bytes.starts_with(ALGORITHM)
        && [PROTECTED, OPEN].contains(&&bytes[2..4]);
    is_key.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;

    use super::*;

    const OPEN_KEY: &str = include_str!("../../tests/minisign/librarian.key");
    const PROTECTED_KEY: &str = include_str!("../../tests/minisign/protected.key");
    const PUBLIC_KEY: &str = include_str!("../../tests/minisign/librarian.pub");

    /// The library alone refuses such a key: it asks for the checksum that minisign 0.11 leaves out.
    #[test]
    fn minisigns_own_keys_are_read() {
        let public = PublicKey::read(PUBLIC_KEY).unwrap();
        for (text, password) in [(OPEN_KEY, None), (PROTECTED_KEY, Some("librarian's"))] {
            assert_eq!(SecretKey::is_protected(text), password.is_some());
            let key = SecretKey::read(text, password).unwrap();
            assert_eq!(key.public().unwrap(), public);
            let signature = key.sign(b"bytes", "comment").unwrap();
            assert_eq!(public.verify(b"bytes", &signature), Ok("comment".to_owned()));
        }
    }

    #[test]
    fn a_key_whose_halves_do_not_belong_together_signs_nothing() {
        let line = OPEN_KEY.lines().nth(1).unwrap();
        for at in [90, 160] {
            let mut changed = line.to_owned().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            let text = format!("comment\n{}\n", String::from_utf8(changed).unwrap());
            let key = SecretKey::read(&text, None).unwrap();
            let refused = key.sign(b"bytes", "comment");
            assert!(matches!(refused, Err(SigningError::Damaged)), "{at}: {refused:?}");
        }
    }

    #[test]
    fn what_is_signed_is_verified() {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let text = pair.sk.to_box(None).unwrap().into_string();
        assert!(!SecretKey::is_protected(&text));
        let key = SecretKey::read(&text, None).unwrap();
        let public = PublicKey::read(&pair.pk.to_box().unwrap().into_string()).unwrap();
        assert_eq!(key.public().unwrap(), public);
        let signature = key.sign(b"bytes", "a\tcomment").unwrap();
        assert_eq!(public.verify(b"bytes", &signature), Ok("a\tcomment".to_owned()));
        assert_eq!(format!("{key:?}"), "SecretKey");
        // Two lines would be a file of five.
        assert!(key.sign(b"bytes", "a\nb").is_err());
    }

    #[test]
    fn a_password_opens_a_key() {
        let pair = KeyPair::generate_encrypted_keypair(Some("secret".to_owned())).unwrap();
        let text = pair.sk.to_box(None).unwrap().into_string();
        assert!(SecretKey::is_protected(&text));
        assert!(matches!(SecretKey::read(&text, None), Err(SigningError::Protected)));
        let wrong = SecretKey::read(&text, Some("secrets"));
        assert!(matches!(wrong, Err(SigningError::Password)), "{wrong:?}");
        let key = SecretKey::read(&text, Some("secret")).unwrap();
        assert!(key.sign(b"", "c").is_ok());
        for none in ["", "one line", &text[..text.len() / 2], "x\nRWRTY0Iy", "x\nRWQAAEIy"] {
            let refused = SecretKey::read(none, Some("secret"));
            assert!(matches!(refused, Err(SigningError::NoKey)), "{none}: {refused:?}");
        }
    }
}
