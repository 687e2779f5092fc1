//! Calls the stages in order, side by side where that is faster. Decides nothing: what is done
//! stands in the [`Plan`](crate::model::Plan).

mod install;
mod keys;
mod local;
mod make;
pub mod metadata;
mod plan;
mod self_update;

pub use install::{Installed, InstalledTree, Options, install};
pub use keys::Keys;
pub use plan::{Offer, Present, PresentTree, offers, plan, present};
pub use self_update::{newer_release, replace_program};

use crate::catalog::Catalog;
use crate::fetch::Fetcher;
use crate::model::HostFacts;
use crate::report::Reporter;

/// What every stage is given: read once, the same for the whole run.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The definitions.
    pub catalog: &'a Catalog,
    /// This machine.
    pub host: &'a HostFacts,
    /// The way to the network and the cache.
    pub fetcher: &'a Fetcher<'a>,
    /// Today, `YYYY-MM-DD`: dists are maintained until a day.
    pub today: &'a str,
    /// Where events go.
    pub reporter: &'a dyn Reporter,
}
