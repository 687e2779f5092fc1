//! What is wanted of a base.

use super::changes::{Current, Keeping};
use super::edition::Edition;
use crate::model::Plan;

/// What is wanted of one base, wherever it is.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    /// What the base is called.
    pub(crate) name: String,
    /// Its versions, the oldest first.
    pub(crate) editions: Vec<Edition>,
    /// Which of them is to count.
    pub(crate) current: Current,
    /// What stays of others.
    pub(crate) keeping: Keeping,
    /// Whether all that is wished for is among them.
    pub(crate) is_whole: bool,
}

impl Goal {
    /// The plans of its versions.
    pub(crate) fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.editions.iter().map(|edition| &edition.plan)
    }
}
