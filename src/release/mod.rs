//! Releases of this program: whether one is genuine and newer, and putting it in the place of the
//! program that runs.
//!
//! A release's `SHA256SUMS` names every file with its digest, and `SHA256SUMS.minisig` is its
//! signature in minisign's format (<https://jedisct1.github.io/minisign/>). The version stands in
//! the names of the programs, `elsewhere-VERSION-ARCH`, so it is signed too.

mod error;
mod update;

use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub use error::ReleaseError;
pub use update::{newer_release, replace_program};

use crate::fetch::Fetched;
use crate::minisig::{MinisigProblem, PublicKey};
use crate::model::{Arch, Checksum, Evr, escape};
use crate::tools::files;
use crate::tools::programs::{self, End, Finished, Listen, Patience};
use crate::tools::replacement::{Care, Replacement};

/// How long a new program may take to say its version.
const PROOF_LIMIT: Duration = Duration::from_secs(60);

/// The list of a release's files.
pub(crate) const SUMS: &str = "SHA256SUMS";

/// Its signature.
pub(crate) const SIGNATURE: &str = "SHA256SUMS.minisig";

/// The version of the program that runs.
pub(crate) const RUNNING: &str = env!("CARGO_PKG_VERSION");

/// Where the newest release is.
pub(crate) const NEWEST: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/releases/latest/download");

/// The public key of releases, as the file that minisign makes. Nothing but a build of the program
/// changes it.
pub const PINNED_KEY: &str = include_str!("../../dist/minisign.pub");

/// A release whose signature was good. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    version: String,
    programs: Vec<(Arch, Checksum)>,
}

impl Release {
    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Compares its version with another program's. `1.0.0-rc1` is older than `1.0.0`.
    #[must_use]
    pub fn compare(&self, running: &str) -> Ordering {
        let order = |version: &str| Evr { version: version.replace('-', "~"), ..Evr::default() };
        order(&self.version).cmp(&order(running))
    }

    /// The name and the digest of the program for `arch`.
    ///
    /// # Errors
    /// [`ReleaseError::NoProgram`].
    pub fn program(&self, arch: Arch) -> Result<(String, &Checksum), ReleaseError> {
        let (_, checksum) = self
            .programs
            .iter()
            .find(|(other, _)| *other == arch)
            .ok_or_else(|| ReleaseError::NoProgram { version: self.version.clone(), arch })?;
        Ok((format!("elsewhere-{}-{arch}", self.version), checksum))
    }
}

/// Reads a release's list of files, once `signature` proves that the owner of `key` wrote it. Key and
/// signature are minisign's files.
///
/// # Errors
/// When there is no key, the signature is not good, or the list is none of ours.
pub fn verify(key: &str, sums: &[u8], signature: &[u8]) -> Result<Release, ReleaseError> {
    let has_key = key.lines().nth(1).is_some_and(|line| !line.trim().is_empty());
    if !has_key {
        return Err(ReleaseError::NoKey);
    }
    let bad = |source| ReleaseError::Signature { source };
    let key = PublicKey::read(key).ok_or(MinisigProblem::NoKey).map_err(bad)?;
    key.verify(sums, &String::from_utf8_lossy(signature)).map_err(bad)?;
    parse(&String::from_utf8_lossy(sums)).ok_or(ReleaseError::Malformed)
}

/// The programs in a list, which all have the same version.
fn parse(sums: &str) -> Option<Release> {
    let mut release: Option<Release> = None;
    for line in sums.lines() {
        let (hex, name) = line.split_once("  ")?;
        let checksum = Checksum::new("sha256", hex).ok()?;
        let Some((version, arch)) = program_name(name) else { continue };
        let entry = (arch, checksum);
        match &mut release {
            None => release = Some(Release { version: version.to_owned(), programs: vec![entry] }),
            Some(release) if release.version == version => release.programs.push(entry),
            Some(_) => return None,
        }
    }
    release
}

/// Version and architecture, where `name` is a program's.
fn program_name(name: &str) -> Option<(&str, Arch)> {
    let (version, arch) = name.strip_prefix("elsewhere-")?.rsplit_once('-')?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+-".contains(&byte);
    let is_version = version.starts_with(|first: char| first.is_ascii_digit());
    let arch = Arch::ALL.into_iter().find(|known| known.as_str() == arch)?;
    (is_version && version.bytes().all(is_plain)).then_some((version, arch))
}

/// Puts the program `new`, which is `version`, into the place of the one at `program`: in one
/// step, and only once it has run.
///
/// # Errors
/// When it does not run here, or the place cannot be written. The old program stays then.
pub fn replace(program: &Path, new: &Fetched, version: &str) -> Result<(), ReleaseError> {
    let directory = program.parent().unwrap_or(Path::new("/"));
    let beside = directory.join(format!(".self-update.{}", std::process::id()));
    let written = |source| ReleaseError::Write { path: program.to_owned(), source };
    // What was copied is what was proved, and what runs.
    let copy = |to: &mut File| new.read(|from| io::copy(from, to).map(drop));
    let made = Replacement::file(beside, Care::Durable(0o755), copy).map_err(written)?;
    prove(made.path(), version)?;
    made.put(program).map_err(written)?;
    // Some file systems cannot sync directories, and do not need to.
    let _ = files::sync_directory(directory);
    Ok(())
}

/// Runs `program --version`.
fn prove(program: &Path, version: &str) -> Result<(), ReleaseError> {
    let mut command = Command::new(program);
    command.arg("--version");
    let said = match programs::run(command, Listen::Output, Patience::of(PROOF_LIMIT)) {
        Ok(Finished { end: End::TimedOut, .. }) => "nothing in time".to_owned(),
        Ok(finished) => finished.output.trim().to_owned(),
        Err(error) => error.to_string(),
    };
    match said == format!("elsewhere {version}") {
        true => Ok(()),
        false => Err(ReleaseError::DoesNotRun {
            version: version.to_owned(),
            said: escape(&said).into(),
        }),
    }
}
