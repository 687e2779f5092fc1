//! End to end with real programs (`make test`): Debian's, packaged as Enterprise Linux packages
//! them, installed as an ordinary user, and run where nothing but the prefix can be what works.
//!
//! A tool that is missing is an error that names Debian's package.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails should stop its test"
)]
#![allow(clippy::print_stdout, reason = "figures for the docs")]
#![allow(clippy::disallowed_methods, reason = "`make bare` says where its hosts are")]

mod support;

#[path = "e2e/bare.rs"]
mod bare;
#[path = "e2e/calls.rs"]
mod calls;
#[path = "e2e/installed.rs"]
mod installed;
#[path = "e2e/mirror.rs"]
mod mirror;
#[path = "e2e/podman.rs"]
mod podman;
#[path = "e2e/published.rs"]
mod published;
#[path = "e2e/ranch.rs"]
mod ranch;
#[path = "e2e/scopes.rs"]
mod scopes;
#[path = "e2e/user.rs"]
mod user;
