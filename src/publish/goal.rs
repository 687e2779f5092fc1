//! What is wanted of a base.

use std::path::PathBuf;

use super::changes::{Current, Keeping};
use super::edition::Edition;
use crate::model::Plan;

/// What is wanted of one base.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    /// What the base is called.
    pub(crate) name: String,
    /// The base.
    pub(crate) root: PathBuf,
    /// Its versions, the oldest first.
    pub(crate) editions: Vec<Edition>,
    /// Which of them is to count.
    pub(crate) current: Current,
    /// What stays of others.
    pub(crate) keeping: Keeping,
}

impl Goal {
    /// The plans of its versions.
    pub(crate) fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.editions.iter().map(|edition| &edition.plan)
    }
}
