//! What a prefix holds before a plan for it is made.

use std::collections::BTreeMap;

use crate::model::{Arch, Pins, Receipt, Sightings};

/// What a prefix holds already: it stays, at its version where that is still to be had.
#[derive(Clone, Debug, Default)]
pub(crate) struct Present {
    /// The live trees.
    pub trees: BTreeMap<Arch, Receipt>,
    /// The numbers of the live generations, also of those of which nothing else is known.
    pub generations: BTreeMap<Arch, u32>,
    /// The versions that the user wants runtimes to stay at.
    pub pins: Pins,
    /// What was believed of repositories to make the plan.
    pub learnt: Sightings,
}
