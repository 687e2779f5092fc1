//! What an install is carried in: a mirror's directory, a bundle or what came from a registry, read in one way.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::artifact::PulledArtifact;
use super::bundle::Bundle;
use super::gather::Scope;
use super::manifest::{MANIFEST, Manifest};
use super::{LOCK, TEXT_LIMIT, place};
use crate::error::Error;
use crate::fetch::Members;
use crate::model::{Arch, Plan, escape};
use crate::owned::open_to_read;
use crate::report::Reporter;
use crate::tools::excerpt::Excerpt;

/// A mirror, a bundle or an artifact.
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    /// The mirror in this directory.
    Mirror(PathBuf),
    /// A bundle.
    Bundle(Arc<Bundle>),
    /// What was pulled.
    Artifact(Arc<PulledArtifact>),
}

impl Carried {
    /// What is at `path`: a directory is a mirror, and a file a bundle.
    ///
    /// # Errors
    /// When a file there is no bundle, or is damaged.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        match path.is_file() {
            true => Ok(Self::Bundle(Arc::new(Bundle::open(path)?))),
            false => Ok(Self::mirror(path)),
        }
    }

    /// The mirror in the directory `path`.
    #[must_use]
    pub(crate) fn mirror(path: &Path) -> Self {
        Self::Mirror(place::found(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Mirror(path) => path,
            Self::Bundle(bundle) => bundle.path(),
            Self::Artifact(artifact) => artifact.name(),
        }
    }

    /// What everything is read from, where that is one file.
    pub(crate) fn members(&self) -> Option<Arc<dyn Members>> {
        match self {
            Self::Mirror(_) => None,
            Self::Bundle(bundle) => Some(Arc::clone(bundle) as Arc<dyn Members>),
            Self::Artifact(artifact) => Some(Arc::clone(artifact) as Arc<dyn Members>),
        }
    }

    /// Whether it has a lock file, and so installs something.
    pub(crate) fn has_lock(&self) -> bool {
        matches!(self, Self::Artifact(_)) || self.file(LOCK).is_ok()
    }

    /// What it installs; of this only the trees for `arches`, where some are named.
    ///
    /// # Errors
    /// When it has no lock file, its lock file is none, or it has nothing for one of the architectures.
    pub(crate) fn plan(&self, arches: &[Arch]) -> Result<Plan, Error> {
        let file = |source| Error::File { path: self.path().join(LOCK), source };
        let mut plan = match self {
            Self::Artifact(artifact) => artifact.plan().clone(),
            _ => Plan::from_lock(&self.text(LOCK).map_err(file)?)?,
        };
        let has = |arch: &Arch| plan.trees.iter().any(|tree| tree.arch == *arch);
        if let Some(arch) = arches.iter().find(|arch| !has(arch)) {
            let there: Vec<&str> = plan.trees.iter().map(|tree| tree.arch.as_str()).collect();
            return Err(Error::Usage(format!(
                "the {} {} has nothing for {arch}: it has {}",
                self.kind(),
                escape(&self.path().to_string_lossy()),
                there.join(", ")
            )));
        }
        plan.trees.retain(|tree| arches.is_empty() || arches.contains(&tree.arch));
        Ok(plan)
    }

    /// Finds damage in what an install for `arches` reads, as far as that is not proved when it is read.
    ///
    /// # Errors
    /// When there is some.
    pub(crate) fn check(&self, arches: &[Arch], reporter: &dyn Reporter) -> Result<(), Error> {
        match self {
            Self::Mirror(_) | Self::Artifact(_) => Ok(()),
            Self::Bundle(bundle) => bundle.check(arches, reporter),
        }
    }

    /// What it is called.
    fn kind(&self) -> &'static str {
        match self {
            Self::Mirror(_) => "mirror",
            Self::Bundle(_) => "bundle",
            Self::Artifact(_) => "artifact",
        }
    }

    /// The list of a mirror's files; none where it cannot be read, or is not as it was written.
    pub(super) fn manifest(&self) -> Option<Manifest> {
        Manifest::read(&self.text(MANIFEST).ok()?)
    }

    /// What it is to hold.
    pub(super) fn scope(&self) -> Scope<'static> {
        match self {
            Self::Mirror(_) => Scope::Mirror(None),
            Self::Bundle(_) | Self::Artifact(_) => Scope::Bundle,
        }
    }

    /// One of its files, which may be anything that whoever carried it put there: nothing is followed or waited
    /// for.
    ///
    /// # Errors
    /// When it is not there, or is no file.
    pub(super) fn file(&self, name: &str) -> io::Result<Excerpt> {
        match self {
            Self::Mirror(directory) => open_to_read(&directory.join(name)).map(Excerpt::from),
            Self::Bundle(bundle) => bundle.member(Path::new(name)),
            Self::Artifact(artifact) => artifact.member(Path::new(name)),
        }
    }

    /// The text of one of its files. No more is read than a real one has.
    ///
    /// # Errors
    /// As [`Self::file`]; or when it is no text.
    pub(super) fn text(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        let read = self.file(name)?.take(TEXT_LIMIT).read_to_string(&mut text)?;
        match read as u64 == TEXT_LIMIT {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, "it is far too large")),
            false => Ok(text),
        }
    }
}
