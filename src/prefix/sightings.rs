//! What was believed of repositories when trees were made: how new their metadata were, and who vouched for
//! them. It stays with the prefix: a cache may be another one, or empty.

use serde::{Deserialize, Serialize};

use super::error::PrefixError;
use super::kept::KeptFile;
use super::layout::Layout;
use super::{Locked, Prefix};
use crate::model::Sightings;

/// The version of the format that this program writes.
const FORMAT: u32 = 1;

/// `repositories.toml`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SightingFile {
    format: u32,
    #[serde(default)]
    repositories: Sightings,
}

impl Prefix {
    /// What was believed of repositories. Needs no lock.
    ///
    /// # Errors
    /// When the file cannot be read or makes no sense: what is too old must not be let in because of that.
    pub fn sightings(&self) -> Result<Sightings, PrefixError> {
        let file: Option<SightingFile> = kept_file(&self.layout).read()?;
        Ok(file.map(|file| file.repositories).unwrap_or_default())
    }
}

impl Locked {
    /// Notes what was believed now; older than before only where the user allows it.
    ///
    /// # Errors
    /// When the prefix cannot be read or written.
    pub fn believe(&self, learnt: &Sightings, allows_downgrade: bool) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let before = self.sightings()?;
        let mut repositories = before.clone();
        for (name, sighting) in learnt {
            let now = sighting.clone().after(before.get(name), allows_downgrade);
            repositories.insert(name.clone(), now);
        }
        if repositories == before {
            return Ok(());
        }
        let file = SightingFile { format: FORMAT, repositories };
        kept_file(&self.layout).write(&file, &self.layout.staging())
    }
}

fn kept_file(layout: &Layout) -> KeptFile {
    KeptFile {
        path: layout.sightings(),
        format: FORMAT,
        remedy: "delete it, if you know that nobody hides updates from this prefix: what was believed of \
                 repositories is forgotten then",
    }
}
