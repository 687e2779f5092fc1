//! The configuration of an image (OCI's image specification, config.md), as far as it is used. Old images have `null`
//! for nothing, and a text for one word.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ImageConfig {
    /// As Go calls it.
    pub architecture: String,
    /// As Go calls it.
    pub os: String,
    /// How a container begins.
    pub config: Option<Execution>,
    /// What its layers are.
    pub rootfs: RootFs,
}

/// How a container begins.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Execution {
    /// `NAME=VALUE`.
    pub env: Option<Vec<String>>,
    /// What is run.
    pub entrypoint: Option<Words>,
    /// And with which words, where the user has none.
    pub cmd: Option<Words>,
    /// What somebody said of it.
    pub labels: Option<BTreeMap<String, String>>,
}

/// Words of a command.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Words {
    /// As they are.
    List(Vec<String>),
    /// One, of which a shell would make more.
    Text(String),
}

impl Words {
    /// Them.
    pub(super) fn list(&self) -> Vec<String> {
        match self {
            Self::List(words) => words.clone(),
            Self::Text(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()],
        }
    }
}

/// What an image's layers are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RootFs {
    /// Digests of them, not compressed.
    pub diff_ids: Vec<String>,
}
