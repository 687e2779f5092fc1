//! Takes from a whole process what decoding needs not: everything but what is open, and memory.

use std::fmt;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{calls, explain};

/// Bytes of address space that the process may have, this program's own among them: decoders take 128 MiB
/// at the most.
const MEMORY: u64 = 384 << 20;
/// Seconds that it may have of the processors: a thousand times what all packages of an install take.
const PROCESSOR: u64 = 3600;

/// What a process was kept from, and by what.
#[derive(Debug)]
pub struct Walls {
    /// By seccomp: all system calls but a few; or why not.
    calls: Result<(), String>,
    /// By Landlock: files, and TCP; or why not.
    files: Result<(), String>,
}

impl Walls {
    /// Whether the process reaches no file, no network and no other process.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.calls.is_ok()
    }
}

impl fmt::Display for Walls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.calls, &self.files) {
            (Ok(()), Ok(())) => {
                f.write_str("kept from files, network and other processes by seccomp and Landlock")
            }
            (Ok(()), Err(_)) => {
                f.write_str("kept from files, network and other processes by seccomp")
            }
            (Err(calls), Ok(())) => {
                write!(f, "kept from files and TCP by Landlock alone, without seccomp: {calls}")
            }
            (Err(calls), Err(files)) => {
                write!(f, "not kept from files and network: {calls}; {files}")
            }
        }
    }
}

/// Walls the calling process in, which must have one thread, for ever: it can read and write what is open,
/// have some memory and end. Never fails: what this kernel cannot do is told.
#[must_use]
pub fn wall_in() -> Walls {
    let limits = [
        (Resource::As, MEMORY),
        (Resource::Cpu, PROCESSOR),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nproc, 0),
    ];
    limits.into_iter().for_each(|(resource, most)| limit(resource, most));
    let files = shut_files().map_err(|error| error.to_string()).and_then(|outcome| outcome);
    // Landlock needs a new one.
    limit(Resource::Nofile, 0);
    Walls { files, calls: calls::keep_few() }
}

/// Lowers a limit, where it is not lower already. Where that fails, the other walls stand.
fn limit(resource: Resource, most: u64) {
    let Rlimit { current, maximum } = getrlimit(resource);
    let lower = |known: Option<u64>| Some(known.map_or(most, |known| known.min(most)));
    let _ = setrlimit(resource, Rlimit { current: lower(current), maximum: lower(maximum) });
}

/// Opens no file any more, for whatever, and no TCP connection.
fn shut_files() -> Result<Result<(), String>, RulesetError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V5))?
        .create()?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err(explain(&status.landlock)),
    })
}
