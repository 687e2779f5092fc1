//! `elsewhere plan`: print what an install would do.

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;

use super::document;
use super::options::{LegacyArgs, Output, Sources, WantedArgs};
use super::repositories;
use super::session::Session;
use crate::error::Error;
use crate::host::Host;
use crate::model::{Plan, PlannedPackage, PlannedRuntime, TreePlan, escape};
use crate::planning;
use crate::terminal::{Page, Terminal};

/// Print what an install would do: every package, and why it is in
///
/// Nothing is downloaded but the repositories' metadata, and nothing is written but the cache and
/// the lock file that --lock names. `elsewhere install --lock FILE` installs exactly that plan,
/// on any machine.
#[derive(Debug, Args)]
pub(super) struct PlanCommand {
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    legacy: LegacyArgs,
    /// Write the plan to this file (docs/lock-file.md describes the format)
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(super) output: Output,
}

impl PlanCommand {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let is_lock_shown = self.lock.as_ref().is_some_and(|it| document::is_standard_output(it));
        if is_lock_shown && self.output.json {
            let both = "--json and --lock - both write to standard output: choose one";
            return Err(Error::Usage(both.to_owned()));
        }
        let settings = self.sources.settings(host)?;
        let request = self.wanted.request(host, &settings, None)?;
        self.legacy.tell(terminal);
        self.sources.check_mirror(host, &settings.config)?;
        let session =
            Session::with(host, &self.sources, settings, terminal)?.made_for(&self.wanted.hosts)?;
        let context = self.wanted.age.apply(session.context());
        let keys = session.keys_of(&request.trust)?;
        let plan = planning::plan_for(context, &keys, &request, &self.wanted.dists(context)?)?;
        session.check_policy(&plan)?;
        self.sources.repositories.check_for(context.catalog, repositories::dists(&plan))?;
        if let Some(path) = &self.lock {
            let locked = Plan { certificates: keys.copies(&plan.signers()), ..plan.clone() };
            document::write(path, &locked.to_lock()?, terminal)?;
        }
        // Standard output is one thing or the other.
        if !is_lock_shown {
            show(&plan, self.output.json, terminal);
        }
        Ok(())
    }
}

/// Prints a plan to standard output.
pub(super) fn show(plan: &Plan, json: bool, terminal: &Terminal) {
    if json {
        return terminal.output_json(plan);
    }
    for tree in &plan.trees {
        let mut page = Page::new(terminal.width(), false);
        table(&mut page, tree);
        terminal.output_page(&page);
    }
}

/// A tree's packages as a table, or as a list where the screen is too narrow for one.
fn table(page: &mut Page, tree: &TreePlan) {
    for runtime in &tree.runtimes {
        page.wrap("", "  ", &heading(runtime, tree));
    }
    let of_part = |part: &'_ TreePlan| -> Vec<[String; 4]> {
        let dist = tree.container.is_some().then(|| part.dist.clone());
        part.packages.iter().map(|package| row(dist.as_deref(), package)).collect()
    };
    let rows: Vec<[String; 4]> = tree.parts().flat_map(of_part).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let fits = widths.iter().sum::<usize>() + 8 <= page.width();
    for ([name, evr, source, size], package) in rows.iter().zip(tree.all_packages()) {
        if fits {
            let [first, second, third, fourth] = widths;
            page.line(&format!(
                "  {name:<first$}  {evr:<second$}  {source:<third$}  {size:>fourth$}"
            ));
        } else {
            page.wrap("  ", "    ", &format!("{name} {evr}"));
            page.wrap("      ", "      ", &format!("{source}, {size}"));
        }
        let reason = &package.reason;
        let reason = format!("{} needs {}", escape(&reason.by), escape(&reason.needs));
        page.wrap("      ", "        ", &reason);
    }
    let sums = format!(
        "{} packages, {} to download, {} installed",
        rows.len(),
        HumanBytes(tree.download_size()),
        HumanBytes(tree.installed_size())
    );
    page.wrap("", "  ", &sums);
}

fn heading(runtime: &PlannedRuntime, tree: &TreePlan) -> String {
    let (name, version) = (escape(&runtime.name), escape(&runtime.version));
    let (dist, inside) = (escape(&tree.dist), tree.container_dist().map(escape));
    let inside =
        inside.map_or(String::new(), |dist| format!(", what goes into containers from {dist},"));
    format!("{name} {version} from {dist}{inside} for {}", tree.arch)
}

/// Name, version, repository and size of a package; with the `dist`, where there are two.
fn row(dist: Option<&str>, package: &PlannedPackage) -> [String; 4] {
    let source = match dist {
        Some(dist) => format!("{dist}/{}", package.source),
        None => package.source.clone(),
    };
    [
        escape(&package.nevra.name).into_owned(),
        package.nevra.evr.to_string(),
        source,
        HumanBytes(package.size).to_string(),
    ]
}
