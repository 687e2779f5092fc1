//! Certificates that vouched for trees: a cache may be another one, or empty, and a key that was known to be
//! revoked must not come back because of that.

use serde::{Deserialize, Serialize};

use super::error::PrefixError;
use super::kept::KeptFile;
use super::layout::Layout;
use super::{Locked, Prefix};
use crate::model::KnownKeys;

/// The version of the format that this program writes.
const FORMAT: u32 = 1;

/// `keys.toml`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    format: u32,
    #[serde(default)]
    keys: KnownKeys,
}

impl Prefix {
    /// What is known of certificates. Needs no lock.
    ///
    /// # Errors
    /// When the file cannot be read or makes no sense: what is revoked must not count because of that.
    pub fn known_keys(&self) -> Result<KnownKeys, PrefixError> {
        let file: Option<KeysFile> = kept_file(&self.layout).read()?;
        Ok(file.map(|file| file.keys).unwrap_or_default())
    }
}

impl Locked {
    /// Keeps these certificates in the place of what was known of the same keys, which they hold too.
    ///
    /// # Errors
    /// When the prefix cannot be read or written.
    pub fn keep_keys(&self, known: KnownKeys) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let before = self.known_keys()?;
        let mut keys = before.clone();
        keys.extend(known);
        if keys == before {
            return Ok(());
        }
        let file = KeysFile { format: FORMAT, keys };
        kept_file(&self.layout).write(&file, &self.layout.staging())
    }
}

fn kept_file(layout: &Layout) -> KeptFile {
    KeptFile {
        path: layout.keys(),
        format: FORMAT,
        remedy: "delete it: what is known of keys is asked for anew then",
    }
}
