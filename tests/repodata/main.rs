//! What is read of repositories' metadata, where it is odd: each field missing, empty, doubled,
//! senseless. `docs/repository-metadata.md` lists the fields, and names these tests.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(clippy::print_stdout, reason = "a test says what it passes over")]
#![allow(clippy::disallowed_methods, reason = "whoever runs it says how many mutations there are")]

mod corpus;
mod document;
mod entries;
mod lists;
mod mutation;
#[cfg(feature = "real-tools")]
mod oracle;
mod packages;
mod real;
mod repomd;
#[path = "../support/mod.rs"]
mod support;
mod table;
