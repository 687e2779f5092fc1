//! `elsewhere install`: plan, fetch, verify, unpack, relocate, audit, try, swap in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanBytes;

use super::options::{Output, Sources, Turn, Wanted};
use super::session::Session;
use super::{doctor, parts, plan, repositories};
use crate::context::Context;
use crate::error::Error;
use crate::host::Host;
use crate::launcher;
use crate::lifecycle::{self, Installed, InstalledTree, Options};
use crate::metadata::Keys;
use crate::model::{Arch, Dist, PLAN_FORMAT, Plan, Request, TreePlan, shell_word};
use crate::planning::{self, Present};
use crate::prefix::Prefix;
use crate::report::Reporter;
use crate::terminal::Terminal;

/// Install a runtime into a directory
///
/// Resolves the runtime and what it needs from Enterprise Linux repositories, proves where every
/// package comes from, unpacks without root into PREFIX/ARCH, makes the tree relocatable, tries it
/// out, and writes launchers into PREFIX/bin. What was installed before stays live until the new
/// tree is whole.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere install ~/apptainer
  elsewhere install -v 1.4 -d el9 -a x86_64,aarch64 ~/apptainer
  elsewhere install -d el7,el8,el9 /sw/apptainer   one prefix for every node
  elsewhere install -r charliecloud --mirror https://mirror.example.org/el ~/ch
  elsewhere install -v ./apptainer-1.4.5-1.x86_64.rpm --allow-unsigned ~/apptainer")]
pub(super) struct Install {
    #[command(flatten)]
    wanted: Wanted,
    /// Install exactly the plan in this file, made by `elsewhere plan --lock FILE`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runtimes", "version", "dists", "container_dist", "arches"])]
    lock: Option<PathBuf>,
    /// Take over a prefix that Apptainer's install-unprivileged.sh made: what is there stays live
    /// until the new tree is whole, its etc/ is carried over, and `elsewhere rollback` goes back to it
    #[arg(long, conflicts_with = "dry_run")]
    adopt: bool,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not look whether this machine lets the runtime work (see `elsewhere doctor`)
    #[arg(long)]
    no_doctor: bool,
    #[command(flatten)]
    turn: Turn,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(super) output: Output,
    /// Directory to install into; made if it does not exist
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

impl Install {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        parts::replanned(terminal, || self.attempt(host, terminal))
    }

    fn attempt(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let path = host.absolute(&self.prefix);
        let settings = self.sources.settings(host)?;
        let locked = self.lock.as_deref().map(read_lock).transpose()?;
        let request = self.wanted.request(host, &settings, locked.as_ref(), terminal)?;
        if self.adopt {
            for arch in Prefix::adopt(&path, self.turn.waits(), terminal)? {
                terminal.note(format!("{arch}: adopted, as generation 0"));
            }
        }
        let subject = doctor::subject(host, &settings.catalog, &path);
        let is_for_here = host.facts().arch.is_some_and(|arch| request.arches.contains(&arch));
        let has_aim = !self.wanted.hosts.is_empty() || !settings.config.hosts.is_empty();
        if is_for_here && !has_aim && !self.dry_run {
            doctor::check_place(subject.as_ref())?;
        }
        if self.lock.is_none() {
            self.sources.check_mirror(host, &settings.config)?;
        }
        let session =
            Session::with(host, &self.sources, settings, terminal)?.made_for(&self.wanted.hosts)?;
        let context = session.context();
        let keys = Keys::new(context.fetcher, context.reporter, &request.trust_keys)?;
        let prefix = Prefix::create(&path)?;
        let parts = self.parts(context, &keys, &request, locked, &prefix)?;
        let plan = joined(&parts);
        session.check_policy(&plan)?;
        if self.lock.is_none() {
            self.sources.repositories.check_for(context.catalog, repositories::dists(&plan))?;
        }
        if !self.no_doctor && !self.dry_run && context.aim.is_none() {
            doctor::warn(host, context, &path, &request);
        }
        if self.dry_run {
            plan::show(&plan, self.output.json, terminal);
            return Ok(());
        }
        let program = host.program().filter(|_| host.program_is_portable());
        let options = Options {
            wait: self.turn.waits(),
            allow_unsigned: request.allow_unsigned,
            now: host.now()?,
            // One that is linked dynamically may not run where the prefix is taken to.
            program: host.program_arch().zip(program.as_deref()),
            subject: subject.as_ref(),
        };
        warn_of_path(context, &plan, &prefix);
        let installed = match parts.as_slice() {
            [part] if part.prefix.path() == prefix.path() => {
                let made = (&part.plan, &part.present);
                lifecycle::install(part.context, &keys, made, &prefix, options)?
            }
            parts => install_parts(&keys, parts, &prefix, options, terminal)?,
        };
        self.tell(&installed, &path, terminal);
        Ok(())
    }

