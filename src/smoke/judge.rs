//! Whose fault it is that a test fails: the tree's, or the host's.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;

use super::{Obstacle, SmokeError, SmokeReport, Trial};
use crate::model::{Runtime, SmokeTest};
use crate::report::Reporter;

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
        let checks: Vec<&str> = runtime.checks(test).collect();
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
