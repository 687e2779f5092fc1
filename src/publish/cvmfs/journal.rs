//! What a run says of itself before it opens a transaction, durably: the server's flag names nobody, so this is how
//! the next run tells what a killed one left from what is somebody else's. One run at a time works on a repository
//! for a user of a machine.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::state::{Flag, MARK};
use crate::error::CvmfsError;
use crate::owned::{Owners, open_to_read};
use crate::tools::files;
use crate::tools::machine::host_name;
use crate::tools::replacement::{Care, Replacement};

/// The format of what is written.
const FORMAT: u32 = 2;

/// Far more than it has.
const LIMIT: u64 = 1 << 16;

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    /// It waits: no transaction is its own.
    Waiting,
    /// It opens one, or the server does for it.
    Opening,
    /// One is open.
    Open,
    /// What was written is being published.
    Publishing,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    format: u32,
    /// Which run it was, of all.
    nonce: String,
    /// Who it was: for people.
    process: u32,
    pub(super) step: Step,
    /// The flag that was there before the step: another's. Times would not tell, as files get theirs from a clock that
    /// may be behind: one of the kernel's that is set forward some hundred times a second, or a file server's.
    pub(super) others: Option<Flag>,
    /// The flag of the transaction that it opened.
    pub(super) flag: Option<Flag>,
    /// What it was to be tagged.
    pub(super) tag: String,
}

impl Entry {
    /// The file that marks a transaction as this run's, in the root of the repository.
    pub(super) fn marker(&self) -> String {
        format!("{MARK}{}", self.nonce)
    }
}

/// A repository's journal, which is this run's alone until it is dropped.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Locked.
    _lock: File,
    /// What the run before left unfinished.
    pub(super) before: Option<Entry>,
}

impl Journal {
    /// Opens that of `repository` below `state`; `None` where another run has it.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(super) fn open(state: &Path, repository: &str) -> Result<Option<Self>, CvmfsError> {
        // A home may be that of several machines, and each has a repository's state of its own.
        let name = format!("{repository}@{}", host_name());
        let (path, lock) = (state.join(&name), state.join(format!("{name}.lock")));
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| CvmfsError::Io { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(at(state))?;
        let file = Owners::default().open_or_make(&lock, 0o600)?;
        // Where there are no locks, whoever runs it sees to it that one does.
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Ok(None);
        }
        let before = read(&path).map_err(at(&path))?;
        Ok(Some(Self { path, _lock: file, before }))
    }

    /// A new entry, not written yet.
    pub(super) fn entry(tag: &str) -> Entry {
        Entry {
            format: FORMAT,
            nonce: format!("{:016x}", files::random()),
            process: std::process::id(),
            step: Step::Waiting,
            others: None,
            flag: None,
            tag: tag.to_owned(),
        }
    }

    /// Writes what the run is at now, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, entry: &mut Entry, step: Step) -> Result<(), CvmfsError> {
        entry.step = step;
        let write = || {
            let directory = self.path.parent().unwrap_or(Path::new("/"));
            let text = serde_json::to_vec(entry).map_err(io::Error::other)?;
            let new = files::unique(directory, "entry");
            let fill = |file: &mut File| file.write_all(&text);
            Replacement::file(new, Care::Durable(0o600), fill)?.put(&self.path)?;
            files::sync_directory(directory)
        };
        write().map(drop).map_err(|source| CvmfsError::Io { path: self.path.clone(), source })
    }

    /// Forgets: nothing is unfinished.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn clear(&mut self) -> Result<(), CvmfsError> {
        self.before = None;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CvmfsError::Io { path: self.path.clone(), source: error })
            }
            _ => Ok(()),
        }
    }
}

/// What is there; what makes no sense says nothing.
fn read(path: &Path) -> io::Result<Option<Entry>> {
    let file = match open_to_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = Vec::new();
    file.take(LIMIT).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text).ok().filter(|entry: &Entry| entry.format == FORMAT))
}
