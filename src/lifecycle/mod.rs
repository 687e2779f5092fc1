//! What is done to a prefix: install, update, roll back, remove, verify, repair. Plans and trees come from
//! `planning` and `making`; the prefix keeps them.

mod changes;
mod commands;
mod install;
mod launchers;
mod life;
mod origin;
mod present;
mod repair;
mod siblings;
mod verify;
mod whole;

pub use changes::{Change, TreeChange};
pub use install::{Installed, InstalledTree, Options};
pub use life::{Removed, WentBack};
pub use origin::verify_tree_origin;
pub use verify::{CheckedTree, Verification, verify_tree};
pub use whole::{
    Asked, Gone, HistoryEntry, Look, Makers, Member, Removal, Steps, WayBack, What, Whole,
    nothing_of, plan_for,
};
