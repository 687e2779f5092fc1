//! What the host lets programs do, as it is asked for tests.

use std::fmt::Debug;
use std::path::Path;

use crate::model::RelPath;

/// Something of the host that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The check that found it.
    pub check: String,
    /// What was tried, and what came of it.
    pub evidence: String,
    /// What helps, in sentences; empty where nothing is known.
    pub helps: String,
    /// Whether it is elsewhere itself that may not do it, so that other programs may all the same.
    pub is_own: bool,
}

/// What the host lets programs do. Asked before a tree is there, and again when one of its tests
/// fails: security modules look at a program's path, and may let one do what another may not.
pub trait HostJudge: Debug + Sync {
    /// What does not work of `checks`, as it was found before the tree was there.
    fn obstacles(&self, checks: &[&str]) -> Vec<Obstacle>;

    /// The same, tried now by a program that lies at `place` of a tree as far as paths tell. It may
    /// write below `scratch`.
    fn obstacles_at(&self, checks: &[&str], place: &RelPath, scratch: &Path) -> Vec<Obstacle>;
}

/// A host of which nothing is asked: whatever fails is the tree's fault.
#[derive(Clone, Copy, Debug)]
pub struct Unjudged;

impl HostJudge for Unjudged {
    fn obstacles(&self, _: &[&str]) -> Vec<Obstacle> {
        Vec::new()
    }

    fn obstacles_at(&self, _: &[&str], _: &RelPath, _: &Path) -> Vec<Obstacle> {
        Vec::new()
    }
}
