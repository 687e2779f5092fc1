//! What keeps the storage of what was removed, and what to type to have it back. Nothing is collected here: that takes
//! what is gone from every mirror of the repository.

use serde::Serialize;

use super::CvmfsRepository;
use crate::error::CvmfsError;

/// How many tags are named.
const SHOWN: usize = 50;

/// How storage can be had back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collecting {
    /// Whether the repository lets garbage be collected.
    pub is_allowed: bool,
    /// The tags that keep older revisions, the newest first.
    pub tags: Vec<String>,
    /// What to type.
    pub commands: Vec<String>,
}

impl CvmfsRepository {
    /// What keeps the storage of older revisions.
    ///
    /// # Errors
    /// When the tags cannot be had.
    pub fn collecting(&self) -> Result<Collecting, CvmfsError> {
        let tags = self.tags()?;
        let is_old = |revision: u64| revision < tags.trunk.revision;
        let old = tags.named.iter().filter(|it| is_old(it.revision));
        let old: Vec<String> = old.map(|it| it.name.clone()).collect();
        let (is_allowed, name) = (self.configuration.collects, &self.name);
        let remove = |tag: &String| format!("cvmfs_server tag -f -r {tag} {name}");
        let mut commands: Vec<String> = old.iter().take(SHOWN).map(remove).collect();
        if is_allowed {
            commands.push(format!("cvmfs_server gc -f -r 0 {name}"));
        }
        Ok(Collecting { is_allowed, tags: old, commands })
    }
}
