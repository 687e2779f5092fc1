//! From a plan to a live prefix.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::present::check_present;
use super::{commands, doubts, earlier, launchers};
use crate::context::Context;
use crate::doctor::Subject;
use crate::error::Error;
use crate::launcher;
use crate::making::{self, Judge, Making};
use crate::metadata::Keys;
use crate::model::{Arch, GlibcVersion, Plan, Receipt, TreePlan, UnfitPath};
use crate::planning::{Present, definitions};
use crate::prefix::{Generation, Locked, Prefix, PrefixError, Staging};
use crate::relocate::RelocateError;
use crate::report::Reporter;
use crate::smoke::{self, SmokeError, Trial};
use crate::tools::files::is_full;
use crate::tools::threads::{self, Task};
use crate::unpack::UnpackError;
use crate::workshop::{ConfigReport, Workshop, WorkshopError, read_signature};

/// What the caller decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InstallOptions<'a> {
    /// Whether to wait for another run on the same prefix.
    pub wait: bool,
    /// The time that receipts carry, in seconds since 1970.
    pub now: u64,
    /// This program, to be kept in the prefix, and what it is for.
    pub program: Option<(Arch, &'a Path)>,
    /// Who and what is here, for the doctor, who tells a tree's faults from this machine's. `None` to
    /// take every test that fails for the tree's fault.
    pub subject: Option<&'a Arc<Subject>>,
}

/// What came of an install.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Installed {
    /// Each architecture of the plan.
    pub trees: Vec<InstalledTree>,
    /// Names of the launchers in `PREFIX/bin`.
    pub launchers: Vec<String>,
    /// What to type next: a launcher and its arguments. `None` where this machine cannot run it.
    pub suggestion: Option<String>,
}

impl Installed {
    /// Adds what came of an install into another part of the same prefix.
    pub(crate) fn add(&mut self, other: Self) {
        self.trees.extend(other.trees);
        self.launchers.extend(other.launchers);
        self.launchers.sort();
        self.launchers.dedup();
        self.suggestion = self.suggestion.take().or(other.suggestion);
    }
}

/// One live tree.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct InstalledTree {
    /// The architecture.
    pub arch: Arch,
    /// The dist.
    pub dist: String,
    /// The generation's number.
    pub generation: u32,
    /// Whether the prefix had just this already.
    pub unchanged: bool,
    /// How many packages.
    pub packages: usize,
    /// Bytes of its files.
    pub size: u64,
    /// The oldest glibc that runs it.
    pub glibc_needed: Option<GlibcVersion>,
    /// The x86-64 level that its programs need, 1 to 4; 0 on other architectures.
    pub x86_64_level: u8,
}

/// Carries out `plan` in `prefix`, which was made for what was `present` there.
///
/// # Errors
/// [`Error::Stale`] where another run changed the prefix since, and when anything fails. What was live before is live then.
pub(super) fn install(
    context: Context<'_>,
    keys: &Keys<'_>,
    (plan, present): (&Plan, &Present),
    prefix: &Prefix,
    options: InstallOptions<'_>,
) -> Result<Installed, Error> {
    execute(context, keys, (plan, present), prefix, options)
        .map_err(|error| explain_space(prefix, error))
}

