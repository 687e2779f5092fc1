//! The exit status of every failure.

use super::{CvmfsError, Error};
use crate::fetch::{FetchError, Reason, RegistryError};
use crate::metadata::{MetadataError, is_malformed};
use crate::model::LockError;
use crate::prefix::PrefixError;
use crate::ranch::RanchError;
use crate::release::ReleaseError;
use crate::relocate::RelocateError;
use crate::shadow::ShadowError;
use crate::smoke::SmokeError;
use crate::tools::limits::Limit;
use crate::unpack::UnpackError;
use crate::workshop::WorkshopError;

/// Exit statuses and their meaning. `--help` and `docs/exit-statuses.md` list the same.
pub(crate) const EXIT_STATUSES: [(u8, &str); 15] = [
    (0, "done"),
    (1, "internal error: a bug of this program"),
    (2, "usage: the command line or a definition is wrong"),
    (3, "network: a source could not be reached or read"),
    (4, "trust: something is not what its digest or signature says"),
    (5, "resolution: no set of packages fits, or an image has nothing for the machine"),
    (6, "disk: the prefix, the cache or the temporary directory cannot be written"),
    (HOST, "this host: what was installed does not run here, or a limit is too low"),
    (8, "damage: an installed tree or launcher, or a bundle, is not as it was made"),
    (
        9,
        "busy: another run works on the prefix, or on the mirror or bundle, or a repository is busy",
    ),
    (UPDATE_AVAILABLE, "update --check, lock --check, shadow update --check: there is an update"),
    (UNDEFINED, "definitions: those that an installed tree was made with are not at hand"),
    (UNPROVED, "unproved: nothing is damaged, and not all of it can be proved by this version"),
    (
        REFUSED,
        "publishing: refused by lint, a hook or a repository's server; or not all there that was published",
    ),
    (INTERRUPTED, "interrupted"),
];

/// Exit status of `update --check` and `lock --check` when there is an update.
pub(crate) const UPDATE_AVAILABLE: u8 = 10;

/// Exit status where an installed tree's definitions are needed and not at hand.
const UNDEFINED: u8 = 11;

/// Exit status where an installed tree is neither proved nor damaged.
const UNPROVED: u8 = 12;

/// Exit status where what is wanted was not published, must not be, or is not as it should be.
const REFUSED: u8 = 13;

/// The exit status of a network that did not give what was asked for.
pub(crate) const NETWORK: u8 = 3;

/// Exit status where this host, or a limit of it, is to blame.
pub(crate) const HOST: u8 = 7;

/// Exit status of a run that was interrupted: 128 and the number of SIGINT, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

impl Error {
    /// The process's exit status: one of [`EXIT_STATUSES`].
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            error if error.is_cancelled() => INTERRUPTED,
            // Where it was met says nothing about who is to blame.
            error if error.limit().is_some_and(|limit| limit != Limit::FileSize) => HOST,
            Self::Panicked
            | Self::NotUnpacked(_)
            | Self::Signals { .. }
            | Self::Relocate(RelocateError::Stale { .. } | RelocateError::Cancelled) => 1,
            Self::Lock(LockError::Widens { .. } | LockError::Ended { .. }) => 4,
            Self::Lock(LockError::Gone { .. }) => 5,
            Self::Usage(_)
            | Self::Catalog(_)
            | Self::Host(_)
            | Self::NoHome(_)
            | Self::Config(_)
            | Self::Lock(_)
            | Self::KeyFile(_)
            | Self::SecretKey { .. }
            | Self::Relocate(RelocateError::NoSuchLine { .. })
            | Self::NoDist { .. } => 2,
            Self::Fetch(error) => fetch_status(error),
            Self::Registry(error) => registry_status(error),
            Self::Image(error) => error.exit_status(),
            Self::Metadata(error) => metadata_status(error),
            Self::Trust(_)
            | Self::Untrusted { .. }
            | Self::Older { .. }
            | Self::Unsigned { .. } => 4,
            Self::Unpack(UnpackError::Write { .. } | UnpackError::SameName { .. }) => 6,
            Self::Unpack(_) => 4,
            Self::Resolve(_) => 5,
            Self::Undefined { .. } => UNDEFINED,
            Self::Sources(error) if error.is_distrust() => 4,
            Self::Sources(error) if error.is_network() => NETWORK,
            Self::Sources(_) => 2,
            Self::Prefix(PrefixError::Held { .. }) | Self::Stale { .. } | Self::Busy { .. } => 9,
            Self::Workshop(WorkshopError::Damaged { .. }) => 8,
            Self::Prefix(_)
            | Self::Workshop(_)
            | Self::Owned(_)
            | Self::Staging { .. }
            | Self::Cache { .. }
            | Self::File { .. }
            | Self::Output { .. }
            | Self::Relocate(_)
            | Self::Smoke(SmokeError::Io { .. })
            | Self::Audit(_) => 6,
            Self::Verify(_) => 6,
            Self::Damaged { .. } | Self::DamagedBundle { .. } | Self::DamagedGeneration { .. } => 8,
            Self::Unproved { .. } => UNPROVED,
            Self::Hook { .. } | Self::Unpublishable { .. } => REFUSED,
            Self::UpdateAvailable => UPDATE_AVAILABLE,
            Self::Ended(status) => *status,
            Self::Mounting(error) if error.is_usage() => 2,
            Self::Mounting(_) => HOST,
            Self::Ranch(error) if error.is_usage() => 2,
            Self::Ranch(RanchError::KeptBusy { .. }) => 9,
            Self::Ranch(RanchError::Keep(_)) => 6,
            Self::Ranch(error) => error.start_status().unwrap_or(HOST),
            Self::Shadow(error) => shadow_status(error),
            Self::RuntimeConfig(error) => error.exit_status(),
            Self::TooNew { .. }
            | Self::Musl
            | Self::Gaps { .. }
            | Self::Smoke(_)
            | Self::NoExec { .. }
            | Self::Unwell(_) => HOST,
            Self::Release(error) => release_status(error),
            Self::Partly(failures) => failures.first().map_or(1, |it| it.error.exit_status()),
            Self::Cvmfs(error) => cvmfs_status(error),
            Self::Cancelled => INTERRUPTED,
        }
    }
}

