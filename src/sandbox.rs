//! Takes from threads and processes what they need not.
//!
//! From a thread that unpacks: writing anywhere but into the staged tree, and the network. By Landlock,
//! where the kernel has it; a second wall behind the checks of `unpack`, not instead of them. Landlock's
//! rights belong to a thread: the other threads of the process keep theirs, and share its memory. So this
//! stops what is led to a wrong path, not what runs a stranger's code.
//!
//! That is what processes are for that decode and do nothing else: [`wall_in`] leaves them nothing but
//! what is open.

mod calls;
mod process;

use std::fmt;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    make_bitflags,
};

pub use calls::{ARCHITECTURES, CALLS_LEFT, CALLS_LEFT_FOR_DATA, CallNumbers};
pub use process::{Walls, wall_in};

/// How far a thread is confined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// It writes into the given directories only, and opens no TCP connection.
    Full,
    /// It is confined as far as this kernel can.
    Partial(String),
    /// It is not confined.
    Unavailable(String),
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => {
                f.write_str("packages are unpacked without network, confined to where they go")
            }
            Self::Partial(reason) => {
                write!(f, "packages are unpacked confined as far as the kernel can: {reason}")
            }
            Self::Unavailable(reason) => write!(f, "packages are unpacked unconfined: {reason}"),
        }
    }
}

/// What [`confine`] takes away, and gives back below the writable directories: everything that
/// changes a file system, but devices, sockets and pipes, which nobody gets to make.
const CHANGES: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    WriteFile | RemoveDir | RemoveFile | MakeDir | MakeReg | MakeSym | Refer | Truncate
});

/// Confines the calling thread, and those that it will start, for ever: they can change nothing
/// outside `writable` and open no TCP connection. What is open already stays usable. Reading is
/// not restricted. Never fails: what this kernel cannot do is told.
pub fn confine(writable: &[&Path]) -> Confinement {
    confine_to(writable, CHANGES)
}

/// The same, but that named pipes may be made, which images have.
pub(crate) fn confine_with_pipes(writable: &[&Path]) -> Confinement {
    confine_to(writable, CHANGES | AccessFs::MakeFifo)
}

fn confine_to(writable: &[&Path], changes: BitFlags<AccessFs>) -> Confinement {
    match restrict(writable, changes) {
        Ok(confinement) => confinement,
        Err(error) => Confinement::Unavailable(error.to_string()),
    }
}

fn restrict(writable: &[&Path], changes: BitFlags<AccessFs>) -> Result<Confinement, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_write(ABI::V4))?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .create()?;
    for path in writable {
        let directory = match PathFd::new(path) {
            Ok(directory) => directory,
            Err(error) => return Ok(Confinement::Unavailable(error.to_string())),
        };
        rules = rules.add_rule(PathBeneath::new(directory, changes))?;
    }
    let status = rules.restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Full,
        RulesetStatus::PartiallyEnforced => Confinement::Partial(explain(&status.landlock)),
        RulesetStatus::NotEnforced => Confinement::Unavailable(explain(&status.landlock)),
    })
}

/// Why a kernel cannot do it all.
fn explain(status: &LandlockStatus) -> String {
    match status {
        LandlockStatus::NotEnabled => "Landlock is not enabled in this kernel".to_owned(),
        LandlockStatus::NotImplemented => "this kernel has no Landlock".to_owned(),
        LandlockStatus::Available { effective_abi, .. } if *effective_abi < ABI::V4 => {
            "its Landlock knows no network".to_owned()
        }
        _ => "its Landlock is older".to_owned(),
    }
}
