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
//! A bundle is one file that has as much of that as an install by its lock file needs, and starts the program that
//! does it. An artifact is what a registry has of a mirror.
//!
//! A mirror is made beside the old one, which shares unchanged files with it, and takes its place in one step.
//! Nothing in either gives trust: what is embedded, the configuration and the user say whom to believe.

mod artifact;
mod build;
mod bundle;
mod carried;
mod dnf;
mod finding;
mod gather;
mod inspect;
mod manifest;
mod place;
mod proving;
mod script;

use std::path::{Component, Path};

pub(crate) use artifact::{ArtifactSigner, Librarian, PushOptions, Pushed, Wish, pull, push};
pub(crate) use build::{Built, MirrorOptions, build};
pub(crate) use bundle::{Bundle, BundleMember, BundleOptions, Bundled, make};
pub(crate) use carried::Carried;
pub(crate) use finding::CarriedFinding;
pub(crate) use inspect::inspect;

/// The lock file of a mirror.
const LOCK: &str = "elsewhere.lock";
/// The directory of earlier lock files.
const OLDER: &str = "older";
/// Most bytes of a text in a mirror. Those of a million files are as long.
const TEXT_LIMIT: u64 = 128 << 20;

/// Whether `path` names something below where it begins, and nothing else.
fn is_within(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
}
