//! Calls the stages in order, side by side where that is faster. Decides nothing: what is done
//! stands in the [`Plan`](crate::model::Plan).

mod answer;
mod changes;
mod containers;
mod definitions;
mod fill;
mod install;
mod judge;
mod keep;
mod keys;
mod launchers;
mod life;
mod local;
mod make;
pub mod metadata;
mod plan;
mod present;
mod repair;
mod repositories;
mod self_update;
mod siblings;
mod sources;
mod target;
mod update;
mod verify;

pub use changes::{Change, TreeChange, changes, changes_between};
pub use install::{Installed, InstalledTree, Options, install};
pub use keys::Keys;
pub use life::{Removed, remove, roll_back};
pub use plan::{Offer, check_pins, offers, plan};
pub use present::{Present, present};
pub use repair::repair;
pub use self_update::{newer_release, replace_program};
pub use sources::{CheckedSource, SourceState, SourcesError, check_sources};
pub use target::check_target;
pub use update::{update_plan, without};
pub use verify::{CheckedTree, Verification, verify, verify_origin};

use crate::catalog::Catalog;
use crate::fetch::Fetcher;
use crate::model::{Aim, Dist, HostFacts};
use crate::report::Reporter;

/// What every stage is given: read once, the same for the whole run.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The definitions.
    pub catalog: &'a Catalog,
    /// This machine.
    pub host: &'a HostFacts,
    /// The dist to take where neither the user nor the prefix says; `None` or `auto` to choose.
    pub default_dist: Option<&'a str>,
    /// The only dists that packages may come from; any, where it is empty.
    pub allowed_dists: &'a [String],
    /// The machines that trees are made for, where `--for` says so.
    pub aim: Option<Aim>,
    /// The way to the network and the cache.
    pub fetcher: &'a Fetcher<'a>,
    /// Today, `YYYY-MM-DD`: dists are maintained until a day.
    pub today: &'a str,
    /// Where events go.
    pub reporter: &'a dyn Reporter,
}

impl Context<'_> {
    /// Whether packages may come from `dist`.
    #[must_use]
    pub fn allows(&self, dist: &Dist) -> bool {
        self.allowed_dists.is_empty() || self.allowed_dists.contains(&dist.name)
    }
}
