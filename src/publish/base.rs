//! What stands in a base.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::about::{About, Record};
use crate::error::Error;
use crate::model::{RelPath, escape};
use crate::workshop::MadeTree;

/// The link that says which version counts.
pub(super) const CURRENT: &str = "current";

/// Where a base has what is on its way in or out. Whoever reads the base need not know it: it is gone again when
/// a run ends, and the next run removes what a killed one left.
pub(crate) const STAGE: &str = ".elsewhere-new";

/// The directory of launchers, in a version and in the base.
pub(super) const BIN: &str = "bin";

/// A version that stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The directory's name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it says of itself.
    pub(crate) about: About,
}

impl Standing {
    /// The version in the directory `path`; `None` where it is none.
    ///
    /// # Errors
    /// When what it says of itself is damaged.
    pub(super) fn at(path: &Path) -> Result<Option<Self>, Error> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let about = About::of(path)?;
        let standing =
            |about| Self { name: name.unwrap_or_default(), path: path.to_owned(), about };
        Ok(about.map(standing))
    }

    /// Its trees, each with where it lies in it.
    ///
    /// # Errors
    /// When one is missing, or its receipt is damaged.
    pub(crate) fn trees(&self) -> Result<Vec<(RelPath, MadeTree)>, Error> {
        let tree = |place: &RelPath| {
            let path = self.path.join(place);
            match MadeTree::open(&path)? {
                Some(tree) => Ok((place.clone(), tree)),
                None => {
                    let source = io::Error::new(io::ErrorKind::NotFound, "there is no receipt");
                    Err(Error::File { path, source })
                }
            }
        };
        self.about.trees.iter().map(tree).collect()
    }
}

/// What stands in a base.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base {
    /// The base.
    pub(crate) root: PathBuf,
    /// Its versions, the oldest first.
    pub(crate) versions: Vec<Standing>,
    /// The name of the one that counts, where there is one.
    pub(crate) current: Option<String>,
    /// Whether `bin` leads to its launchers.
    pub(crate) has_bin: bool,
    /// Whether a run left there what it made.
    pub(crate) has_rest: bool,
    /// What became of all.
    pub(crate) record: Record,
}

impl Base {
    /// What stands in the directory `root`, which may not be there yet.
    ///
    /// # Errors
    /// When it cannot be read, or something there is damaged.
    pub(crate) fn read(root: &Path) -> Result<Self, Error> {
        let error = |source| Error::File { path: root.to_owned(), source };
        let mut base = Self { root: root.to_owned(), ..Self::default() };
        let entries = match fs::read_dir(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(base),
            entries => entries.map_err(error)?,
        };
        for entry in entries {
            let entry = entry.map_err(error)?;
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            if !is_hidden && entry.file_type().map_err(error)?.is_dir() {
                base.versions.extend(Standing::at(&entry.path())?);
            }
        }
        base.versions.sort_by_key(|version| version.about.order());
        base.has_rest = fs::symlink_metadata(root.join(STAGE)).is_ok();
        base.record = Record::of(root)?.unwrap_or_default();
        let current = fs::read_link(root.join(CURRENT)).ok();
        let current = current.and_then(|text| text.to_str().map(str::to_owned));
        base.current = current.filter(|name| base.version(name).is_some());
        base.has_bin = fs::read_link(root.join(BIN)).is_ok_and(|text| text == bin_text());
        Ok(base)
    }

    /// The version of this name.
    #[must_use]
    pub(crate) fn version(&self, name: &str) -> Option<&Standing> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// Refuses to publish where something else is.
    ///
    /// # Errors
    /// When what would have to be replaced is no link.
    pub(super) fn check(&self) -> Result<(), Error> {
        let shown = escape(&self.root.to_string_lossy()).into_owned();
        for link in [CURRENT, BIN] {
            let there = fs::symlink_metadata(self.root.join(link));
            if there.is_ok_and(|metadata| !metadata.is_symlink()) {
                return Err(Error::Usage(format!(
                    "{shown}/{link} is no link: name a directory of its own for published versions"
                )));
            }
        }
        Ok(())
    }
}

/// The text of the link `bin` of a base.
pub(super) fn bin_text() -> PathBuf {
    Path::new(CURRENT).join(BIN)
}

/// What a path that users give leads to.
#[derive(Debug)]
pub(crate) struct Published;

impl Published {
    /// The version at `path`, or the one that counts where that is a base; `None` where it is neither.
    ///
    /// # Errors
    /// When it is damaged.
    pub(crate) fn at(path: &Path) -> Result<Option<Standing>, Error> {
        if let Some(version) = Standing::at(path)? {
            return Ok(Some(version));
        }
        match Record::of(path)? {
            Some(_) => Standing::at(&path.join(CURRENT)),
            None => Ok(None),
        }
    }
}
