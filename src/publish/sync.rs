//! From what is wanted to what stands: a plan first, and where there is something to do, all of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
use super::make::{MakeOptions, make, make_again};
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

/// Where bases are, how something is published there, and what is wanted of them.
pub(crate) struct Outlet<'a> {
    /// How something is published there.
    pub(crate) publisher: &'a dyn Publisher,
    /// Its bases, each with what is wanted of it.
    pub(crate) bases: Vec<(PathBuf, &'a Goal)>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Synced {
    /// Of each destination: of each base.
    pub(crate) destinations: Vec<Result<Vec<BaseReport>, Error>>,
    /// Where a hook failed that was run after.
    pub(crate) after: Result<(), Error>,
}

/// What is to be done in one destination.
struct Planned<'a> {
    outlet: &'a Outlet<'a>,
    bases: Vec<(Base, Changes)>,
}

/// Brings every base of every destination to what is wanted of it. All is planned first; where nothing is to be done,
/// nothing is opened for writing. Then all that is new is made, once for all destinations, and then each is
/// published, one behind the other: what fails in one keeps the others from nothing.
///
/// # Errors
/// When a hook fails that is run before. What stood before stands then, whole.
pub(crate) fn publish(
    context: Context<'_>,
    keys: &Keys<'_>,
    outlets: &[Outlet<'_>],
    options: SyncOptions<'_>,
) -> Result<Synced, Error> {
    let planned = outlets.iter().map(|it| Planned::of(context, it, options.now));
    let planned: Vec<Result<Planned<'_>, Error>> = planned.collect();
    let is_due = |it: &Result<Planned<'_>, Error>| it.as_ref().is_ok_and(|it| !it.is_empty());
    if options.is_dry || !planned.iter().any(is_due) {
        let told = planned.into_iter().map(|planned| {
            let planned = planned?;
            if !options.is_dry {
                planned.clear()?;
            }
            Ok(planned.reports())
        });
        return Ok(Synced { destinations: told.collect(), after: Ok(()) });
    }
    run_all(context, &options.hooks.before)?;
    let mut made = Made::default();
    let mut prepared = Vec::new();
    for planned in planned {
        prepared.push(match planned {
            Ok(planned) if planned.is_empty() => {
                planned.clear().map(|()| (planned.reports(), Vec::new()))
            }
            Ok(planned) => planned.prepare(context, keys, &mut made, options),
            Err(error) => Err(error),
        });
    }
    let mut is_changed = false;
    let mut outcomes = Vec::new();
    for (prepared, outlet) in prepared.into_iter().zip(outlets) {
        outcomes.push(prepared.and_then(|(reports, works)| {
            if context.reporter.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if !works.is_empty() {
                outlet.publisher.publish(&works)?;
                is_changed = true;
            }
            Ok(reports)
        }));
    }
    let after = match is_changed {
        true => run_all(context, &options.hooks.after),
        false => Ok(()),
    };
    Ok(Synced { destinations: outcomes, after })
}

impl<'a> Planned<'a> {
    /// What is to be done in `outlet`.
    fn of(context: Context<'_>, outlet: &'a Outlet<'a>, now: u64) -> Result<Self, Error> {
        let plan = |(root, goal): &(PathBuf, &Goal)| {
            check_path(context, root, goal)?;
            changes(context, (root, goal), now)
        };
        let bases = outlet.bases.iter().map(plan).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { outlet, bases })
    }

    /// Whether nothing is.
    fn is_empty(&self) -> bool {
        self.bases.iter().all(|(_, changes)| changes.is_empty())
    }

    /// Each base, with what is wanted of it.
    fn goals(&self) -> impl Iterator<Item = (&'a Goal, &(Base, Changes))> {
        self.outlet.bases.iter().map(|(_, goal)| *goal).zip(&self.bases)
    }

    /// What it comes to.
    fn reports(&self) -> Vec<BaseReport> {
        self.goals().map(|(goal, (base, changes))| report(goal, base, changes)).collect()
    }

    /// Removes what dead runs left.
    fn clear(&self) -> Result<(), Error> {
        for (base, _) in self.bases.iter().filter(|(base, _)| base.has_rest) {
            // Taken and given back: what a dead run left is gone then.
            drop(self.outlet.publisher.stage(&base.root)?);
        }
        Ok(())
    }

    /// Makes all that is new.
    fn prepare(
        &self,
        context: Context<'_>,
        keys: &Keys<'_>,
        made: &mut Made,
        options: SyncOptions<'_>,
    ) -> Result<(Vec<BaseReport>, Vec<Work>), Error> {
        let (mut reports, mut works) = (Vec::new(), Vec::new());
        for (goal, (base, changes)) in self.goals() {
            if changes.is_empty() {
                reports.push(report(goal, base, changes));
                continue;
            }
            let publisher = self.outlet.publisher;
            let site = (publisher, &*base.root, goal);
            let (work, told) = prepare(context, keys, site, made, options)?;
            reports.push(told);
            works.push((goal, work));
        }
        if context.reporter.is_cancelled() {
            return Err(Error::Cancelled);
        }
        // Only now: what was made for a destination that fails is gone.
        works.iter().for_each(|(goal, work)| made.add(goal, work));
        Ok((reports, works.into_iter().map(|(_, work)| work).collect()))
    }
}

