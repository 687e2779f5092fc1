//! What is wrong with a signature, and why none can be made.

/// A signature does not prove what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MinisigProblem {
    /// There is nothing to verify it by.
    #[error("what it is to be verified by is no public key of minisign's")]
    NoKey,
    /// It is none.
    #[error("it is no signature of minisign's")]
    Malformed,
    /// Somebody else made it.
    #[error("it is by the key {id}")]
    OtherKey {
        /// The number of that key.
        id: String,
    },
    /// It is over the bytes, not over their digest.
    #[error("it is of minisign's old kind, over what is not digested")]
    Old,
    /// It is over something else.
    #[error("it is not for these bytes and this comment")]
    Wrong,
}

/// Nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The file holds no secret key.
    #[error("it is no secret key of minisign's")]
    NoKey,
    /// The key is protected, and nobody said by what.
    #[error("the secret key is protected by a password")]
    Protected,
    /// Another password is needed.
    #[error("that is not the secret key's password")]
    Password,
    /// The key does not prove what it signs.
    #[error("the secret key's halves do not belong together")]
    Damaged,
    /// The library failed.
    #[error("the signature could not be made: {0}")]
    Failed(String),
}

impl SigningError {
    /// What to type or do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Protected => {
                "where there is no terminal to ask at, --password-file FILE or MINISIGN_PASSWORD gives the \
                 password"
            }
            Self::NoKey => "minisign -G makes one: name its file with --secret-key",
            Self::Password | Self::Damaged | Self::Failed(_) => return None,
        };
        Some(text.to_owned())
    }
}
