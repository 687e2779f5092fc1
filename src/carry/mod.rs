//! Installs where there is no network: a mirror is a directory with all that one needs, proved as its origin
//! is, whoever brought it.
//!
//! ```text
//! DIR/
//! ├── HOST/PATH…            what is at https://HOST/PATH, byte for byte: packages, metadata, keys
//! ├── dnf/DIST/ARCH/        repositories for dnf, of just the packages that are here
//! ├── definitions/          dists, runtimes and certificates as they were used, for --repos
//! ├── elsewhere.lock        what `install --from DIR` installs
//! ├── older/1.lock …        what it installed before (`--keep-old`)
//! ├── elsewhere-VERSION-ARCH, install.sh
//! └── elsewhere.files       every file's digest and size; nothing else belongs here
//! ```
//!
//! A mirror is made beside the old one, which shares unchanged files with it, and takes its place in one step.
//! Nothing in it gives trust: what is embedded, the configuration and the user say whom to believe.

mod build;
mod dnf;
mod gather;
mod inspect;
mod manifest;
mod place;
mod proving;
mod script;

use std::io::{self, Read};
use std::path::Path;

pub(crate) use build::{Built, MirrorOptions, build};
pub(crate) use inspect::{MirrorFinding, inspect};

use crate::error::Error;
use crate::model::{Arch, Plan, escape};
use crate::owned::open_to_read;

/// The lock file of a mirror.
const LOCK: &str = "elsewhere.lock";
/// The directory of earlier lock files.
const OLDER: &str = "older";
/// Most bytes of a text in a mirror. Those of a million files are as long.
const TEXT_LIMIT: u64 = 128 << 20;

/// What the mirror at `directory` installs; of this only the trees for `arches`, where some are named.
///
/// # Errors
/// When there is no mirror, its lock file is none, or it has nothing for one of the architectures.
pub(crate) fn lock_of(directory: &Path, arches: &[Arch]) -> Result<Plan, Error> {
    let path = directory.join(LOCK);
    let text = text_of(&path).map_err(|source| Error::File { path, source })?;
    let mut plan = Plan::from_lock(&text)?;
    if let Some(arch) = arches.iter().find(|arch| plan.trees.iter().all(|it| it.arch != **arch)) {
        let there: Vec<&str> = plan.trees.iter().map(|tree| tree.arch.as_str()).collect();
        return Err(Error::Usage(format!(
            "the mirror {} has nothing for {arch}: it has {}",
            escape(&directory.to_string_lossy()),
            there.join(", ")
        )));
    }
    plan.trees.retain(|tree| arches.is_empty() || arches.contains(&tree.arch));
    Ok(plan)
}

/// The text of a mirror's file, which may be anything that whoever carried it put there: nothing is followed or
/// waited for, and no more is read than a real one has.
fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = open_to_read(path)?.take(TEXT_LIMIT).read_to_string(&mut text)?;
    match read as u64 == TEXT_LIMIT {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "it is far too large")),
        false => Ok(text),
    }
}
