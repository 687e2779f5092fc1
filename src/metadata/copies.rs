//! Copies of certificates that others than their places have, and how old they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fetch::{FetchError, Fetcher};
use crate::model::Fingerprint;

/// Seconds after which the places of a key are asked for it anew.
const FRESH: u64 = 24 * 3600;

/// Copies, by their keys.
#[derive(Default)]
pub(super) struct Copies(BTreeMap<Fingerprint, Known>);

#[derive(Default)]
struct Known {
    /// When one of the key's places was asked for it and had it, the last time, in seconds since 1970.
    asked_at: Option<u64>,
    certificates: Vec<String>,
}

impl Copies {
    /// Adds a copy. Whether there was none like it.
    pub(super) fn add(&mut self, print: &Fingerprint, copy: String, asked_at: Option<u64>) -> bool {
        let known = self.0.entry(print.clone()).or_default();
        known.asked_at = known.asked_at.max(asked_at);
        let is_new = !known.certificates.contains(&copy);
        if is_new {
            known.certificates.push(copy);
        }
        is_new
    }

    /// Those of a key.
    pub(super) fn of(&self, print: &Fingerprint) -> impl Iterator<Item = &String> {
        self.0.get(print).into_iter().flat_map(|known| &known.certificates)
    }

    /// When the key was asked for the last time, as far as anybody says.
    pub(super) fn asked_at(&self, print: &Fingerprint) -> Option<u64> {
        self.0.get(print)?.asked_at
    }
}

/// What the cache has of a certificate. That alone says whether it is asked for again: a prefix may be
/// anybody's.
#[derive(Serialize, Deserialize)]
pub(super) struct Note {
    /// When the key was asked for.
    pub(super) asked_at: Option<u64>,
    /// The certificate, armored.
    pub(super) certificate: String,
}

impl Note {
    /// The note on a key.
    pub(super) fn recall(fetcher: &Fetcher<'_>, print: &Fingerprint) -> Option<Self> {
        fetcher.recall(&name(print)).map(Self::read)
    }

    /// The note on a key in the cache of the site.
    pub(super) fn of_site(fetcher: &Fetcher<'_>, print: &Fingerprint) -> Option<Self> {
        fetcher.site_note(&name(print)).map(Self::read)
    }

    fn read(text: String) -> Self {
        // Earlier versions wrote the certificate alone.
        serde_json::from_str(&text).unwrap_or(Self { asked_at: None, certificate: text })
    }

    /// Leaves it in the cache.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub(super) fn leave(
        &self,
        fetcher: &Fetcher<'_>,
        print: &Fingerprint,
    ) -> Result<(), FetchError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        fetcher.remember(&name(print), &text)
    }

    /// Whether the key need not be asked for again. A time that is to come says nothing.
    pub(super) fn is_fresh(&self, now: u64) -> bool {
        let age = self.asked_at.and_then(|time| now.checked_sub(time));
        age.is_some_and(|age| age < FRESH)
    }
}

fn name(print: &Fingerprint) -> String {
    format!("key-{print}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_fresh_for_a_day() {
        let note = |asked_at| Note { asked_at, certificate: String::new() };
        assert!(note(Some(1_000_000)).is_fresh(1_000_000));
        assert!(note(Some(1_000_000)).is_fresh(1_000_000 + FRESH - 1));
        assert!(!note(Some(1_000_000)).is_fresh(1_000_000 + FRESH));
        assert!(!note(Some(1_000_001)).is_fresh(1_000_000), "it is to come");
        assert!(!note(None).is_fresh(1_000_000));
    }
}