/// That of the fetch that failed; otherwise network, unless what came is not what its digest says.
fn metadata_status(error: &MetadataError) -> u8 {
    match error.fetch_error() {
        Some(error) => fetch_status(error),
        None if error.is_choice() => 2,
        None if error.is_distrust() => 4,
        None if error.is_bug() => 1,
        None => NETWORK,
    }
}

/// Network, unless what came was refused for what it is, or the cache is at fault.
fn fetch_status(error: &FetchError) -> u8 {
    let is_wrong = |reason: &Reason| match reason {
        Reason::Digest { .. } | Reason::Size { .. } => true,
        Reason::Refused(refusal) => match refusal.downcast_ref() {
            Some(judging) => fetch_status(judging) == 4,
            None => !is_malformed(refusal.as_ref()),
        },
        _ => false,
    };
    match error {
        FetchError::Cache { .. } | FetchError::Untrusted(_) | FetchError::Full { .. } => 6,
        FetchError::System(_) => HOST,
        FetchError::Variable(_) => 2,
        FetchError::Cancelled => INTERRUPTED,
        FetchError::Unavailable(attempts) => {
            if attempts.iter().any(|attempt| is_wrong(&attempt.reason)) { 4 } else { NETWORK }
        }
    }
}

/// Publishing, unless others were in the way, or the fault is here.
fn cvmfs_status(error: &CvmfsError) -> u8 {
    match error {
        error if error.is_busy() => 9,
        error if error.is_usage() => 2,
        error if error.is_disk() => 6,
        _ => REFUSED,
    }
}

/// Network, unless the fault is here.
fn registry_status(error: &RegistryError) -> u8 {
    match error {
        RegistryError::Fetch(error) => fetch_status(error),
        RegistryError::Logins { .. } => 2,
        RegistryError::Refused { .. }
        | RegistryError::Answer { .. }
        | RegistryError::Helper { .. } => NETWORK,
    }
}

/// The disk, unless what was typed makes no sense, or another run is at work.
fn shadow_status(error: &ShadowError) -> u8 {
    match error {
        ShadowError::Busy { .. } => 9,
        ShadowError::Damaged { .. } => 8,
        error if error.is_usage() => 2,
        _ => 6,
    }
}

/// Trust, unless the release is good and this machine is not.
fn release_status(error: &ReleaseError) -> u8 {
    match error {
        ReleaseError::Fetch(error) => fetch_status(error),
        ReleaseError::Unknown => 1,
        ReleaseError::NoProgram { .. } => 5,
        ReleaseError::Write { .. } => 6,
        ReleaseError::DoesNotRun { .. } => HOST,
        ReleaseError::NoKey
        | ReleaseError::Signature { .. }
        | ReleaseError::Malformed
        | ReleaseError::Older { .. } => 4,
    }
}
