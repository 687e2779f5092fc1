//! What is written down of a shadow, and where it has what.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{ShadowError, failed};
use super::place::{live, own};
use crate::model::{Checksum, PlannedRuntime, RelPath};
use crate::owned::{Owners, open_to_read};
use crate::workshop::ConfigStates;

/// Raised when an older program would misunderstand the file.
pub(super) const FORMAT: u32 = 1;

/// Far more than any has, in bytes.
const LIMIT: u64 = 64 << 20;

/// The name of the record.
pub(super) const RECORD: &str = "record.json";

/// What a shadow is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ShadowRecord {
    /// [`FORMAT`].
    pub(super) format: u32,
    /// The prefix, or published version, as the user named it: absolute.
    pub(crate) of: String,
    /// Its trees.
    pub(crate) trees: Vec<RecordedTree>,
}

/// One of its trees.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RecordedTree {
    /// Where it lies, beside `bin`, here and there.
    pub(crate) place: RelPath,
    /// The tree that it is made of: absolute, and of one version.
    pub(crate) tree: String,
    /// Digest of that tree's receipt.
    pub(crate) receipt: Checksum,
    /// What is installed in it.
    pub(crate) runtimes: Vec<PlannedRuntime>,
    /// Its configuration as it was then.
    pub(crate) etc: ConfigStates,
    /// Its programs that were copied.
    pub(crate) copies: BTreeMap<RelPath, Checksum>,
}

/// A shadow that is there.
#[derive(Clone, Debug)]
pub(crate) struct Shadow {
    /// The directory.
    pub(crate) root: PathBuf,
    /// Which of all that were made counts.
    pub(super) number: u32,
    /// What it is made of.
    pub(crate) record: ShadowRecord,
}

impl Shadow {
    /// The shadow at `root`; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or somebody else could change it.
    pub(crate) fn at(root: &Path) -> Result<Option<Self>, ShadowError> {
        let own = own(root);
        let text = match fs::read_link(live(&own)) {
            Err(error) if is_absence(&error) => return Ok(None),
            text => text.map_err(failed("read", &live(&own)))?,
        };
        let owners = Owners::default();
        owners.check_root(root)?;
        owners.check_directory(&own)?;
        let number = text.to_str().and_then(|text| text.parse().ok());
        let number: u32 = number.ok_or_else(|| ShadowError::Record {
            path: live(&own),
            problem: "it leads to no version".to_owned(),
        })?;
        let path = own.join(number.to_string()).join(RECORD);
        let file = open_to_read(&path).map_err(failed("read", &path))?;
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes).map_err(failed("read", &path))?;
        let damaged = |problem: String| ShadowError::Record { path: path.clone(), problem };
        let record: ShadowRecord =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        match record.format {
            FORMAT => Ok(Some(Self { root: root.to_owned(), number, record })),
            format => {
                Err(damaged(format!("it has format {format}, which this program does not read")))
            }
        }
    }

    /// The same, which must be there.
    ///
    /// # Errors
    /// Also when there is none.
    pub(crate) fn open(root: &Path) -> Result<Self, ShadowError> {
        Self::at(root)?.ok_or_else(|| ShadowError::None { path: root.to_owned() })
    }

    /// Where its trees lie.
    pub(super) fn places(&self) -> impl Iterator<Item = &RelPath> {
        self.record.trees.iter().map(|tree| &tree.place)
    }

    /// What counts, by its own path.
    pub(super) fn version(&self) -> PathBuf {
        own(&self.root).join(self.number.to_string())
    }

    /// The tree at `place`, by its own path.
    pub(crate) fn tree(&self, place: &RelPath) -> PathBuf {
        self.version().join(place)
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
