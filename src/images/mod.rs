//! Images of containers: from a registry, or a directory in OCI's layout, to a tree that every runtime runs as it lies.
//!
//! A [`ImageName`] says where it is, a [`WantedPlatform`] for which machine; [`pull()`] chooses the manifest, brings the
//! layers, each by its digest, and applies them one over the other in a directory beside the destination, while the
//! next ones come. The tree then gets what runtimes look for (`repos/images.toml`) and a receipt of everything in it,
//! and takes its place by one rename. [`check()`] holds a tree against its receipt.
//!
//! A registry gives no trust: what counts is the digest, and who wants the same again names that. Nothing here runs
//! anything of an image.

mod check;
mod choose;
mod config;
mod furnish;
mod name;
mod place;
mod pull;
mod receipt;
mod source;

pub(crate) use check::{ImageChange, check};
pub(crate) use choose::WantedPlatform;
pub(crate) use name::ImageName;
pub(crate) use pull::{PullOptions, PulledImage, pull};