fn execute(
    context: Context<'_>,
    keys: &Keys<'_>,
    (plan, present): (&Plan, &Present),
    prefix: &Prefix,
    options: InstallOptions<'_>,
) -> Result<Installed, Error> {
    check_path(context, plan, prefix)?;
    let prefix = &prefix.lock(options.wait, context.reporter)?;
    prefix.clean(context.reporter)?;
    check_present(present, prefix)?;
    // Another run may have learnt of a revocation.
    keys.know(&prefix.known_keys()?);
    commands::check(context, plan, prefix)?;
    let mut trees = Vec::new();
    let mut wanted = Vec::new();
    for tree in &plan.trees {
        match unchanged(context, prefix, tree)? {
            Some((generation, receipt)) => {
                doubts::tell(keys, &receipt, context.reporter);
                trees.push(summary(context, &receipt, generation.number, true));
            }
            None => wanted.push(tree),
        }
    }
    let now = options.now;
    let judge = judge(context, options.subject, &wanted, prefix)?;
    let (stagings, receipts) = match make(context, keys, (now, &judge), prefix, &wanted, true) {
        Err(Error::Relocate(RelocateError::Stale { path })) => {
            let reason = format!("{path} changes with its surroundings: nothing is taken over");
            context.reporter.detail(reason);
            make(context, keys, (now, &judge), prefix, &wanted, false)?
        }
        outcome => outcome?,
    };
    // Before anything is live by it: a run that is killed forgets nothing that it made use of.
    prefix.believe(&present.learnt, context.allows_downgrade)?;
    prefix.keep_keys(keys.known())?;
    let launchers = go_live(context, &judge, prefix, stagings, &receipts, &mut trees)?;
    if let Some((arch, program)) = options.program {
        prefix.keep_program(arch, program, launcher::own)?;
    }
    trees.sort_by_key(|tree| tree.arch);
    let suggestion = suggestion(context, plan, &launchers)?;
    Ok(Installed { trees, launchers, suggestion })
}

/// What this machine lets `trees` do in `prefix`.
fn judge<'a>(
    context: Context<'a>,
    subject: Option<&'a Arc<Subject>>,
    trees: &[&TreePlan],
    prefix: &Locked,
) -> Result<Judge<'a>, Error> {
    let scratch = trees.first().map(|tree| prefix.scratch(tree.arch)).transpose()?;
    let place = scratch.as_ref().map_or(prefix.path(), |scratch| scratch.path());
    Judge::new(context, subject, trees, place).map_err(|error| match error {
        Error::Smoke(SmokeError::NoExec { source, .. }) => {
            SmokeError::NoExec { path: prefix.path().to_owned(), source }.into()
        }
        error => error,
    })
}

/// Refuses a prefix whose path holds a character with which a runtime of the plan does not work.
///
/// # Errors
/// [`PrefixError::UnfitPath`], or that a runtime is unknown.
fn check_path(context: Context<'_>, plan: &Plan, prefix: &Prefix) -> Result<(), Error> {
    for planned in plan.trees.iter().flat_map(|tree| &tree.runtimes) {
        let runtime = context.catalog.runtime(&planned.name)?;
        let is_unfit = |unfit: &&UnfitPath| unfit.refused && prefix.path_holds(unfit.character);
        if let Some(unfit) = runtime.unfit_paths.iter().find(is_unfit) {
            return Err(PrefixError::UnfitPath {
                path: prefix.path().to_owned(),
                called: unfit.called.clone(),
                character: unfit.character,
                runtime: runtime.name.clone(),
                breaks: unfit.breaks.join("; "),
            }
            .into());
        }
    }
    Ok(())
}

/// An example for the first runtime that has one.
fn suggestion(
    context: Context<'_>,
    plan: &Plan,
    launchers: &[String],
) -> Result<Option<String>, Error> {
    let native = plan.trees.iter().find(|tree| context.host.arch == Some(tree.arch));
    for runtime in native.map_or(&[][..], |tree| &tree.runtimes) {
        for command in &context.catalog.runtime(&runtime.name)?.commands {
            if let Some(example) = &command.example
                && launchers.contains(&command.name)
            {
                return Ok(Some(format!("{} {example}", command.name)));
            }
        }
    }
    Ok(None)
}

/// Names the prefix, and what is free there, in a failure for want of space. The stages name the file
/// that they were at, which says nothing to anybody.
pub(super) fn explain_space(prefix: &Prefix, error: Error) -> Error {
    let is_about_space = match &error {
        Error::Prefix(PrefixError::NoSpace { needed: None, .. })
        | Error::Workshop(WorkshopError::NoSpace { .. }) => true,
        Error::Unpack(UnpackError::Write { source, .. })
        | Error::Relocate(RelocateError::File { source, .. })
        | Error::Smoke(SmokeError::Io { source, .. }) => is_full(source),
        _ => false,
    };
    match is_about_space {
        true => {
            let (path, available) = (prefix.path().to_owned(), prefix.available_space().ok());
            PrefixError::NoSpace { path, needed: None, available }.into()
        }
        false => error,
    }
}

