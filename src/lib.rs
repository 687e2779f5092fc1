//! **elsewhere** puts container runtimes from Enterprise Linux RPMs into any directory, for any
//! user, on any distribution.
//!
//! # The map
//!
//! Data flows one way, and every arrow is a type:
//!
//! 1. [`cli`] turns arguments into a [`model::Request`].
//! 2. [`catalog`] reads `repos/` into [`model::Dist`] and [`model::Runtime`].
//! 3. [`host`] says what this machine is: a [`model::HostFacts`].
//! 4. [`fetch`] brings bytes into the cache, with the digest that was asked for.
//! 5. [`repodata`] parses metalinks, `repomd.xml` and `primary.xml` into a [`model::Index`].
//! 6. [`resolve`] answers a `Runtime` and an `Index` with a [`model::Plan`].
//! 7. [`trust`] proves where a package comes from: [`trust::Verified`].
//! 8. [`unpack`] writes a verified payload into a staged tree, and nowhere else.
//! 9. [`relocate`] makes the tree movable; [`audit`] proves that nothing it needs is missing.
//! 10. [`smoke`] runs it; [`launcher`] writes the text of `PREFIX/bin/*`.
//! 11. [`prefix`] makes it live: generations, swap, locks.
//! 12. [`verify`] holds it against its receipt, any time later.
//!
//! A tree is made in a [`workshop::Workshop`]: in a prefix that is its staging, and elsewhere any
//! directory. Finished, it is a [`workshop::MadeTree`], wherever it lies.
//!
//! What was unpacked once a [`store`] below the cache keeps, so that it need not be decoded again.
//!
//! [`decoding`] decodes payloads, in processes that [`sandbox`] leaves nothing else to do; that confines the
//! threads that unpack, too. [`sbom`] tells other programs what a prefix consists of; [`minisig`] signs
//! receipts, and says who signed one, or a release.
//!
//! [`ranch`] shows a directory to a command as its root, with files in it that it does not have, and [`drivers`] says which
//! of this machine's programs need for its GPUs. [`mounting`] mounts for a command what a runtime serves.
//!
//! [`config`] is what a site and a user set once. [`doctor`] says beforehand whether all that will
//! work on this host, and what helps if not.
//!
//! All of that is the crate's own, so that the compiler finds what nobody uses. The program is [`run`];
//! [`stages`] opens single stages to tests, benchmarks and fuzz targets.
//!
//! # Who may name whom
//!
//! From the lowest layer to the highest; `tests/rooms/layers.rs` holds the drawing against the code. A
//! room names rooms of lower layers only, and files do not name each other in circles.
//!
//! 1. [`model`] has the types that cross rooms.
//! 2. `tools` holds what is needed everywhere and is nobody's own: threads, limits. [`report`] is how
//!    stages tell what they do.
//!    [`owned`] opens what this user must own, and [`sandbox`] takes away what is not needed.
//! 3. [`decoding`] knows compression, `elf` programs and libraries, [`imagefile`] where an image's file system
//!    lies in a file, [`config`] the settings, [`store`] what was
//!    unpacked before, and [`workshop`] where trees are made.
//!    [`drivers`] knows libraries of this machine, by what `elf` reads of them.
//! 4. The stages above, and [`terminal`], the only one that draws. They do not know each other.
//! 5. [`metadata`] reads what a dist offers; [`release`] judges newer versions of this program itself,
//!    and puts them in place.
//! 6. [`error`] gives every failure its exit status and its hint.
//! 7. A [`context::Context`] is what all of the following are given.
//! 8. [`planning`] makes the plan.
//! 9. [`making`] makes the trees, and [`carry`] what brings an install to where there is no network.
//! 10. [`lifecycle`] does with both what is asked of a prefix, and [`publish`] what is asked of a directory of
//!     versions that many read, on CernVM-FS too.
//! 11. [`cli`] is above them all.

mod audit;
mod carry;
mod catalog;
mod cli;
mod config;
mod context;
mod decoding;
mod doctor;
mod drivers;
mod elf;
mod error;
mod fetch;
mod host;
mod imagefile;
mod images;
mod launcher;
mod layers;
mod lifecycle;
mod making;
mod metadata;
mod minisig;
mod model;
mod mounting;
mod owned;
mod planning;
mod prefix;
mod publish;
mod ranch;
mod release;
mod relocate;
mod repodata;
mod report;
mod resolve;
mod runtime_config;
mod sandbox;
mod sbom;
mod shadow;
mod smoke;
mod store;
mod terminal;
mod tools;
mod trust;
mod unpack;
mod verify;
mod workshop;

pub mod stages;

pub use cli::run;
