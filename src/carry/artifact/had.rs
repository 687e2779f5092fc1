//! An artifact whose files were brought into the cache: read from there by the names that a mirror has them by.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::attached::ArtifactSigner;
use crate::fetch::{Fetched, Members};
use crate::model::Plan;
use crate::tools::excerpt::Excerpt;

/// What was pulled.
#[derive(Debug)]
pub(crate) struct PulledArtifact {
    /// Its reference, with its digest.
    pub(super) name: PathBuf,
    /// What it installs.
    pub(super) plan: Plan,
    /// Its files, but for lock files.
    pub(super) files: BTreeMap<PathBuf, Fetched>,
    /// Who signed it, where somebody must have.
    pub(super) signer: Option<ArtifactSigner>,
}

impl PulledArtifact {
    /// Its reference, with its digest.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Who signed it, where somebody must have.
    pub(crate) fn signer(&self) -> Option<&ArtifactSigner> {
        self.signer.as_ref()
    }

    /// What it installs, of those architectures that were pulled.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl Members for PulledArtifact {
    fn member(&self, name: &Path) -> io::Result<Excerpt> {
        let fetched = self.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        let file = fetched.open_file().map_err(io::Error::other)?;
        Ok(file.cut(0, fetched.size()))
    }

    fn identity(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }
}