/// Trees that are whole but not live, with their receipts.
type Made<'l> = (Vec<Staging<'l>>, Vec<Receipt>);

/// Makes the trees; with `keep`, takes over from the live ones what stays the same.
fn make<'l>(
    context: Context<'_>,
    keys: &Keys<'_>,
    (now, judge): (u64, &Judge<'_>),
    prefix: &'l Locked,
    wanted: &[&TreePlan],
    keep: bool,
) -> Result<Made<'l>, Error> {
    let mut stagings = Vec::new();
    let measuring = context.reporter.measure("take over what stays the same");
    for tree in wanted {
        let mut staging = prefix.stage(tree.arch)?;
        if let Some(live) = prefix.live(tree.arch)?.filter(|_| keep)
            && let Some(earlier) = earlier::tree(context, prefix, live)?
        {
            staging.take_from(earlier);
        }
        stagings.push(staging);
    }
    let mut makings = Vec::new();
    let mut needed = 0;
    for (tree, staging) in wanted.iter().zip(&stagings) {
        let mut making = Making::new(context, tree, staging)?;
        making.check_program()?;
        making.keep(keys)?;
        needed = making.needed_space().saturating_add(needed);
        makings.push(making);
    }
    drop(measuring);
    prefix.check_space(needed)?;
    if !makings.is_empty() {
        making::fill(context, keys, &makings)?;
    }
    let receipts = thread::scope(|scope| {
        let finish = |(making, staging): (_, &Staging<'_>)| {
            let scratch = prefix.scratch(staging.arch())?;
            finish(context, keys, (now, judge), (making, staging), scratch.path())
        };
        let spawn = |pair| threads::spawn(scope, move || finish(pair));
        let tasks: Vec<_> = makings.iter().zip(&stagings).map(spawn).collect();
        let join = |task: Task<'_, _>| task.join().unwrap_or(Err(Error::Panicked));
        tasks.into_iter().map(join).collect::<Result<_, _>>()
    })?;
    drop(makings);
    Ok((stagings, receipts))
}

