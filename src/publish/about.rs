//! What lies beside the trees: what a version is, and what became of all versions of a base.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::model::{Checksum, Evr, PUBLISHED_NAME, RelPath, VERSION_NAME};
use crate::owned::open_to_read;
use crate::workshop::WorkshopError;

/// The format of both documents.
const FORMAT: u32 = 1;

/// Most bytes of one.
const LIMIT: u64 = 16 << 20;

/// What a version is. The same plan gives the same text, whoever makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// [`FORMAT`].
    format: u32,
    /// The runtime's version, or the name that was given.
    pub(crate) version: String,
    /// Which content of that it is: 1, and 2 for `VERSION-2`.
    pub(crate) number: u32,
    /// The runtimes.
    pub(crate) runtimes: Vec<String>,
    /// The trees.
    pub(crate) trees: Vec<RelPath>,
    /// What was set below `etc/` of each tree: digests of what was asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) configuration: BTreeMap<RelPath, Checksum>,
}

impl About {
    /// In today's format.
    pub(super) fn new(
        (version, number): (String, u32),
        runtimes: Vec<String>,
        trees: Vec<RelPath>,
        configuration: BTreeMap<RelPath, Checksum>,
    ) -> Self {
        Self { format: FORMAT, version, number, runtimes, trees, configuration }
    }

    /// What the version in `directory` says of itself; `None` where none is there.
    ///
    /// # Errors
    /// When it is damaged.
    pub(super) fn of(directory: &Path) -> Result<Option<Self>, Error> {
        read(&directory.join(VERSION_NAME), |about: &Self| about.format)
    }

    /// By this, versions are in order.
    pub(crate) fn order(&self) -> (Evr, u32) {
        (Evr::parse(&self.version), self.number)
    }
}

/// What became of a base's versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// [`FORMAT`].
    format: u32,
    /// By name.
    pub(crate) versions: BTreeMap<String, Times>,
}

/// When a version was published and, if it was current and is no more, until when; in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Times {
    /// When it was published.
    pub(crate) published: u64,
    /// Until when it was current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current_until: Option<u64>,
}

impl Default for Record {
    fn default() -> Self {
        Self { format: FORMAT, versions: BTreeMap::new() }
    }
}

impl Record {
    /// That of the base at `root`; an empty one where there is none.
    ///
    /// # Errors
    /// When it is damaged.
    pub(super) fn of(root: &Path) -> Result<Option<Self>, Error> {
        read(&root.join(PUBLISHED_NAME), |record: &Self| record.format)
    }
}

/// A document's text.
pub(super) fn text(document: &impl Serialize) -> io::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(document)?))
}

/// The document at `path`; `None` where there is nothing.
fn read<T: DeserializeOwned>(path: &Path, format: impl Fn(&T) -> u32) -> Result<Option<T>, Error> {
    let damaged = |problem: String| WorkshopError::Damaged { path: path.to_owned(), problem };
    let bytes = match open_to_read(path).and_then(bytes) {
        Ok(bytes) => bytes,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(damaged(error.to_string()).into());
        }
        Err(source) => return Err(Error::File { path: path.to_owned(), source }),
    };
    let document: T = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    match format(&document) {
        FORMAT => Ok(Some(document)),
        format => Err(WorkshopError::NewerFormat { path: path.to_owned(), format }.into()),
    }
}

fn bytes(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LIMIT {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "it is too large")),
        false => Ok(bytes),
    }
}
