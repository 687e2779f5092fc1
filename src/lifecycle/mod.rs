//! What is done to a prefix: install, update, roll back, remove, verify, repair. Plans and trees come from
//! `planning` and `making`; the prefix keeps them.

mod age;
mod attested;
mod changes;
mod commands;
mod distrust;
mod doubts;
mod earlier;
mod install;
mod launchers;
mod life;
mod origin;
mod present;
mod repair;
mod siblings;
mod sign;
mod verify;
mod whole;

pub(crate) use changes::{Change, TreeChange};
pub(crate) use distrust::distrust;
pub(crate) use install::{InstallOptions, Installed, InstalledTree, tell_config};
pub(crate) use life::Removed;
pub(crate) use origin::verify_tree_origin;
pub(crate) use sign::{SignedTree, Signing, sign_tree};
pub(crate) use verify::{CheckedTree, Extent, Verification, verify_tree};
pub(crate) use whole::{
    Asked, Gone, HistoryEntry, KeyAges, Look, Makers, Member, Removal, Steps, WayBack, What, Whole,
    fittest, nothing_of,
};
