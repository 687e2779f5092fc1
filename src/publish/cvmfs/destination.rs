//! Bases on a repository of CernVM-FS: versions are made beside it, and published together, in one transaction or by
//! streaming them.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Collecting, CvmfsRepository, Ingest, Revision, Words};
use crate::error::{CvmfsError, Error};
use crate::model::{PUBLISHED_NAME, RelPath, escape};
use crate::publish::base::{BIN, CURRENT};
use crate::publish::destination::{Publisher, Stage, Work};
use crate::publish::put::Stays;
use crate::report::Reporter;
use crate::tools::files;

/// How something is published there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// A transaction, in which the mounted repository is written to.
    #[default]
    Transaction,
    /// Archives that are streamed to the server, and deletions.
    Ingest,
}

/// A repository, as a destination.
pub(crate) struct CvmfsPublisher<'a> {
    /// The repository.
    pub(crate) repository: &'a CvmfsRepository,
    /// How it is published.
    pub(crate) via: Via,
    /// How a revision is called.
    pub(crate) tag: String,
    /// Where versions are made.
    pub(crate) stages: PathBuf,
    /// The latest time that a file may have, in seconds since 1970.
    pub(crate) time: u64,
    /// Where events go.
    pub(crate) reporter: &'a dyn Reporter,
    /// What was published.
    pub(crate) revisions: RefCell<Vec<Revision>>,
}

impl Publisher for CvmfsPublisher<'_> {
    fn stage(&self, root: &Path) -> Result<Stage, Error> {
        let base = self.below(root)?;
        let error = |source| Error::File { path: self.stages.clone(), source };
        fs::create_dir_all(&self.stages).map_err(error)?;
        Stage::at(self.stages.join(base.as_str().replace('/', ":")), root)
    }

    fn publish(&self, works: &[Work]) -> Result<(), Error> {
        let words = Words::new(&self.tag, &message(works))?;
        let paths =
            works.iter().map(|work| self.below(&work.root)).collect::<Result<Vec<_>, _>>()?;
        match self.via {
            Via::Transaction => self.transact(works, &paths, &words),
            Via::Ingest => self.ingest(works, &paths, &words),
        }
    }
}

impl CvmfsPublisher<'_> {
    /// Where the base at `root` is in the repository.
    fn below(&self, root: &Path) -> Result<RelPath, Error> {
        let mounted = self.repository.root();
        let below = root.strip_prefix(mounted).ok().and_then(Path::to_str);
        below.and_then(|below| RelPath::new(below).ok()).ok_or_else(|| {
            Error::Usage(format!(
                "{} is not below {}, where the repository is",
                escape(&root.to_string_lossy()),
                escape(&mounted.to_string_lossy())
            ))
        })
    }

    fn transact(&self, works: &[Work], paths: &[RelPath], words: &Words) -> Result<(), Error> {
        let ((), revision) = self.repository.transact(words, self.reporter, &mut |open| {
            for (work, path) in works.iter().zip(paths) {
                let root = open.root().join(path.as_str());
                make_parents(open.root(), path)?;
                work.carry_out(&root, Stays::Staged)?;
                check_current(work, &root)?;
                touched(work, path)?.into_iter().for_each(|path| open.touch(path));
            }
            Ok(())
        })?;
        self.revisions.borrow_mut().push(revision);
        Ok(())
    }

    fn ingest(&self, works: &[Work], paths: &[RelPath], words: &Words) -> Result<(), Error> {
        let mut gone = Vec::new();
        for (work, path) in works.iter().zip(paths) {
            // What is new, and what leads to it, as it will be laid over what is there.
            let tree = work.stage.path.join(PREPARED);
            work.carry_out(&tree, Stays::Nowhere)?;
            let stands = |name: &str| work.root.join(name).is_dir() || tree.join(name).is_dir();
            if work.changes.switched.as_ref().is_some_and(|switch| !stands(&switch.to)) {
                return Err(changed(&work.root));
            }
            let what = Ingest { tree: &tree, base: path, time: self.time };
            let revision = self.repository.ingest(what, words, self.reporter)?;
            self.revisions.borrow_mut().push(revision);
            for name in &work.changes.dropped {
                gone.push(path.join(&name_below(name)?));
            }
        }
        // Last: until the links lead elsewhere, somebody may need them.
        if !gone.is_empty() {
            let revision = self.repository.delete(&gone, words, self.reporter)?;
            self.revisions.borrow_mut().push(revision);
        }
        Ok(())
    }

    /// What keeps the storage of what was dropped, where something was.
    ///
    /// # Errors
    /// When the server does not say it.
    pub(crate) fn collecting(&self) -> Result<Collecting, Error> {
        Ok(self.repository.collecting()?)
    }
}

/// Where what is streamed is put together, in a stage.
const PREPARED: &str = ".prepared";

/// What is said of a revision.
fn message(works: &[Work]) -> String {
    let mut words = Vec::new();
    for work in works {
        let base = work.root.file_name().unwrap_or_default().to_string_lossy();
        let added = work.changes.added.iter().map(|it| format!("{base}/{}", it.name));
        words.extend(added);
        words.extend(work.changes.dropped.iter().map(|name| format!("without {base}/{name}")));
        words.extend(work.changes.switched.iter().map(|it| format!("{base}/current={}", it.to)));
    }
    words.join(" ")
}

/// What is made, changed and removed in the base at `path`.
fn touched(work: &Work, path: &RelPath) -> Result<Vec<RelPath>, Error> {
    let added = work.changes.added.iter().map(|it| it.name.as_str());
    let names = added.chain(work.changes.dropped.iter().map(String::as_str));
    let names = names.chain([CURRENT, BIN, PUBLISHED_NAME]);
    names.map(|name| Ok(path.join(&name_below(name)?))).collect()
}

fn name_below(name: &str) -> Result<RelPath, Error> {
    let what = "the name of a version";
    RelPath::new(name).map_err(|_| CvmfsError::Word { text: name.to_owned(), what }.into())
}

/// Makes the directories above `path`, for everybody to read.
fn make_parents(root: &Path, path: &RelPath) -> Result<(), Error> {
    let Some(parent) = path.parent() else { return Ok(()) };
    make_parents(root, &parent)?;
    let directory = root.join(parent.as_str());
    files::make_directory(&directory, 0o755)
        .map(drop)
        .map_err(|source| Error::File { path: directory, source })
}

/// Refuses to publish a link that leads to nothing: somebody else removed a version since it was planned.
fn check_current(work: &Work, root: &Path) -> Result<(), Error> {
    match work.changes.switched.is_none() || root.join(CURRENT).is_dir() {
        true => Ok(()),
        false => Err(changed(&work.root)),
    }
}

fn changed(root: &Path) -> Error {
    Error::Stale { path: root.to_owned() }
}
