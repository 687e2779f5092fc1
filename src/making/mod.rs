//! From a [`Plan`](crate::model::Plan) to trees that are whole and tried out: packages are fetched, verified and
//! unpacked side by side; then each tree is made movable, audited and run.

mod contents;
mod due;
mod fill;
mod finish;
mod judge;
mod keep;
mod launchers;
mod make;
mod places;
mod restore;

pub(crate) use contents::Contents;
pub(crate) use fill::fill;
pub(crate) use finish::audit_made;
pub(crate) use judge::Judge;
pub(crate) use launchers::{DistTrees, MadeWithReceipt, launchers};
pub(crate) use make::Making;
