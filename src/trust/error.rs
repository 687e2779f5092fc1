//! What can be wrong with a key, a signature or a package.

use crate::model::{Checksum, Fingerprint};

use super::{Malformed, SignatureProblem};

/// Something is not what it claims to be, or nobody vouches for it.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A key file cannot be used.
    #[error("the key file cannot be used: {0}")]
    KeyFile(String),
    /// A key file does not hold the key that it was fetched for.
    #[error("the key file does not hold key {pin}{}", also(.found))]
    PinMissing {
        /// The fingerprint that was asked for.
        pin: Fingerprint,
        /// Those that are there.
        found: Vec<Fingerprint>,
    },
    /// A detached signature does not count.
    #[error("{0}")]
    Signature(SignatureProblem),
    /// A package's signature does not count.
    #[error("package {package} is refused: {source}")]
    Package {
        /// The package.
        package: String,
        /// What is wrong with its signature.
        source: SignatureProblem,
    },
    /// A package file cannot be understood.
    #[error("package {package} {source}")]
    Malformed {
        /// The package that was asked for.
        package: String,
        /// What is wrong with it.
        source: Malformed,
    },
    /// It is another package.
    #[error("the file for package {expected} holds package {got}")]
    Identity {
        /// The package that was asked for.
        expected: String,
        /// The package that came.
        got: String,
    },
    /// The header has no digest, or a forgeable one, for a file.
    #[error("package {package} is refused: nothing proves the content of {path} (no SHA-256)")]
    NoFileDigest {
        /// The package.
        package: String,
        /// The file, escaped.
        path: String,
    },
    /// An unsigned package's header is not the one that its own digest describes.
    #[error("package {package} is damaged: its header does not match its digest")]
    HeaderDigest {
        /// The package.
        package: String,
    },
    /// More bytes came than the plan says.
    #[error("package {package} is longer than the {expected} bytes that the plan says")]
    TooLong {
        /// The package.
        package: String,
        /// Bytes by the plan.
        expected: u64,
    },
    /// Fewer bytes came than the plan says.
    #[error("package {package} has {got} bytes where the plan says {expected}")]
    Size {
        /// The package.
        package: String,
        /// Bytes by the plan.
        expected: u64,
        /// Bytes that came.
        got: u64,
    },
    /// The file's digest is not the plan's.
    #[error("package {package} has digest {got} where the plan says {expected}")]
    Checksum {
        /// The package.
        package: String,
        /// Digest by the plan.
        expected: Checksum,
        /// Digest of what came.
        got: Checksum,
    },
}

impl TrustError {
    /// Whether a key that is not at hand might have said otherwise.
    #[must_use]
    pub(crate) fn lacks_key(&self) -> bool {
        let (Self::Package { source, .. } | Self::Signature(source)) = self else { return false };
        matches!(source, SignatureProblem::UnknownKey(_))
    }

    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.hint_for(None)
    }

    /// The same for what comes from the repository `DIST/ID`; none for a file that the user named.
    #[must_use]
    pub(crate) fn hint_for(&self, repository: Option<&str>) -> Option<String> {
        let hint = match self {
            Self::KeyFile(_) => "give a public key as `gpg --armor --export KEY` writes it",
            Self::PinMissing { .. } => {
                "the distribution may have changed its key: look for a newer release of elsewhere"
            }
            Self::Package { source, .. } | Self::Signature(source) => {
                return hint_for(source, repository);
            }
            Self::NoFileDigest { .. } => "the package was built by a very old rpm: use a newer one",
            Self::TooLong { .. } | Self::Size { .. } | Self::Checksum { .. } => {
                "the mirror may be out of date or damaged: run the command again, or use another"
            }
            Self::Malformed { .. } | Self::Identity { .. } | Self::HeaderDigest { .. } => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}

fn hint_for(problem: &SignatureProblem, repository: Option<&str>) -> Option<String> {
    let hint = match problem {
        SignatureProblem::Missing | SignatureProblem::Weak(_) | SignatureProblem::Unreadable => {
            let named = repository.map_or_else(String::new, |repository| format!("={repository}"));
            return Some(format!(
                "--allow-unsigned{named} lets it in, for this run: only if you know where it comes from"
            ));
        }
        SignatureProblem::UnknownKey(_) => {
            let named = repository.map_or_else(String::new, |repository| format!("{repository}="));
            return Some(format!(
                "if you trust that key, get it from its owner and name it with --trust-key {named}FILE"
            ));
        }
        SignatureProblem::Bad(_) => "do not use this file: fetch it again, or from another mirror",
        SignatureProblem::Expired(_) => {
            "a newer version may be signed anew; whether this machine's clock is right, date tells"
        }
        SignatureProblem::Outside(_) | SignatureProblem::Revoked(_) => return None,
    };
    Some(hint.to_owned())
}

fn also(found: &[Fingerprint]) -> String {
    match found {
        [] => String::new(),
        found => {
            let names: Vec<&str> = found.iter().map(Fingerprint::as_str).collect();
            format!(" (it holds {})", names.join(", "))
        }
    }
}
