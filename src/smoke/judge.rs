//! Whose fault it is that a test fails: the tree's, or the host's.

use std::fmt::Debug;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use rustix::process::Signal;

use super::{SmokeError, SmokeReport, Trial};
use crate::model::{RelPath, Runtime, SmokeTest};
use crate::report::Reporter;

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

/// Whether a program ended as one does that is broken: what a host forbids, it is told.
fn is_crash(status: ExitStatus) -> bool {
    let crashes = [Signal::SEGV, Signal::ILL, Signal::BUS, Signal::FPE, Signal::TRAP];
    crashes.iter().any(|signal| status.signal() == Some(signal.as_raw()))
}

/// A test that ran.
pub(super) struct Case<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) test: &'a SmokeTest,
    /// Its command line, for people.
    pub(super) shown: String,
    /// What was known of the host before it ran.
    pub(super) obstacles: Vec<Obstacle>,
}

/// Counts a test, passes it over, or lets its failure be the tree's.
pub(super) fn settle(
    case: Case<'_>,
    outcome: Result<(), SmokeError>,
    trial: &Trial<'_>,
    report: &mut SmokeReport,
    reporter: &dyn Reporter,
) -> Result<(), SmokeError> {
    let Case { runtime, test, shown, obstacles } = case;
    let failure = match outcome {
        Ok(()) => {
            for obstacle in obstacles.iter().filter(|obstacle| obstacle.is_own) {
                let Obstacle { check, evidence, .. } = obstacle;
                let may = "elsewhere itself may not do it, and the tree's programs may";
                reporter.note(format!("`{shown}` works, and {check} did not: {evidence}; {may}"));
            }
            report.ran += 1;
            return Ok(());
        }
        Err(failure) => failure,
    };
    let may_be_the_hosts = match &failure {
        SmokeError::Failed { status, .. } => !is_crash(*status),
        SmokeError::TimedOut { .. } | SmokeError::Unexpected { .. } => true,
        _ => false,
    };
    if !may_be_the_hosts {
        return Err(failure);
    }
    let (obstacles, difference) = if obstacles.is_empty() {
        let checks: Vec<&str> = test.checks().collect();
        // What makes namespaces is what security modules name.
        let place = runtime.namespace_programs.first().unwrap_or(&test.path);
        let found = trial.judge.obstacles_at(&checks, place, trial.scratch);
        (found, format!(" where {place} lies, though elsewhere itself may"))
    } else {
        (obstacles, String::new())
    };
    if obstacles.is_empty() {
        return Err(failure);
    }
    let told = obstacles.iter().map(|obstacle| {
        let Obstacle { check, evidence, helps, .. } = obstacle;
        let dot = if helps.is_empty() { "" } else { ". " };
        format!("{check} does not work here{difference} ({evidence}){dot}{helps}")
    });
    let told = told.collect::<Vec<_>>().join("; ");
    reporter.note(format!("passed over `{shown}`: {told}"));
    report.passed_over.push(shown);
    Ok(())
}
