//! What is run out of a bundle, kept below the user's cache by the bundle's digest: made once, beside its place,
//! and never removed by another run.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::open::Bundle;
use crate::error::Error;
use crate::fetch::FetchError;
use crate::owned::Owners;
use crate::report::Reporter;
use crate::tools::files;

/// The directory of all of them in a cache.
const DIRECTORY: &str = "bundles";
/// How often a waiting run looks again.
const POLL: Duration = Duration::from_millis(100);
/// So many digits of a digest are a name.
const DIGITS: usize = 32;

impl Bundle {
    /// The directory for what is made of this bundle, in the cache at `root`. Where it is not there, `make` makes
    /// it at another place, and it is renamed once. While another run makes it, this one waits.
    ///
    /// # Errors
    /// When somebody else could write there, the run is cancelled, or something cannot be written; or that of
    /// `make`.
    pub(crate) fn cached(
        &self,
        root: &Path,
        owners: &Owners,
        reporter: &dyn Reporter,
        make: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<PathBuf, Error> {
        let error = |path: &Path, source| Error::File { path: path.to_owned(), source };
        let root = root.join(DIRECTORY);
        // Whatever the umask: where others may write, the install that follows would not go on.
        let above = root.parent().unwrap_or(&root);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(above);
        made.map_err(|source| error(&root, source))?;
        files::make_directory(&root, 0o700).map_err(|source| error(&root, source))?;
        owners.check_root(&root).map_err(FetchError::from)?;
        let name = self.digest().first_digits(DIGITS);
        let place = root.join(&name);
        let is_there = || -> Result<bool, Error> {
            owners.check_directory(&place).map_err(FetchError::from)?;
            Ok(place.is_dir())
        };
        if is_there()? {
            return Ok(place);
        }
        let lock = root.join(format!(".{name}.lock"));
        let lock = owners.open_or_make(&lock, 0o600).map_err(FetchError::from)?;
        let is_alone = wait(&lock, reporter)?;
        if is_there()? {
            return Ok(place);
        }
        let stem = format!(".{name}.new");
        if is_alone {
            remove_dead(&root, &stem).map_err(|source| error(&root, source))?;
        }
        let new = files::unique(&root, &stem);
        let made = make(&new).and_then(|()| {
            match fs::rename(&new, &place) {
                // Where there are no locks, another run may have been faster.
                Err(_) if is_there()? => Ok(()),
                renamed => renamed.map_err(|source| error(&place, source)),
            }
        });
        // Nothing, once it was renamed.
        let removed = files::remove_tree(&new).map_err(|source| error(&new, source));
        made.and(removed).map(|()| place)
    }
}

/// Waits until no other run has the lock. False where there are no locks.
fn wait(lock: &File, reporter: &dyn Reporter) -> Result<bool, Error> {
    let mut told = false;
    loop {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(_) => return Ok(false),
        }
        if reporter.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if !told {
            reporter.note("waiting: another run makes what this one is to start".to_owned());
            told = true;
        }
        thread::sleep(POLL);
    }
}

/// Removes what runs left that were killed. Nothing runs from there.
fn remove_dead(root: &Path, stem: &str) -> std::io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(stem)) {
            files::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}