    /// What is to be installed where: in an ordinary prefix everything in itself. In one of several
    /// dists, or that is to be one, each dist in a part of its own: the prefix itself where that has
    /// the dist already, and a member otherwise.
    fn parts<'a>(
        &self,
        context: Context<'a>,
        keys: &Keys<'_>,
        request: &Request,
        locked: Option<Plan>,
        prefix: &Prefix,
    ) -> Result<Vec<Part<'a>>, Error> {
        let pins = parts::pins(prefix)?;
        locked.iter().try_for_each(|plan| planning::check_pins(plan, &pins))?;
        let named: Vec<&Dist> = match &locked {
            Some(plan) => dists_of(context, plan)?,
            None => self.wanted.dists(context)?,
        };
        let trees = locked.as_ref().map_or(&[][..], |plan| &plan.trees);
        let is_mixed = locked.is_none() || has_twins(trees);
        if prefix.members()?.is_empty() && !(named.len() > 1 && is_mixed) {
            let present = lifecycle::present(prefix, context.reporter)?;
            let plan = match locked {
                Some(plan) => plan,
                None => planning::plan(context, keys, request, &present)?,
            };
            planning::check_target(context, &plan)?;
            return Ok(vec![Part { context, prefix: prefix.clone(), plan, present }]);
        }
        let mut planned = Vec::new();
        for (part, dist) in places(context, prefix, &named)? {
            let context = match dist {
                Some(dist) => parts::for_dist(context, dist),
                None => parts::context(context, &part)?,
            };
            let name = dist.map(|dist| dist.name.clone());
            let present = lifecycle::present(&part, context.reporter)?;
            let present = Present { pins: pins.clone(), ..present };
            let plan = match &locked {
                Some(plan) => {
                    let trees = plan.trees.iter().filter(|tree| Some(&tree.dist) == name.as_ref());
                    Plan { format: plan.format, trees: trees.cloned().collect() }
                }
                None => {
                    let request = Request { dist: name, ..request.clone() };
                    planning::plan(context, keys, &request, &present)?
                }
            };
            planning::check_target(context, &plan)?;
            planned.push(Part { context, prefix: part, plan, present });
        }
        Ok(planned)
    }

    /// Says what is installed now, and what to type next.
    fn tell(&self, installed: &Installed, path: &Path, terminal: &Terminal) {
        if self.output.json {
            return terminal.output_json(installed);
        }
        for tree in &installed.trees {
            terminal.line(sentence(tree));
        }
        if let Some(suggestion) = &installed.suggestion {
            let bin = path.join("bin");
            terminal.line(format_args!("try: {}/{suggestion}", shell_word(&bin.to_string_lossy())));
        }
    }
}

/// What is to be installed in one place.
struct Part<'a> {
    /// With the machines that it is for.
    context: Context<'a>,
    prefix: Prefix,
    plan: Plan,
    /// What the plan was made for.
    present: Present,
}

/// Where each of the `named` dists is, or goes; every part where none is named.
fn places<'a>(
    context: Context<'a>,
    prefix: &Prefix,
    named: &[&'a Dist],
) -> Result<Vec<(Prefix, Option<&'a Dist>)>, Error> {
    if named.is_empty() {
        let mut places = Vec::new();
        for part in parts::all(prefix)? {
            // A member of which nothing is known keeps the dist that it is called by.
            let name = part.path().file_name().and_then(|name| name.to_str());
            let is_unknown = part.whole().is_some() && parts::dists(&part)?.is_empty();
            let dist = name.filter(|_| is_unknown).map(|name| context.catalog.dist(name));
            places.push((part, dist.transpose()?));
        }
        return Ok(places);
    }
    let own = parts::dists(prefix)?;
    let mut places = Vec::new();
    for &dist in named {
        let is_own = own.contains(&dist.name);
        let part = if is_own { prefix.clone() } else { prefix.member(&dist.name)? };
        places.push((part, Some(dist)));
    }
    Ok(places)
}