/// Versions that this run made, where they still lie: by their bases and the positions of their editions.
#[derive(Default)]
struct Made(BTreeMap<(String, usize), PathBuf>);

impl Made {
    fn add(&mut self, goal: &Goal, work: &Work) {
        for addition in &work.changes.added {
            let place = (goal.name.clone(), addition.edition);
            self.0.entry(place).or_insert_with(|| work.stage.path.join(&addition.name));
        }
    }
}

/// What stands in the base at `root`, and what is to be done there.
fn changes(
    context: Context<'_>,
    (root, goal): (&Path, &Goal),
    now: u64,
) -> Result<(Base, Changes), Error> {
    let base = Base::read(root)?;
    let wanted = (&goal.current, goal.keeping);
    let changes = Changes::between(context.catalog, &base, &goal.editions, wanted, now)?;
    Ok((base, changes))
}

/// Makes all that is new in the base at `root`, where another run may have been since.
fn prepare(
    context: Context<'_>,
    keys: &Keys<'_>,
    (publisher, root, goal): (&dyn Publisher, &Path, &Goal),
    made: &Made,
    options: SyncOptions<'_>,
) -> Result<(Work, BaseReport), Error> {
    let stage = publisher.stage(root)?;
    let (base, changes) = changes(context, (root, goal), options.now)?;
    let mut report = report(goal, &base, &changes);
    let mut known = match changes.added.is_empty() {
        true => None,
        false => Some(Known::of(&base)?),
    };
    for (addition, added) in changes.added.iter().zip(&mut report.added) {
        let Some(edition) = goal.editions.get(addition.edition) else { continue };
        let version = stage.path.join(&addition.name);
        let what = (edition, addition);
        let known_at = made.0.get(&(goal.name.clone(), addition.edition));
        if !known_at.map_or(Ok(false), |it| make_again(context, it, what, &version))? {
            let options = MakeOptions { subject: options.subject };
            make(context, keys, what, &version, options)?;
        }
        lint(&version, LintProfile::Tree)?.check(&version)?;
        if let Some(known) = &mut known {
            let error = |source| Error::File { path: version.clone(), source };
            added.account = Some(known.add(&version).map_err(error)?);
        }
    }
    let record = record(&base, &changes, options.now);
    Ok((Work { root: root.to_owned(), changes, stage, record }, report))
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
        base: base.root.to_string_lossy().into_owned(),
        added: added.collect(),
        switched: changes.switched.clone(),
        dropped: changes.dropped.clone(),
        wanted: changes.names.clone(),
        current: to.or_else(|| base.current.clone()),
    }
}

/// Refuses a base whose path holds a character with which a runtime does not work.
fn check_path(context: Context<'_>, root: &Path, goal: &Goal) -> Result<(), Error> {
    let path = root.to_string_lossy();
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
