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

use std::path::Path;

pub(crate) use build::{Built, MirrorOptions, build};
pub(crate) use inspect::{MirrorFinding, inspect};

use crate::error::Error;
use crate::model::{Arch, Plan, escape};

/// The lock file of a mirror.
const LOCK: &str = "elsewhere.lock";
/// The directory of earlier lock files.
const OLDER: &str = "older";

/// What the mirror at `directory` installs; of this only the trees for `arches`, where some are named.
///
/// # Errors
/// When there is no mirror, its lock file is none, or it has nothing for one of the architectures.
pub(crate) fn lock_of(directory: &Path, arches: &[Arch]) -> Result<Plan, Error> {
    let path = directory.join(LOCK);
    let text = std::fs::read_to_string(&path).map_err(|source| Error::File { path, source })?;
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
