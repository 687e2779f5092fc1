//! `elsewhere install --layout versioned`: a version beside others, which never changes; and what is said of
//! published versions.

use std::fmt::Write;
use std::path::Path;

use clap::ValueEnum;
use indicatif::HumanBytes;

use super::options::{Output, Settings, Sources, StoreArgs, WantedArgs};
use super::programs::ProgramArgs;
use super::session::Session;
use super::{doctor, repositories};
use crate::error::Error;
use crate::host::Host;
use crate::model::{Plan, escape, shell_word};
use crate::planning;
use crate::prefix::Prefix;
use crate::publish::{
    self, AddedVersion, BaseReport, Current, Edition, Goal, Hooks, Keeping, Outlet, PlainDirectory,
    SyncOptions,
};
use crate::terminal::Terminal;

/// What an install makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Layout {
    /// Generations, one of which is live.
    #[default]
    Prefix,
    /// Versions beside each other, which never change.
    Versioned,
}

/// An install of a version.
pub(super) struct Publishing<'a> {
    pub(super) wanted: &'a WantedArgs,
    pub(super) sources: &'a Sources,
    pub(super) store: StoreArgs,
    pub(super) programs: &'a ProgramArgs,
    pub(super) output: &'a Output,
    /// What the version is called, if not by its version.
    pub(super) name: Option<&'a str>,
    pub(super) is_dry: bool,
    pub(super) base: &'a Path,
}

impl Publishing<'_> {
    /// Publishes `locked`, or what is wanted, and makes it the one that counts.
    ///
    /// # Errors
    /// When it cannot be planned, made or published.
    pub(super) fn execute(
        &self,
        settings: Settings,
        locked: Option<&Plan>,
        host: &Host,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        let Self { wanted, sources, base, .. } = *self;
        check_base(base)?;
        let request = wanted.request(host, &settings, locked)?;
        if locked.is_none() {
            sources.check_mirror(host, &settings.config)?;
        }
        let subject = doctor::subject(host, &settings.catalog, base);
        let session = Session::with(host, sources, settings, terminal)?.made_for(&wanted.hosts)?;
        let session = session.keeping(self.store)?.giving(self.programs)?;
        let context = wanted.age.apply(session.context());
        let keys = session.keys_of(&request.trust)?;
        let dists = wanted.dists(context)?;
        let is_by_dist = context.aim.is_none() && (locked.is_some() || !dists.is_empty());
        let plan = match locked {
            Some(plan) => {
                keys.know_copies(&plan.certificates);
                planning::held(context, &keys, plan)?
            }
            None if is_by_dist => planning::plan_each(context, &keys, &request, &dists)?,
            None => planning::plan_for(context, &keys, &request, &dists)?,
        };
        session.check_policy(&plan)?;
        if !is_by_dist {
            planning::check_target(context, &plan)?;
        }
        if locked.is_none() {
            sources.repositories.check_for(context.catalog, repositories::dists(&plan))?;
        }
        let edition = Edition::new(plan, self.name, std::collections::BTreeMap::new(), is_by_dist)?;
        let goal = Goal {
            name: String::new(),
            editions: vec![edition],
            current: Current::Edition(0),
            keeping: Keeping::default(),
            is_whole: true,
        };
        let options = SyncOptions {
            now: host.now()?,
            is_dry: self.is_dry,
            subject: subject.as_ref(),
            hooks: &Hooks::default(),
        };
        let plain = PlainDirectory { owners: session.owners()? };
        let there = Outlet { publisher: &plain, bases: vec![(base.to_owned(), &goal)] };
        let synced = publish::publish(context, &keys, &[there], options)?;
        let reports: Vec<BaseReport> =
            synced.destinations.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        if self.output.json {
            reports.iter().for_each(|report| terminal.output_json(report));
            return Ok(());
        }
        if self.is_dry {
            sentences(&reports, true).for_each(|text| terminal.output(text));
            return Ok(());
        }
        for report in &reports {
            terminal.line(sentence(report, false));
            let bin = base.join("bin");
            terminal.line(format_args!(
                "programs are in {}",
                shell_word(&escape(&bin.to_string_lossy()))
            ));
        }
        Ok(())
    }
}

/// Refuses to publish in a prefix.
///
/// # Errors
/// When there is one.
pub(super) fn check_base(base: &Path) -> Result<(), Error> {
    match Prefix::open(base) {
        Err(_) => Ok(()),
        Ok(_) => Err(Error::Usage(format!(
            "{} is a prefix, whose trees change: name another directory for published versions",
            escape(&base.to_string_lossy())
        ))),
    }
}

/// What was done, or would be, in each base where something was: a line for each.
pub(super) fn sentences(reports: &[BaseReport], is_dry: bool) -> impl Iterator<Item = String> {
    let told = reports.iter().filter(move |report| is_dry || !report.is_empty());
    told.map(move |report| sentence(report, is_dry))
}

/// One line about a base.
fn sentence(report: &BaseReport, is_dry: bool) -> String {
    let mut text = format!("{}: ", escape(&report.base));
    let mut parts: Vec<String> = report.added.iter().map(|it| added(it, is_dry)).collect();
    if let Some(switch) = &report.switched {
        let mut part = format!("current -> {}", escape(&switch.to));
        if let Some(from) = &switch.from {
            let _ = write!(part, " (was {})", escape(from));
        }
        parts.push(part);
    }
    if !report.dropped.is_empty() {
        let names: Vec<_> = report.dropped.iter().map(|name| escape(name)).collect();
        parts.push(format!("dropped {}", names.join(", ")));
    }
    match (report.is_empty(), report.wanted.as_slice()) {
        (true, wanted) => {
            let wanted: Vec<_> = wanted.iter().map(|name| escape(name)).collect();
            let _ = write!(text, "nothing to do: {} stands", wanted.join(", "));
        }
        _ => text.push_str(&parts.join("; ")),
    }
    text
}

fn added(version: &AddedVersion, is_dry: bool) -> String {
    let trees: Vec<String> = version
        .trees
        .iter()
        .map(|tree| format!("{} of {}", escape(&tree.path), escape(&tree.dist)))
        .collect();
    let mut text = format!("added {} ({}", escape(&version.name), trees.join(", "));
    match &version.account {
        Some(account) => {
            let _ = write!(
                text,
                "; {} entries, {}; new: {} files, {}",
                account.entries,
                HumanBytes(account.bytes),
                account.new_files,
                HumanBytes(account.new_bytes)
            );
        }
        None if is_dry => {
            let _ = write!(
                text,
                "; {} to fetch, {} installed",
                HumanBytes(version.download_size),
                HumanBytes(version.installed_size)
            );
        }
        None => {}
    }
    text.push(')');
    text
}
