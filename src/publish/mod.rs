//! A destination that is read by many and written by one, such as CVMFS: complete versions beside each
//! other, and a link that says which one counts.
//!
//! ```text
//! BASE/
//! ├── 1.4.5/                        a version: it never changes
//! │   ├── bin/NAME                  launchers
//! │   ├── x86_64/  aarch64/         a tree for each architecture, with its receipt …
//! │   ├── dists/DIST/{bin,x86_64}   … or of several dists, among which the launchers choose
//! │   ├── .cvmfscatalog             CVMFS gives it a catalog of its own
//! │   └── .elsewhere-version.json   what it is
//! ├── 1.4.5-2/                      other content of the same version
//! ├── current -> 1.4.5-2            relative, replaced by one rename
//! ├── bin -> current/bin
//! └── .elsewhere-versions.json      when each was published, and until when it was current
//! ```
//!
//! What is wanted ([`Edition`]) is compared with what stands, which gives the changes. Where there
//! are none, nothing is opened for writing. New versions are made beside, and then
//! put into their places by whoever knows how that is done there: a [`Publisher`].

mod about;
mod base;
mod changes;
mod check;
mod configure;
mod cvmfs;
mod destination;
mod edition;
mod goal;
mod lint;
mod lock;
mod make;
mod put;
mod report;
mod separate;
mod sync;
mod wanted;
mod wishlist;

pub(crate) use base::{Published, Standing};
pub(crate) use changes::{Current, Keeping};
pub(crate) use check::{directory_of, wrong_launchers};
pub use cvmfs::{
    Collecting, CvmfsOptions, CvmfsRepository, Expected, Ingest, OpenTransaction, Revision, Words,
};
pub(crate) use cvmfs::{CvmfsPublisher, CvmfsWish, Via};
pub(crate) use destination::{PlainDirectory, Publisher};
pub(crate) use edition::Edition;
pub(crate) use goal::Goal;
pub(crate) use lint::{LintFinding, LintProfile, Severity, lint};
pub(crate) use lock::SyncLock;
pub(crate) use report::{AddedVersion, BaseReport};
pub(crate) use sync::{Outlet, SyncOptions, Synced, publish};
pub(crate) use wanted::Planning;
pub(crate) use wishlist::{DestinationWish, Hooks, Wishlist};
