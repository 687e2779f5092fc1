//! What several integration tests need.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod keys;
pub mod rpms;
pub mod scratch;
