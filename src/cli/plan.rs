//! `elsewhere plan`: print what an install would do.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;

use super::options::{Output, Sources, Wanted};
use super::parts;
use super::session::Session;
use crate::error::Error;
use crate::host::Host;
use crate::model::{PLAN_FORMAT, Plan, Request, TreePlan, escape};
use crate::pipeline::{self, Context, Keys, Present};
use crate::terminal::Terminal;

/// Print what an install would do: every package, and why it is in
///
/// Nothing is downloaded but the repositories' metadata, and nothing is written but the cache and
/// the lock file that --lock names. `elsewhere install --lock FILE` installs exactly that plan,
/// on any machine.
#[derive(Debug, Args)]
pub(super) struct PlanCommand {
    #[command(flatten)]
    wanted: Wanted,
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
        let request = self.wanted.request(host, &self.sources.config(host)?, terminal)?;
        let session = Session::open(host, &self.sources, terminal)?.made_for(&self.wanted.hosts)?;
        let context = session.context();
        let keys = Keys::new(context.fetcher, context.reporter, &request.trust_keys)?;
        let plan = self.plan(context, &keys, &request)?;
        session.check_policy(&plan)?;
        if let Some(path) = &self.lock {
            write_lock(&plan, path)?;
            terminal.line(format_args!("wrote {}", path.display()));
        }
        show(&plan, self.output.json, terminal);
        Ok(())
    }
}

impl PlanCommand {
    /// The plan; of several dists, each for the machines that run it.
    fn plan(
        &self,
        context: Context<'_>,
        keys: &Keys<'_>,
        request: &Request,
    ) -> Result<Plan, Error> {
        let dists = self.wanted.dists(context)?;
        let present = Present::default();
        if dists.len() < 2 {
            return pipeline::plan(context, keys, request, &present);
        }
        let mut trees = Vec::new();
        for dist in dists {
            let request = Request { dist: Some(dist.name.clone()), ..request.clone() };
            let context = parts::for_dist(context, dist);
            trees.extend(pipeline::plan(context, keys, &request, &present)?.trees);
        }
        trees.sort_by_key(|tree| tree.arch);
        Ok(Plan { format: PLAN_FORMAT, trees })
    }
}

/// Writes `plan` as a lock file, whole or not at all.
fn write_lock(plan: &Plan, path: &PathBuf) -> Result<(), Error> {
    let text = plan.to_lock()?;
    let temporary = path.with_extension("lock.new");
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|source| Error::File { path: path.clone(), source })
}

/// Prints a plan to standard output.
pub(super) fn show(plan: &Plan, json: bool, terminal: &Terminal) {
    if json {
        return terminal.output_json(plan);
    }
    for tree in &plan.trees {
        terminal.output(table(tree).trim_end());
    }
}

/// A tree's packages as a table of at most 80 columns, where names allow.
fn table(tree: &TreePlan) -> String {
    let mut text = String::new();
    for runtime in &tree.runtimes {
        let _ = writeln!(
            text,
            "{} {} from {} for {}",
            escape(&runtime.name),
            escape(&runtime.version),
            match &tree.container_dist {
                Some(inside) => format!("{}, what goes into containers from {inside},", tree.dist),
                None => tree.dist.clone(),
            },
            tree.arch
        );
    }
    let rows: Vec<[String; 4]> = tree
        .packages
        .iter()
        .map(|package| {
            [
                escape(&package.nevra.name).into_owned(),
                package.nevra.evr.to_string(),
                match (&tree.container_dist, &package.dist) {
                    (Some(_), None) => format!("{}/{}", tree.dist, package.source),
                    _ => package.source.clone(),
                },
                HumanBytes(package.size).to_string(),
            ]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    for (row, package) in rows.iter().zip(&tree.packages) {
        let [name, evr, source, size] = row;
        let _ = writeln!(
            text,
            "  {name:<0$}  {evr:<1$}  {source:<2$}  {size:>3$}",
            widths[0], widths[1], widths[2], widths[3]
        );
        let reason = &package.reason;
        let _ = writeln!(text, "      {} needs {}", escape(&reason.by), escape(&reason.needs));
    }
    let _ = writeln!(
        text,
        "{} packages, {} to download, {} installed",
        tree.packages.len(),
        HumanBytes(tree.download_size()),
        HumanBytes(tree.installed_size())
    );
    text
}
