//! What is known of the certificate of a key that definitions pin: a copy of it, and how old that is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Fingerprint;

/// A copy of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownKey {
    /// When one of its places was asked for it the last time and had it, in seconds since 1970; none where
    /// nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<u64>,
    /// What the key says of itself, armored.
    pub certificate: String,
}

/// Copies, each under its key's fingerprint.
pub type KnownKeys = BTreeMap<Fingerprint, KnownKey>;
