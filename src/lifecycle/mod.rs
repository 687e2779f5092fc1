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

pub use changes::{Change, TreeChange, changes, changes_between};
pub use install::{Installed, InstalledTree, Options, install};
pub use life::{Removed, remove, roll_back};
pub use origin::{verify_origin, verify_tree_origin};
pub use present::present;
pub use repair::repair;
pub use verify::{CheckedTree, Verification, verify, verify_tree};
