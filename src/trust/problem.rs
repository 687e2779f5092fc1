//! Why a signature does not count.

use crate::model::Fingerprint;

/// Why a signature does not count. In the order of what says most, least first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum SignatureProblem {
    /// There is none.
    #[error("it is not signed")]
    Missing,
    /// The bytes are no OpenPGP signature, or one of a kind that is not for data.
    #[error("its signature cannot be read as an OpenPGP signature over data")]
    Unreadable,
    /// It is by none of the accepted keys.
    #[error("it is signed by key {0}, which is none of those accepted for it")]
    UnknownKey(String),
    /// It rests on a hash algorithm that can be forged.
    #[error("its signature uses {0}, which can be forged; SHA-256 or better is needed")]
    Weak(String),
    /// The key was not valid when the signature was made.
    #[error("it is signed by key {0} at a time when that key had expired or did not exist")]
    Outside(Fingerprint),
    /// The signature says itself that it is over.
    #[error("its signature by key {0} has expired, as it says itself")]
    Expired(Fingerprint),
    /// The key is revoked.
    #[error("it is signed by key {0}, which was revoked")]
    Revoked(Fingerprint),
    /// The signature names an accepted key and does not match the data.
    #[error("its signature by key {0} does not match: it was changed after it was signed")]
    Bad(Fingerprint),
}

impl SignatureProblem {
    /// The key that made the signature, where one that is accepted did.
    #[must_use]
    pub(crate) fn made_by(&self) -> Option<&Fingerprint> {
        match self {
            Self::Outside(print) | Self::Expired(print) | Self::Revoked(print) => Some(print),
            Self::Missing
            | Self::Unreadable
            | Self::UnknownKey(_)
            | Self::Weak(_)
            | Self::Bad(_) => None,
        }
    }

    /// Whether this says no more than that the origin is unknown, which `--allow-unsigned` lets
    /// pass. A signature that is wrong never passes.
    pub(super) fn is_lack_of_proof(&self) -> bool {
        matches!(self, Self::Missing | Self::Unreadable | Self::UnknownKey(_) | Self::Weak(_))
    }

    /// Whether this speaks of keys as they are today, and not of what was signed.
    pub(crate) fn is_of_keys(&self) -> bool {
        matches!(self, Self::UnknownKey(_) | Self::Outside(_) | Self::Expired(_) | Self::Revoked(_))
    }
}
