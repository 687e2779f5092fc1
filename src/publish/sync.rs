//! From what is wanted to what stands: a plan first, and where there is something to do, all of it.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::about::{Record, Times};
use super::base::Base;
use super::changes::Changes;
use super::destination::{Publisher, Work};
use super::edition::Edition;
use super::goal::Goal;
use super::lint::{LintProfile, lint};
use super::lock::SyncLock;
use super::make::{MakeOptions, make};
use super::report::{AddedTree, AddedVersion, BaseReport, Known};
use super::wishlist::Hooks;
use crate::context::Context;
use crate::doctor::Subject;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{TreePlan, escape};
use crate::tools::programs::{self, Finished, Listen, Patience};

/// How long a hook may take.
const HOOK_TIME: Duration = Duration::from_secs(60 * 60);

/// What the caller decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SyncOptions<'a> {
    /// The time, in seconds since 1970.
    pub(crate) now: u64,
    /// Whether it is only to be said what would be done.
    pub(crate) is_dry: bool,
    /// Who and what is here, for the doctor.
    pub(crate) subject: Option<&'a Arc<Subject>>,
    /// What is run before and after something is published.
    pub(crate) hooks: &'a Hooks,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Synced {
    /// Of each base.
    pub(crate) reports: Vec<BaseReport>,
    /// What was published, or is so already.
    pub(crate) lock: SyncLock,
}

/// Brings every base to what is wanted of it. Where nothing is to be done, nothing is opened for writing.
///
/// # Errors
/// When something cannot be made or published. What stood before stands then, whole.
pub(crate) fn publish(
    context: Context<'_>,
    keys: &Keys<'_>,
    goals: &[Goal],
    (destination, earlier): (&dyn Publisher, Option<&SyncLock>),
    options: SyncOptions<'_>,
) -> Result<Synced, Error> {
    let mut planned = Vec::new();
    for goal in goals {
        check_path(context, goal)?;
        planned.push(changes(context, goal, options.now)?);
    }
    let mut reports: Vec<BaseReport> = goals
        .iter()
        .zip(&planned)
        .map(|(goal, (base, changes))| report(goal, base, changes))
        .collect();
    let pairs = |planned: &[(Base, Changes)]| {
        let pairs: Vec<(&Goal, &Changes)> =
            goals.iter().zip(planned).map(|(goal, (_, changes))| (goal, changes)).collect();
        SyncLock::of(keys, &pairs, earlier)
    };
    let lock = pairs(&planned);
    if options.is_dry {
        return Ok(Synced { reports, lock });
    }
    if planned.iter().all(|(_, changes)| changes.is_empty()) {
        for (base, _) in planned.iter().filter(|(base, _)| base.has_rest) {
            // Taken and given back: what a dead run left is gone then.
            drop(destination.stage(&base.root)?);
        }
        return Ok(Synced { reports, lock });
    }
    run_all(context, &options.hooks.before)?;
    let mut works = Vec::new();
    for ((goal, (_, changes)), report) in goals.iter().zip(&planned).zip(&mut reports) {
        if !changes.is_empty() {
            let (work, told) = prepare(context, keys, goal, destination, options)?;
            *report = told;
            works.push(work);
        }
    }
    if context.reporter.is_cancelled() {
        return Err(Error::Cancelled);
    }
    destination.publish(&works)?;
    drop(works);
    run_all(context, &options.hooks.after)?;
    Ok(Synced { reports, lock })
}

/// What stands in the base of `goal`, and what is to be done there.
fn changes(context: Context<'_>, goal: &Goal, now: u64) -> Result<(Base, Changes), Error> {
    let base = Base::read(&goal.root)?;
    let wanted = (&goal.current, goal.keeping);
    let changes = Changes::between(context.catalog, &base, &goal.editions, wanted, now)?;
    Ok((base, changes))
}

/// Makes all that is new in the base of `goal`, where another run may have been since.
fn prepare(
    context: Context<'_>,
    keys: &Keys<'_>,
    goal: &Goal,
    destination: &dyn Publisher,
    options: SyncOptions<'_>,
) -> Result<(Work, BaseReport), Error> {
    let stage = destination.stage(&goal.root)?;
    let (base, changes) = changes(context, goal, options.now)?;
    let mut report = report(goal, &base, &changes);
    let mut known = match changes.added.is_empty() {
        true => None,
        false => Some(Known::of(&base)?),
    };
    for (addition, added) in changes.added.iter().zip(&mut report.added) {
        let Some(edition) = goal.editions.get(addition.edition) else { continue };
        let version = stage.path.join(&addition.name);
        let made = MakeOptions { subject: options.subject };
        make(context, keys, (edition, addition), &version, made)?;
        lint(&version, LintProfile::Tree)?.check(&version)?;
        if let Some(known) = &mut known {
            let error = |source| Error::File { path: version.clone(), source };
            added.account = Some(known.add(&version).map_err(error)?);
        }
    }
    let record = record(&base, &changes, options.now);
    Ok((Work { root: goal.root.clone(), changes, stage, record }, report))
}

