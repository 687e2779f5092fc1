//! Will it work here, and if not, what is to be typed or who is to be asked?
//!
//! Every check tries the thing itself, in a process of its own where that could hurt, and reads
//! settings only to say why it failed. Nothing is changed, nothing needs root, and what does not
//! answer in time is said to be unknown.
//!
//! 1. [`Subject`] says what is examined: the host, the user, a prefix, directories.
//! 2. [`examine`] runs the checks side by side; each gives [`Observation`]s.
//! 3. [`Diagnosis::new`] joins them with what `repos/` says about their causes and about what the
//!    runtime needs: a [`Verdict`] each, and an [`Outlook`] for each of its abilities.

mod account;
mod bound;
mod diagnosis;
mod drivers;
mod explain;
mod machine;
mod namespaces;
mod network;
mod observation;
mod place;
mod probe;
mod subject;
mod tree;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

pub(crate) use account::GETSUBIDS;
pub(crate) use diagnosis::{Diagnosis, Outlook, Possible, Verdict};
pub(crate) use namespaces::{TRIED, refused_step};
pub(crate) use observation::{Observation, State};
pub(crate) use place::NOEXEC;
pub(crate) use probe::{Probe, probe};
pub(crate) use subject::{DistFacts, InstalledFacts, Subject};

use crate::tools::threads;

/// What looks at one part of the machine, and the names of the checks that it answers.
type Check = (&'static [&'static str], fn(&Subject) -> Vec<Observation>);

/// The check that says why others get no thread; it asks nobody who may not answer.
const LIMITS: &[&str] = &["limits"];

/// Every check, in the order in which they are shown.
const CHECKS: &[Check] = &[
    (&["kernel"], machine::kernel),
    (&TRIED, namespaces::observe),
    (&["id-maps"], account::id_maps),
    (&["identity"], account::identity),
    (&["hosts", "localtime", "resolv-conf"], bound::observe),
    (&["prefix", "temporary"], place::observe),
    (&["libc", "processor"], machine::programs),
    (&["container-libc"], tree::container_libc),
    (&["drivers"], drivers::observe),
    (LIMITS, machine::limits),
    (&["decoding"], machine::decoding),
    (&["network"], network::observe),
];

/// The checks that matter before an install: what would make it useless.
const BEFORE_INSTALL: &[&str] = &["user-namespaces", "mounts", "libc", "prefix"];

/// Runs every check, side by side, and waits no longer than `patience`.
#[must_use]
pub(crate) fn examine(subject: &Arc<Subject>, patience: Duration) -> Vec<Observation> {
    run(CHECKS, subject, patience)
}

/// Runs the few checks that matter before an install.
#[must_use]
pub(crate) fn examine_before_install(
    subject: &Arc<Subject>,
    patience: Duration,
) -> Vec<Observation> {
    examine_some(subject, BEFORE_INSTALL, patience)
}

/// Runs the checks of these names.
#[must_use]
pub(crate) fn examine_some(
    subject: &Arc<Subject>,
    names: &[&str],
    patience: Duration,
) -> Vec<Observation> {
    let matters = |check: &&str| names.contains(check);
    let checks: Vec<Check> =
        CHECKS.iter().filter(|(names, _)| names.iter().any(matters)).copied().collect();
    let mut observations = run(&checks, subject, patience);
    observations.retain(|observation| matters(&observation.check));
    observations
}

/// Threads of checks that hang (a dead file server) are left behind: they end with the process.
fn run(checks: &[Check], subject: &Arc<Subject>, patience: Duration) -> Vec<Observation> {
    let deadline = Instant::now() + patience;
    let (sender, receiver) = channel();
    let mut is_short = false;
    for (number, (names, check)) in checks.iter().enumerate() {
        let (sender, subject, check) = (sender.clone(), Arc::clone(subject), *check);
        let work = move || drop(sender.send((number, check(&subject))));
        match threads::detach("check", work) {
            Err(work) if *names == LIMITS => work(),
            // Not here: it may hang.
            outcome => is_short |= outcome.is_err(),
        }
    }
    drop(sender);
    let mut answers: BTreeMap<usize, Vec<Observation>> = BTreeMap::new();
    while answers.len() < checks.len() {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((number, observations)) => drop(answers.insert(number, observations)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    let reason = match is_short {
        true => {
            "no thread could be started for it: see the limits on processes and memory".to_owned()
        }
        false => format!("no answer within {patience:?}"),
    };
    let silent = |name: &&'static str| Observation::new(name, State::Unknown, reason.clone());
    let answer = |(number, (names, _)): (usize, &Check)| {
        answers.remove(&number).unwrap_or_else(|| names.iter().map(silent).collect())
    };
    checks.iter().enumerate().flat_map(answer).collect()
}

#[cfg(test)]
mod tests;
