//! Where the program keeps what it fetched: on a disk of this machine, one directory for each start that runs at the same time.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::MountingError;
use crate::owned::{OwnedError, Owners};
use crate::tools::mounts;

/// How many may run at the same time.
const MOST: u32 = 4096;

/// Of `places`, the first that is on no file system of other machines, by the table of mounts, and whose path needs no quotes;
/// the last where there is none.
#[must_use]
pub(crate) fn place(places: &[PathBuf], table: &[u8]) -> PathBuf {
    let is_fit = |place: &&PathBuf| is_plain(place) && !is_far(place, table);
    places.iter().find(is_fit).or(places.last()).cloned().unwrap_or_default()
}

/// Whether another machine serves what lies at `path`, or will.
#[must_use]
fn is_far(path: &Path, table: &[u8]) -> bool {
    let there = path.ancestors().find_map(|path| fs::canonicalize(path).ok());
    let mount = there.and_then(|path| mounts::holding(table, &path));
    mount.is_some_and(|mount| mounts::is_network(&mount.kind))
}

/// Whether a path is the same word whatever reads it.
#[must_use]
pub(crate) fn is_plain(path: &Path) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._+@-".contains(byte);
    path.as_os_str().as_encoded_bytes().iter().all(plain)
}

/// A directory below `base` that nobody else has as long as the file lives that comes back. What an earlier start left in it
/// is used again.
///
/// # Errors
/// When it cannot be made, or others can write to it.
pub(super) fn hold(base: &Path) -> Result<(PathBuf, File), MountingError> {
    let owners = Owners::default();
    let told = |path: &Path| {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(OwnedError::io(path)).and_then(|()| owners.check_directory(path))
    };
    // The user may have named a link.
    let base = fs::canonicalize(base).unwrap_or_else(|_| base.to_owned());
    let failed = |source| MountingError::Cache { path: base.clone(), source };
    told(&base).map_err(failed)?;
    for number in 1..MOST {
        let directory = base.join(number.to_string());
        told(&directory).map_err(failed)?;
        let lock = owners.open_or_make(&directory.join("held"), 0o600).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {}
            // Where there are no locks, nobody is told.
            _ => return Ok((directory, lock)),
        }
    }
    let many = std::io::Error::other("too many starts keep a cache there at the same time");
    Err(failed(OwnedError::io(&base)(many)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_of_this_machine_comes_first() {
        let table = b"1 1 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /proc rw - nfs4 srv:/ rw\n";
        let place =
            |names: &[&str]| place(&names.iter().map(PathBuf::from).collect::<Vec<_>>(), table);
        assert_eq!(place(&["/proc/x", "/var/tmp/x"]), Path::new("/var/tmp/x"));
        assert_eq!(place(&["/a b", "/var/tmp/x"]), Path::new("/var/tmp/x"));
        assert_eq!(place(&["/none/x", "/var/tmp/x"]), Path::new("/none/x"));
        assert_eq!(place(&["/proc/x"]), Path::new("/proc/x"));
    }

    #[test]
    fn each_that_runs_has_its_own_and_the_next_uses_it_again() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/held");
        let _ = fs::remove_dir_all(&base);
        let (one, first) = hold(&base).unwrap();
        let (two, _second) = hold(&base).unwrap();
        assert_ne!(one, two);
        drop(first);
        assert_eq!(hold(&base).unwrap().0, one);
    }
}
