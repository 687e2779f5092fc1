//! A runtime's file of settings: which it knows, which are set, and how to set one.
//!
//! Runtimes pass over keys that they do not know without a word, so a misspelt one changes nothing and nobody is told. Which
//! keys there are only the runtime's own program knows, of each version its own; its definition says how to ask it.

mod error;
mod file;
mod learn;

pub use error::RuntimeConfigError;
pub(crate) use file::{Values, changed, faults, set, values};
pub(crate) use learn::{Knowledge, read, write};
