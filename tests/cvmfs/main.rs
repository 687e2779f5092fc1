//! Publishing to CernVM-FS, through the library: what is left after every failure, and that the next run succeeds. The
//! server is the tests' stand-in; `CVMFS_TEST_REPOSITORY` names a repository of a real one instead, for what can be
//! asked of both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::result_large_err,
    reason = "a failure here should stop the test, and what the library gives is what work gives it"
)]

#[path = "../support/mod.rs"]
mod support;

mod crashed;
mod ended;
mod failures;
mod gateway;
mod ingested;
mod others;
mod server;
mod synced;
mod work;