/// Relocates, audits and tries one tree, and writes its receipt. All of it is durable then.
fn finish(
    context: Context<'_>,
    keys: &Keys<'_>,
    (now, judge): (u64, &Judge<'_>),
    (making, workshop): (&Making<'_>, &Workshop),
    scratch: &Path,
) -> Result<Receipt, Error> {
    let receipt = making.finish(context, keys, now, (judge, scratch))?;
    let _measuring = context.reporter.measure("write receipt");
    let digest = workshop.write_receipt(&receipt)?;
    earlier::note(context, &digest);
    Ok(receipt)
}

/// Makes the staged trees live: launchers first, so that none is ever missing its program's way in.
/// After a failure what did not become live goes, and so do launchers that lead nowhere.
fn go_live(
    context: Context<'_>,
    judge: &Judge<'_>,
    prefix: &Locked,
    stagings: Vec<Staging<'_>>,
    receipts: &[Receipt],
    trees: &mut Vec<InstalledTree>,
) -> Result<Vec<String>, Error> {
    let _measuring = context.reporter.measure("go live");
    let mut generations = Vec::new();
    for staging in stagings {
        generations.push(staging.commit()?);
    }
    let live = launchers::live(prefix)?;
    let all = live.iter().chain(receipts);
    let written = launchers::write(context.catalog, prefix, all, context.reporter);
    let swapped = written.and_then(|()| {
        let pairs = generations.iter().zip(receipts);
        pairs.into_iter().try_for_each(|(generation, receipt)| {
            swap_in(context, judge, prefix, generation, receipt)?;
            trees.push(summary(context, receipt, generation.number, false));
            Ok(())
        })
    });
    if let Err(error) = swapped {
        for generation in &generations {
            // Refused for what is live. What else fails is the next run's.
            let _ = prefix.discard(generation);
        }
        let _ = launchers::tidy(context.catalog, prefix, context.reporter);
        return Err(error);
    }
    launchers::tidy(context.catalog, prefix, context.reporter)
}

/// Makes one generation live, with the user's configuration, unless its launchers do not work.
fn swap_in(
    context: Context<'_>,
    judge: &Judge<'_>,
    prefix: &Locked,
    generation: &Generation,
    receipt: &Receipt,
) -> Result<(), Error> {
    let before = prefix.live(receipt.arch)?;
    if let Some(live) = &before {
        tell_config(context.reporter, prefix.carry_config(live, &generation.path)?);
    }
    prefix.activate(generation)?;
    try_launchers(context, judge, prefix, generation, receipt).or_else(|error| {
        prefix.deactivate(generation, before.as_ref())?;
        Err(error)
    })?;
    // One that cannot be read is none that this run could make anything of.
    let is_signed = |live: &Generation| matches!(read_signature(&live.path), Ok(Some(_)));
    if before.as_ref().is_some_and(is_signed) {
        context.reporter.note(format!(
            "{}{}: the new tree is not signed yet, as the one before was: see elsewhere receipt sign",
            prefix.place(),
            receipt.arch
        ));
    }
    Ok(())
}

/// Runs the smoke tests once more, through the launchers that users will call.
fn try_launchers(
    context: Context<'_>,
    judge: &Judge<'_>,
    prefix: &Locked,
    generation: &Generation,
    receipt: &Receipt,
) -> Result<(), Error> {
    // Launchers of several dists may run another one's tree.
    let are_its = prefix.members()?.is_empty();
    if !are_its || !judge.can_run || !context.runs_here(receipt.arch, receipt.glibc_needed) {
        return Ok(());
    }
    let mut runtimes = Vec::new();
    for runtime in &receipt.runtimes {
        runtimes.push((context.catalog.runtime(&runtime.name)?, runtime.version.as_str()));
    }
    let _measuring = context.reporter.measure("try launchers");
    let scratch = prefix.scratch(receipt.arch)?;
    let trial = Trial {
        tree: &generation.path,
        arch: receipt.arch,
        files: &receipt.all_files(),
        loading: &receipt.all_loading().unwrap_or_default(),
        host_libraries: &[],
        runtimes: &runtimes,
        scratch: scratch.path(),
        judge,
    };
    smoke::run_launchers(&trial, &prefix.bin(), context.reporter)?;
    Ok(())
}

/// Tells what became of the user's configuration.
pub(crate) fn tell_config(reporter: &dyn Reporter, report: ConfigReport) {
    for path in report.kept {
        reporter.note(format!("{path}: your edited version stays"));
    }
    for path in report.rpmnew {
        reporter.note(format!("{path}: the new version lies beside yours"));
    }
    for path in report.rpmsave {
        reporter.note(format!("{path}: your edits of a file that is no longer used"));
    }
    for path in report.skipped {
        reporter.warning(format!("{path}: not carried into the new tree"));
    }
}

/// The live generation, where it is what `tree` asks for.
pub(super) fn unchanged(
    context: Context<'_>,
    prefix: &Prefix,
    tree: &TreePlan,
) -> Result<Option<(Generation, Receipt)>, Error> {
    let Some(generation) = prefix.live(tree.arch)? else { return Ok(None) };
    let Some(receipt) = prefix.whole_receipt(&generation)? else { return Ok(None) };
    let same = receipt.elsewhere == env!("CARGO_PKG_VERSION")
        && receipt.runtimes == tree.runtimes
        && receipt.is_of(tree)
        // Such as a launcher that a definition has got since.
        && receipt
            .made_with
            .as_ref()
            .is_none_or(|with| Some(with) == definitions::planned_with(context.catalog, tree).as_ref());
    Ok(same.then_some((generation, receipt)))
}

fn summary(
    context: Context<'_>,
    receipt: &Receipt,
    generation: u32,
    unchanged: bool,
) -> InstalledTree {
    let level = context.catalog.dist(&receipt.dist).map_or(1, |dist| dist.x86_64_level);
    InstalledTree {
        arch: receipt.arch,
        dist: receipt.dist.clone(),
        generation,
        unchanged,
        packages: receipt.all_packages().count(),
        size: receipt.size(),
        glibc_needed: receipt.glibc_needed,
        x86_64_level: if receipt.arch == Arch::X86_64 { level } else { 0 },
    }
}
