//! Where things come from: OpenPGP signatures by pinned keys, and digests. Everything that
//! reaches a prefix has passed through [`open`], and everything in it was held against what a
//! signature covers.
//!
//! The signature that counts is the one over a package's *header*. The header names every file
//! with its digest, and a package of which one file has none is refused, so the payload is
//! covered too: on EL7, whose headers do not name the payload's digest, as on its successors.
//! [`Verified::finish`] holds the whole file against the plan besides.

mod blob;
mod certificate;
mod copy;
mod error;
mod header;
mod key_file;
mod keyring;
mod local;
mod package;
mod packets;
mod problem;
mod signature;

pub use blob::Malformed;
pub(crate) use certificate::KeyEnd;
pub use error::TrustError;
pub(crate) use header::{FileType, Header, HeaderFile};
pub use keyring::Keyring;
pub use local::read_local;
pub(crate) use local::{LocalPackage, LocalRelation};
pub use package::{Policy, Verified, open};
pub(crate) use package::{ProvenHeader, open_head};
pub use problem::SignatureProblem;
pub(crate) use signature::SignedBy;
