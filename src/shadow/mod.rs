//! A shadow of a prefix: a small prefix of the user's own over one that he cannot write to, with a configuration of its
//! own.
//!
//! ```text
//! DIR/
//! ├── bin     -> .elsewhere-shadow/live/bin      launchers
//! ├── x86_64  -> .elsewhere-shadow/live/x86_64   a tree for each that the prefix has; dists/DIST/x86_64 too
//! └── .elsewhere-shadow/
//!     ├── live -> 2                              replaced by one rename
//!     ├── 2/                                     bin, trees, and `record.json`
//!     └── making/                                what a run makes: it is that run's lock
//! ```
//!
//! A tree of it has `etc` as it was in the prefix, and the user's from then on; copies of those programs that look for
//! their configuration where they lie themselves, links followed; and links to all else. It is made of one version of
//! the prefix's tree, and of that one until it is updated: a program of one version with helpers of another would be
//! nobody's. What the user edited goes into the next version as it does in prefixes.
//!
//! Nothing in it names the place where it lies, so it can be moved.

mod error;
mod make;
mod original;
mod place;
mod record;
mod remove;
mod state;

pub use error::ShadowError;
pub(crate) use make::make;
pub(crate) use original::Original;
pub(crate) use record::Shadow;
pub(crate) use remove::remove;
pub(crate) use state::{ShadowState, states};
