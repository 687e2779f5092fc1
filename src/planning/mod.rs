//! From a [`Request`](crate::model::Request) to a [`Plan`](crate::model::Plan), which decides everything: which
//! dist, what is bound into containers, what stays, what is pinned or refused.

mod answer;
mod archives;
mod builds;
mod closure;
mod containers;
pub(crate) mod definitions;
mod load;
mod local;
mod locked;
mod offers;
mod plan;
mod present;
mod repositories;
mod several;
mod standing;
mod target;
mod update;

pub(crate) use archives::ArchivedVersions;
pub(crate) use locked::{held, sightings};
pub(crate) use offers::{Offer, offers};
pub(crate) use plan::{check_pins, plan};
pub(crate) use present::Present;
pub(crate) use several::{for_dist, plan_each, plan_for};
pub(crate) use standing::{TreeStanding, standing};
pub(crate) use target::check_target;
pub(crate) use update::{update_plan, without};
