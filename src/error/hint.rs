//! What to do next, for every failure where there is something useful to say.

use std::path::Path;

use super::{Error, shown};
use crate::audit::Gap;
use crate::metadata::KeyFileError;
use crate::model::shell_word;

/// Where what a tree was made with is not at hand.
const DEFINITIONS: &str = "name the directory that has them with --repos (a receipt tells how a tree was made, and gives \
                           no trust)";

/// Where nobody signed it who was to.
const UNSIGNED: &str = "do not install it, unless whoever pushed it tells you another key; `elsewhere push --sign` signs what a \
                        tag names: name it by that, or by the digest that push said";

/// Where there is no glibc.
const MUSL: &str = "install your distribution's own package, or name the machines that the tree is for with --for, by their \
                    glibc or a distribution's name";

/// Where no program may be run.
const NOEXEC: &str = "choose a directory of a file system that is not mounted noexec; with --for, trees for other machines can be \
                      made anywhere";

/// Where a wishlist names a version that is nowhere.
const VERSIONS: &str = "`elsewhere list --all-versions` shows what repositories and archives have";

/// Where a hook of a wishlist failed.
const HOOK: &str = "nothing is published where one fails that is run before; what is published stays where one fails that \
                    is run after: run that by hand";

/// What to do where no key of `repository`, `DIST/ID`, could be had.
fn name_the_key(repository: Option<&str>) -> String {
    let named = repository.map_or_else(String::new, |it| format!("{it}="));
    format!(
        "get the key from its owner and name it with --trust-key {named}FILE, or name a mirror that has it with \
         --mirror; the dist's definition says where it is (`url`, `alternates`)"
    )
}

impl Error {
    /// What to do next, where there is something useful to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if let Some(limit) = self.limit() {
            return Some(limit.to_string());
        }
        match self {
            Self::Usage(_) => Some("see elsewhere --help".to_owned()),
            Self::Busy { .. } => Some("try again when it is over".to_owned()),
            Self::Unpublishable { help, .. } => Some((*help).to_owned()),
            Self::Hook { .. } => Some(HOOK.to_owned()),
            Self::Stale { .. } => Some("try again when the other runs are over".to_owned()),
            Self::Host(error) => error.hint(),
            Self::NoHome(error) => error.hint(),
            Self::Config(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Catalog(error) => error.hint(),
            Self::Fetch(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Metadata(error) => error.hint(),
            Self::Untrusted { missing_keys, repository, .. } if !missing_keys.is_empty() => {
                Some(name_the_key(repository.as_deref()))
            }
            Self::Untrusted { source, repository, .. } => source.hint_for(repository.as_deref()),
            Self::Trust(error) | Self::KeyFile(KeyFileError::Unusable { source: error, .. }) => {
                error.hint()
            }
            Self::SecretKey { source, .. } => source.hint(),
            Self::Older { .. } => Some(
                "--allow-downgrade takes it all the same, if you know why it is older".to_owned(),
            ),
            Self::Resolve(error) => error.hint(),
            Self::Unpack(error) => error.hint(),
            Self::Relocate(error) => error.hint(),
            Self::Audit(error) => error.hint(),
            Self::Smoke(error) => error.hint(),
            Self::Prefix(error) => error.hint(),
            Self::Workshop(error) => error.hint(),
            Self::Owned(error) => error.hint(),
            Self::Release(error) => error.hint(),
            Self::Cvmfs(error) => error.hint(),
            Self::Partly(failures) => failures.iter().find_map(|it| match &it.error {
                // Its own speaks of an option of `install`.
                Self::Resolve(error) if error.unknown_version().is_some() => {
                    Some(VERSIONS.to_owned())
                }
                error => error.hint(),
            }),
            Self::Ranch(error) => error.hint(),
            Self::Mounting(error) => error.hint(),
            Self::Shadow(error) => error.hint(),
            Self::RuntimeConfig(error) => error.hint(),
            Self::Gaps { gaps, .. } => Some(gaps_hint(gaps)),
            Self::Undefined { .. } => Some(DEFINITIONS.to_owned()),
            Self::NoDist { .. } => Some("see elsewhere list".to_owned()),
            Self::Damaged { hint, .. } | Self::Unproved { hint, .. } => Some(hint.clone()),
            Self::Unsigned { .. } => Some(UNSIGNED.to_owned()),
            Self::DamagedBundle { path, .. } => Some(damaged_bundle(path)),
            Self::DamagedGeneration { path, .. } => Some(format!(
                "to put it right: elsewhere verify --repair --all {}; to go there as it is: \
                 --no-verify",
                shell_word(&shown(path))
            )),
            Self::TooNew { fits, .. } => Some(too_new(fits.as_deref())),
            Self::Musl => Some(MUSL.to_owned()),
            Self::NoExec { .. } => Some(NOEXEC.to_owned()),
            Self::Unwell(_) => Some(
                "elsewhere doctor --fix-commands prints what an administrator can type".to_owned(),
            ),
            Self::Verify(_)
            | Self::Sources(_)
            | Self::KeyFile(KeyFileError::Unreadable { .. })
            | Self::Signals { .. }
            | Self::Staging { .. }
            | Self::Cache { .. }
            | Self::File { .. }
            | Self::Output { .. }
            | Self::UpdateAvailable
            | Self::Ended(_)
            | Self::Cancelled
            | Self::Panicked
            | Self::NotUnpacked(_) => None,
        }
    }
}

/// What helps where no tree of the dist that was chosen runs on the target; `fits` names one that does.
fn too_new(fits: Option<&str>) -> String {
    match fits {
        Some(dist) => format!(
            "-d {dist} fits, and -d auto chooses; name other machines with --for \
             (--for x86-64-v3 where all processors are new)"
        ),
        None => "no dist fits: name the machines that it is for with --for".to_owned(),
    }
}

/// What helps against what a tree lacks, by what most of it is.
fn gaps_hint(gaps: &[Gap]) -> String {
    let helps = if gaps.iter().any(|gap| matches!(gap, Gap::Glibc { .. })) {
        "choose a dist with an older glibc (-d; elsewhere list names them): glibc is too old"
    } else if gaps.iter().any(|gap| matches!(gap, Gap::Missing { .. })) {
        "name the package that brings what is missing as an `extra` in a definition of your own (--repos)"
    } else {
        "the packages, or what elsewhere made of them, do not fit together: please report it"
    };
    format!("{helps}; what was live before still is")
}

/// What helps against a bundle that is not what was written.
fn damaged_bundle(path: &Path) -> String {
    format!(
        "copy it again, as binary, with all its parts; to see all of it: elsewhere bundle --verify {}",
        shell_word(&shown(path))
    )
}
