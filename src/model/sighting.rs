//! What was believed of a repository's metadata: their age, and who vouched for them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Arch, Checksum, Repository};

/// The newest metadata of a repository that was believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    /// The newest time in `repomd.xml`, in seconds since 1970.
    pub timestamp: u64,
    /// The repository's own name of that state, for people.
    pub revision: String,
    /// The way on which a metalink promised it; none where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metalink: Option<String>,
}

/// Sightings, each under its repository's [name](Repository::sighting_name).
pub type Sightings = BTreeMap<String, Sighting>;

impl Sighting {
    /// What is known after `known` and then this were believed. Where the user took something older, only
    /// this is.
    #[must_use]
    pub(crate) fn after(self, known: Option<&Self>, is_older_allowed: bool) -> Self {
        match known.filter(|_| !is_older_allowed) {
            None => self,
            Some(known) => {
                let metalink = self.metalink.clone().or_else(|| known.metalink.clone());
                let newest = if known.timestamp > self.timestamp { known.clone() } else { self };
                Self { metalink, ..newest }
            }
        }
    }
}

impl Repository {
    /// Names the repository where it is noted what was seen of it. Other places make another repository,
    /// whose times have nothing to do with the old one's.
    #[must_use]
    pub(crate) fn sighting_name(&self, dist: &str, arch: Arch) -> String {
        let Self { id, metalink, mirrorlist, base, .. } = self;
        let places = format!("{metalink:?} {mirrorlist:?} {base:?}");
        let places = Checksum::of(places.as_bytes()).first_digits(8);
        format!("{dist}-{id}-{arch}-{places}")
    }
}
