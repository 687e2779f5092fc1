//! What is known of certificates, in any member: it counts for all of them.

use std::collections::BTreeMap;

use super::Whole;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{Fingerprint, KnownKey};
use crate::report::Reporter;

/// When each key was asked for the last time, as far as that is known, in seconds since 1970.
pub(crate) type KeyAges = BTreeMap<Fingerprint, Option<u64>>;

impl Whole {
    /// Lets `keys` know what the prefix and its members keep of certificates.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn inform(&self, keys: &Keys<'_>) -> Result<(), Error> {
        for prefix in self.keepers()? {
            keys.know(&prefix.known_keys()?);
        }
        Ok(())
    }

    /// Keeps what `keys` learnt although nothing came of the run: a revocation, perhaps, which nobody may hide
    /// later. That it cannot be kept hides no other failure.
    pub(super) fn keep_learnt(&self, keys: &Keys<'_>, reporter: &dyn Reporter) {
        let known = keys.known();
        for prefix in self.keepers().into_iter().flatten() {
            let (Ok(live), Ok(kept)) = (prefix.live_generations(), prefix.known_keys()) else {
                continue;
            };
            let is_news = |(print, known): (&Fingerprint, &KnownKey)| {
                kept.get(print).is_none_or(|kept| kept.certificate != known.certificate)
            };
            if live.is_empty() || !known.iter().any(is_news) {
                continue;
            }
            if let Ok(locked) = prefix.lock(false, reporter)
                && let Ok(kept) = locked.known_keys()
            {
                // Another run may have learnt more meanwhile.
                keys.know(&kept);
                let _ = locked.keep_keys(keys.known());
            }
        }
    }

    /// How old what is kept of each key's certificate is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn key_ages(&self) -> Result<KeyAges, Error> {
        let mut ages = KeyAges::new();
        for prefix in self.keepers()? {
            for (print, known) in prefix.known_keys()? {
                let age = ages.entry(print).or_default();
                *age = known.asked_at.max(*age);
            }
        }
        Ok(ages)
    }
}
