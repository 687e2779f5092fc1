//! What was believed of repositories when trees were made: how new their metadata were, and who vouched for
//! them. It stays with the prefix: a cache may be another one, or empty.

use serde::{Deserialize, Serialize};

use super::error::PrefixError;
use super::{Locked, Prefix, files};
use crate::model::{Sightings, read_toml};

/// The version of the format that this program writes.
const FORMAT: u32 = 1;

/// Far more than any prefix has: a bound for damaged files, in bytes.
const LIMIT: u64 = 1 << 20;

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
        let path = self.layout.sightings();
        let Some(bytes) = files::read(&path, LIMIT)? else { return Ok(Sightings::new()) };
        let damaged = |problem| PrefixError::DamagedSightings { path: path.clone(), problem };
        let text = str::from_utf8(&bytes).map_err(|error| damaged(error.to_string()))?;
        let file: SightingFile = read_toml(text).map_err(|problem| damaged(problem.message))?;
        match file.format {
            0..=FORMAT => Ok(file.repositories),
            format => Err(PrefixError::NewerFormat { path, format }),
        }
    }
}

impl Locked {
    /// Notes what was believed now; older than before only where the user allows it.
    ///
    /// # Errors
    /// When the prefix cannot be read or written.
    pub fn believe(&self, learnt: &Sightings, allows_downgrade: bool) -> Result<(), PrefixError> {
        let before = self.sightings()?;
        let mut repositories = before.clone();
        for (name, sighting) in learnt {
            let now = sighting.clone().after(before.get(name), allows_downgrade);
            repositories.insert(name.clone(), now);
        }
        if repositories == before {
            return Ok(());
        }
        let path = self.layout.sightings();
        let file = SightingFile { format: FORMAT, repositories };
        let text = toml::to_string(&file).map_err(|error| PrefixError::DamagedSightings {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        files::write(&path, text.as_bytes(), 0o644, &self.layout.staging())
    }
}
