//! What is tried, and what came of it.

use std::path::Path;

use super::HostJudge;
use crate::model::{Arch, Loading, ReceiptFile, Runtime};

/// What is to be tried.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The tree's root: staged, or live.
    pub tree: &'a Path,
    /// Its architecture.
    pub arch: Arch,
    /// Its files.
    pub files: &'a [ReceiptFile],
    /// Which of its programs are told where their libraries are.
    pub loading: &'a Loading,
    /// Patterns of sonames that are always the host's.
    pub host_libraries: &'a [String],
    /// Its runtimes, with their versions.
    pub runtimes: &'a [(&'a Runtime, &'a str)],
    /// An existing directory for what the tests write. Emptied by the caller.
    pub scratch: &'a Path,
    /// Who says what the host lets programs do.
    pub judge: &'a dyn HostJudge,
}

/// What was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmokeReport {
    /// Programs and libraries whose libraries the loader found.
    pub loaded: usize,
    /// Tests that ran.
    pub ran: usize,
    /// Tests that could not run here, as command lines for people.
    pub passed_over: Vec<String>,
}