/// Installs each part, and keeps this program in the whole.
fn install_parts(
    keys: &Keys<'_>,
    parts: &[Part<'_>],
    prefix: &Prefix,
    options: Options<'_>,
    terminal: &Terminal,
) -> Result<Installed, Error> {
    prefix.lock(options.wait, terminal)?.take_members()?;
    let mut installed = Installed::default();
    let mut each = || -> Result<(), Error> {
        for part in parts {
            let (made, options) =
                ((&part.plan, &part.present), Options { program: None, ..options });
            installed.add(lifecycle::install(part.context, keys, made, &part.prefix, options)?);
        }
        Ok(())
    };
    let outcome = each();
    parts::drop_empty(prefix, options.wait, terminal)?;
    let pins = parts::pins(prefix)?;
    for (_, member) in prefix.members()? {
        if member.pins()? != pins {
            member.lock(options.wait, terminal)?.set_pins(&pins)?;
        }
    }
    outcome?;
    if let Some((arch, program)) = options.program {
        let prefix = prefix.lock(options.wait, terminal)?;
        prefix.keep_program(arch, program, launcher::own)?;
    }
    Ok(installed)
}

/// All that is planned, as one plan.
fn joined(parts: &[Part<'_>]) -> Plan {
    let trees = parts.iter().flat_map(|part| &part.plan.trees).cloned();
    Plan { format: PLAN_FORMAT, trees: trees.collect() }
}

fn read_lock(path: &Path) -> Result<Plan, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(Plan::from_lock(&text)?)
}

/// The dists that a plan has trees of.
fn dists_of<'a>(context: Context<'a>, plan: &Plan) -> Result<Vec<&'a Dist>, Error> {
    let names: BTreeSet<&str> = plan.trees.iter().map(|tree| tree.dist.as_str()).collect();
    names.into_iter().map(|name| Ok(context.catalog.dist(name)?)).collect()
}

/// Whether several trees are for the same architecture.
fn has_twins(trees: &[TreePlan]) -> bool {
    let arches: BTreeSet<Arch> = trees.iter().map(|tree| tree.arch).collect();
    arches.len() < trees.len()
}

/// Names the features of the plan's runtimes that fail by themselves where the prefix is.
fn warn_of_path(context: Context<'_>, plan: &Plan, prefix: &Prefix) {
    let names: BTreeSet<&str> = plan
        .trees
        .iter()
        .flat_map(|tree| &tree.runtimes)
        .map(|runtime| runtime.name.as_str())
        .collect();
    let definitions = names.iter().filter_map(|name| context.catalog.runtime(name).ok());
    for runtime in definitions {
        let unfit = runtime.unfit_paths.iter().filter(|unfit| !unfit.refused);
        let unfit = unfit.filter(|unfit| prefix.path_holds(unfit.character));
        for unfit in unfit {
            context.reporter.warning(format!(
                "the prefix has {} in its path, which breaks in {}: {}",
                unfit.called,
                runtime.name,
                unfit.breaks.join("; ")
            ));
        }
    }
}

/// One line about a tree.
pub(super) fn sentence(tree: &InstalledTree) -> String {
    let state = if tree.unchanged { "nothing to do" } else { "installed" };
    let glibc = tree
        .glibc_needed
        .map_or(String::new(), |glibc| format!("; runs on glibc {glibc} or newer"));
    let level = match (tree.arch, tree.x86_64_level) {
        (Arch::X86_64, level) if level > 1 => format!(" and x86-64-v{level}"),
        _ => String::new(),
    };
    format!(
        "{}: {state}: {} packages of {}, {}{glibc}{level}",
        tree.arch,
        tree.packages,
        tree.dist,
        HumanBytes(tree.size)
    )
}