/// What is recorded of the versions of `base` once `changes` are done.
fn record(base: &Base, changes: &Changes, now: u64) -> Record {
    let mut record = base.record.clone();
    record
        .versions
        .retain(|name, _| base.version(name).is_some() && !changes.dropped.contains(name));
    for addition in &changes.added {
        let times = Times { published: now, current_until: None };
        record.versions.insert(addition.name.clone(), times);
    }
    if let Some(switch) = &changes.switched {
        let before = switch.from.as_ref().and_then(|from| record.versions.get_mut(from));
        before.into_iter().for_each(|times| times.current_until = Some(now));
        let after = record.versions.get_mut(&switch.to);
        after.into_iter().for_each(|times| times.current_until = None);
    }
    record
}

fn report(goal: &Goal, base: &Base, changes: &Changes) -> BaseReport {
    let added = changes.added.iter().filter_map(|addition| {
        let edition = goal.editions.get(addition.edition)?;
        let tree = |tree: &TreePlan| AddedTree {
            path: format!("{}{}", edition.directory(tree), tree.arch),
            dist: tree.dist.clone(),
            packages: tree.all_packages().count(),
        };
        let total =
            |size: fn(&TreePlan) -> u64| crate::model::total(edition.plan.trees.iter().map(size));
        Some(AddedVersion {
            name: addition.name.clone(),
            trees: edition.plan.trees.iter().map(tree).collect(),
            download_size: total(TreePlan::download_size),
            installed_size: total(TreePlan::installed_size),
            account: None,
        })
    });
    let to = changes.switched.as_ref().map(|switch| switch.to.clone());
    BaseReport {
        base: goal.root.to_string_lossy().into_owned(),
        added: added.collect(),
        switched: changes.switched.clone(),
        dropped: changes.dropped.clone(),
        wanted: changes.names.clone(),
        current: to.or_else(|| base.current.clone()),
    }
}

/// Refuses a base whose path holds a character with which a runtime does not work.
fn check_path(context: Context<'_>, goal: &Goal) -> Result<(), Error> {
    let path = goal.root.to_string_lossy();
    for name in goal.editions.iter().flat_map(Edition::runtimes) {
        let runtime = context.catalog.runtime(&name)?;
        let mut unfit = runtime.unfit_paths.iter().filter(|unfit| unfit.refused);
        if let Some(unfit) = unfit.find(|unfit| path.contains(unfit.character)) {
            return Err(Error::Usage(format!(
                "{} has {} in its path, with which {name} does not work: {}",
                escape(&path),
                unfit.called,
                unfit.breaks.join("; ")
            )));
        }
    }
    Ok(())
}

/// Runs each of `hooks`, in the root directory: whoever publishes must not be in what is published.
fn run_all(context: Context<'_>, hooks: &[Vec<String>]) -> Result<(), Error> {
    for hook in hooks {
        let [program, arguments @ ..] = hook.as_slice() else { continue };
        let mut command = Command::new(program);
        command.args(arguments).current_dir("/");
        let is_cancelled = || context.reporter.is_cancelled();
        let patience = Patience { time: HOOK_TIME, is_cancelled: &is_cancelled };
        let failed = |how: String| Error::Hook { program: program.clone(), how };
        let Finished { end, output } = programs::run(command, Listen::Both, patience)
            .map_err(|error| failed(error.to_string()))?;
        if !end.is_success() {
            let said = programs::tail(&output);
            let said = if said.is_empty() { said } else { format!("\n{said}") };
            return Err(failed(format!("{}{said}", told(end))));
        }
    }
    Ok(())
}

/// How a program ended.
fn told(end: programs::End) -> String {
    match end {
        programs::End::Exited(status) => status.to_string(),
        programs::End::TimedOut => "it took too long".to_owned(),
        programs::End::Cancelled => "interrupted".to_owned(),
    }
}
