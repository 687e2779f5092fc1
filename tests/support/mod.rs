//! What tests and the demo share.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "test support: each program uses a part of it, and a failure here should stop the test"
)]

pub mod archive;
pub mod cvmfs;
pub mod deb;
pub mod gateway;
pub mod golang;
pub mod goods;
pub mod header;
pub mod image;
pub mod jail;
pub mod judges;
pub mod keys;
pub mod killing;
pub mod metadata;
pub mod mirror;
pub mod opening;
pub mod packets;
pub mod program;
pub mod registry;
pub mod rpms;
pub mod scratch;
pub mod server;
pub mod session;
pub mod sif;
pub mod site;
pub mod small;
pub mod tarball;
pub mod tiny;
pub mod tools;
pub mod world;
