//! Asks the doctor what this host lets programs do, for the tests of trees.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::context::Context;
use crate::doctor::{self, Diagnosis, State, Subject, Verdict};
use crate::error::Error;
use crate::model::{RelPath, SmokeTest, TreePlan};
use crate::smoke::{self, HostJudge, Obstacle, SmokeError};
use crate::tools::{files, threads};

/// How long the checks may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// This host, as far as the tests of some trees need it.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    catalog: &'a Catalog,
    distribution: &'a str,
    subject: Option<&'a Arc<Subject>>,
    /// What was found before anything was fetched.
    found: Vec<Verdict>,
    /// Whether programs can be run from where trees are made.
    pub(crate) can_run: bool,
}

impl<'a> Judge<'a> {
    /// Asks all that the tests of `trees` need, and whether programs can be run from `scratch`, an empty
    /// directory where trees are made. Without a `subject` nothing is asked of the doctor.
    ///
    /// # Errors
    /// When no program can be run from there, and the trees are meant for this machine; or when the
    /// directory cannot be written.
    pub(crate) fn new(
        context: Context<'a>,
        subject: Option<&'a Arc<Subject>>,
        trees: &[&TreePlan],
        scratch: &Path,
    ) -> Result<Self, Error> {
        let (catalog, distribution) = (context.catalog, context.host.distribution.as_str());
        let mut judge = Self { catalog, distribution, subject, found: Vec::new(), can_run: true };
        let mut native = trees.iter().filter(|tree| context.runs_here(tree.arch, tree.glibc));
        let Some(tree) = native.next() else { return Ok(judge) };
        match smoke::probe(scratch, tree.arch) {
            // Where it is moved to, or mounted otherwise, it may well run.
            Err(error @ SmokeError::NoExec { .. }) if context.aim.is_some() => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                context.reporter.note(format!(
                    "the tree is not tried out: {error}{}",
                    source.map_or(String::new(), |source| format!(": {source}"))
                ));
                judge.can_run = false;
            }
            outcome => outcome?,
        }
        let mut checks = BTreeSet::new();
        for runtime in &tree.runtimes {
            let runtime = catalog.runtime(&runtime.name)?;
            checks.extend(runtime.smoke_tests.iter().flat_map(SmokeTest::checks));
        }
        if let Some(subject) = subject {
            judge.found = judge.ask(subject, &checks.into_iter().collect::<Vec<_>>());
        }
        Ok(judge)
    }

    /// What the checks find, with what helps.
    fn ask(&self, subject: &Arc<Subject>, checks: &[&str]) -> Vec<Verdict> {
        if checks.is_empty() {
            return Vec::new();
        }
        let observations = doctor::examine_some(subject, checks, PATIENCE);
        let remedy = |cause: &str| self.catalog.remedy(cause, self.distribution);
        Diagnosis::new(subject, observations, &[], &remedy, &BTreeMap::new()).findings
    }

    /// A copy of this program where `place` would lie in a tree beside those that are made.
    fn copy_to(&self, place: &RelPath, scratch: &Path) -> io::Result<(PathBuf, Arc<Subject>)> {
        let subject = self.subject.ok_or(io::ErrorKind::NotFound)?;
        let beside = scratch.parent().unwrap_or(scratch);
        let number = threads::unique_number();
        let tree = beside.join(format!("judge-{}-{number}", std::process::id()));
        let executable = tree.join(place);
        fs::create_dir_all(executable.parent().unwrap_or(&tree))?;
        let program = File::open(&subject.executable)?;
        files::copy(&program, |mode| files::create(&executable, mode))?;
        let subject = Subject { executable, ..Subject::clone(subject) };
        Ok((tree, Arc::new(subject)))
    }
}

impl HostJudge for Judge<'_> {
    fn obstacles(&self, checks: &[&str]) -> Vec<Obstacle> {
        obstacles(&self.found, checks)
    }

    fn obstacles_at(&self, checks: &[&str], place: &RelPath, scratch: &Path) -> Vec<Obstacle> {
        let Ok((tree, subject)) = self.copy_to(place, scratch) else { return Vec::new() };
        let found = self.ask(&subject, checks);
        let _ = fs::remove_dir_all(tree);
        obstacles(&found, checks)
    }
}

/// What of `found` stands in the way of a test that needs `checks`.
fn obstacles(found: &[Verdict], checks: &[&str]) -> Vec<Obstacle> {
    let concerns =
        |finding: &&Verdict| finding.state >= State::Limited && checks.contains(&finding.check);
    let obstacle = |finding: &Verdict| Obstacle {
        check: finding.check.to_owned(),
        evidence: finding.evidence.clone(),
        helps: finding.user.clone(),
        is_own: doctor::TRIED.contains(&finding.check),
    };
    found.iter().filter(concerns).map(obstacle).collect()
}
