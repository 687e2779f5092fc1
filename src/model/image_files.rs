//! What the tree of an image gets besides what its layers have. Read from `repos/images.toml`; the format is described
//! there and in `docs/definitions.md`.

use serde::{Deserialize, Serialize};

/// The file of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageFiles {
    /// Directories, made where nothing is.
    #[serde(default)]
    pub directories: Vec<String>,
    /// Symlinks, made where nothing is.
    #[serde(default)]
    pub symlink: Vec<AddedSymlink>,
    /// Files.
    #[serde(default)]
    pub file: Vec<AddedFile>,
}

/// A symlink that a tree gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddedSymlink {
    /// Where.
    pub path: String,
    /// Its text.
    pub target: String,
}

/// A file that a tree gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddedFile {
    /// Where.
    pub path: String,
    /// Permissions.
    pub mode: u32,
    /// What is in it, with `{{NAME}}` for what the image's configuration says.
    pub text: String,
    /// Whether what is there stays.
    #[serde(default)]
    pub only_where_missing: bool,
}
