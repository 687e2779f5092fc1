//! `elsewhere install`: plan, fetch, verify, unpack, relocate, audit, try, swap in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanBytes;

use super::options::{LegacyArgs, Output, Sources, StoreArgs, Turn, WantedArgs};
use super::owners;
use super::programs::ProgramArgs;
use super::registry::RegistryArgs;
use super::session::Session;
use super::versioned::{Layout, Publishing};
use super::{doctor, plan, repositories};
use crate::carry::Carried;
use crate::context::Context;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::{Asked, InstallOptions, Installed, InstalledTree, Whole};
use crate::model::{Arch, Plan, shell_word};
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
  elsewhere install --layout versioned -d el8 -a x86_64,aarch64 /srv/apptainer
  elsewhere install -r charliecloud --mirror https://mirror.example.org/el ~/ch
  elsewhere install -v ./apptainer-1.4.5-1.x86_64.rpm --allow-unsigned ~/apptainer")]
pub(super) struct Install {
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    legacy: LegacyArgs,
    /// Install exactly the plan in this file, made by `elsewhere plan --lock FILE`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runtimes", "version", "dists", "container_dist", "arches"])]
    lock: Option<PathBuf>,
    /// Take all from this directory, which `elsewhere mirror` made, or this file of `elsewhere bundle`, and ask no
    /// network; or from a registry, oci://REGISTRY/REPOSITORY:TAG or @sha256:DIGEST, to which `elsewhere push` pushed
    /// (without a tag: latest). Its lock file is installed or, where something is asked for of a directory (-r, -v, -d), that
    /// is, of the repositories that it has. Without -a this machine's architecture alone is taken of the lock file
    #[arg(long, value_name = "DIR|FILE|REFERENCE", conflicts_with_all = ["lock", "mirror"])]
    from: Option<PathBuf>,
    /// Take over a prefix that Apptainer's install-unprivileged.sh made: what is there stays live
    /// until the new tree is whole, its etc/ is carried over, and `elsewhere rollback` goes back to it
    #[arg(long, conflicts_with = "dry_run")]
    adopt: bool,
    /// What to make of PREFIX: `prefix` has generations, one of which is live; `versioned` has complete versions
    /// beside each other, PREFIX/1.4.5/{bin,x86_64,aarch64}, of which PREFIX/current and PREFIX/bin lead to the one
    /// that was installed last, for CVMFS and other places that many read (docs/cvmfs.md)
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "LAYOUT",
        hide_possible_values = true,
        conflicts_with = "adopt"
    )]
    layout: Layout,
    /// With --layout versioned: what the version is called, if not by the runtime's version
    #[arg(long, value_name = "NAME", requires = "layout")]
    name: Option<String>,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not look whether this machine lets the runtime work (see `elsewhere doctor`)
    #[arg(long)]
    no_doctor: bool,
    #[command(flatten)]
    programs: ProgramArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    turn: Turn,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    pub(super) output: Output,
    /// Whether the prefix will have another path, so that nobody is told this one.
    #[arg(skip)]
    is_passing: bool,
    /// Directory to install into; made if it does not exist
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

impl Install {
    /// The install of what is bundled in the file `from`, into `prefix`, which gets another path then.
    pub(super) fn bundled(
        from: &Path,
        wanted: &WantedArgs,
        sources: &Sources,
        prefix: &Path,
    ) -> Self {
        Self {
            wanted: wanted.clone(),
            legacy: LegacyArgs::default(),
            lock: None,
            from: Some(from.to_owned()),
            adopt: false,
            layout: Layout::Prefix,
            name: None,
            dry_run: false,
            no_doctor: true,
            programs: ProgramArgs::default(),
            registry: RegistryArgs::default(),
            turn: Turn::default(),
            sources: sources.clone(),
            store: StoreArgs { no_store: true },
            output: Output::default(),
            is_passing: true,
            prefix: prefix.to_owned(),
        }
    }

    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let path = host.absolute(&self.prefix);
        let own = host.facts().arch.filter(|_| self.wanted.arches().is_empty());
        let arches: Vec<Arch> = self.wanted.arches().iter().copied().chain(own).collect();
        let from = self.carried(&arches, host, terminal)?;
        let sources = match &from {
            Some(from) => self.sources.of_carried(from, None),
            None => self.sources.clone(),
        };
        let settings = sources.settings(host)?;
        let locked = self.locked(from.as_ref(), &arches, terminal)?;
        self.legacy.tell(terminal);
        if self.layout == Layout::Versioned {
            let publishing = self.publishing(&sources, &path);
            return publishing.execute(settings, locked.as_ref(), host, terminal);
        }
        let request = self.wanted.request(host, &settings, locked.as_ref())?;
        let owners = owners::of(host, &settings.config)?;
        if self.adopt {
            for arch in Prefix::adopt(&path, &owners, self.turn.waits(), terminal)? {
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
            sources.check_mirror(host, &settings.config)?;
        }
        let session =
            Session::with(host, &sources, settings, terminal)?.made_for(&self.wanted.hosts)?;
        let session = session.keeping(self.store)?.giving(&self.programs)?;
        let context = self.wanted.age.apply(session.context());
        let keys = session.keys_of(&request.trust)?;
        let whole = Whole::create(&path)?.trusting(owners);
        let dists = self.wanted.dists(context)?;
        let asked = Asked { request: &request, dists: &dists, lock: locked.as_ref() };
        let check = |plan: &Plan| {
            session.check_policy(plan)?;
            if locked.is_none() {
                sources.repositories.check_for(context.catalog, repositories::dists(plan))?;
            }
            if !self.no_doctor && !self.dry_run && context.aim.is_none() {
                doctor::warn(host, context, &path, &request);
            }
            if !self.dry_run && !self.is_passing {
                warn_of_path(context, plan, whole.prefix());
                warn_of_defects(context, plan);
            }
            Ok(())
        };
        if self.dry_run {
            let plan = whole.plan(context, &keys, asked)?.plan();
            check(&plan)?;
            plan::show(&plan, self.output.json, terminal);
            return Ok(());
        }
        let program = host.program().filter(|_| host.program_is_portable());
        let options = InstallOptions {
            wait: self.turn.waits(),
            now: host.now()?,
            // One that is linked dynamically may not run where the prefix is taken to.
            program: host.program_arch().zip(program.as_deref()),
            subject: subject.as_ref(),
        };
        let installed = whole.install(context, &keys, asked, &check, options)?;
        self.tell(&installed, &path, terminal);
        Ok(())
    }

    /// What is published, where versions are.
    fn publishing<'a>(&'a self, sources: &'a Sources, base: &'a Path) -> Publishing<'a> {
        Publishing {
            wanted: &self.wanted,
            sources,
            store: self.store,
            programs: &self.programs,
            output: &self.output,
            name: self.name.as_deref(),
            is_dry: self.dry_run,
            base,
        }
    }

    /// The plan that is carried out, where there is one already.
    fn locked(
        &self,
        from: Option<&Carried>,
        arches: &[Arch],
        terminal: &Terminal,
    ) -> Result<Option<Plan>, Error> {
        match (&self.lock, from) {
            (Some(lock), _) => Ok(Some(read_lock(lock)?)),
            (None, Some(from)) if self.wanted.leaves_all_open() => {
                from.check(arches, terminal)?;
                Ok(Some(from.plan(arches)?))
            }
            (None, Some(Carried::Bundle(_) | Carried::Artifact(_))) => Err(Error::Usage(
                "a bundle, or what a registry has, has no lists of packages to choose from, and installs its lock file: leave -r, -v, \
                 -d and --container-dist out"
                    .to_owned(),
            )),
            _ => Ok(None),
        }
    }

    /// What everything is taken from, where that is named.
    fn carried(
        &self,
        arches: &[Arch],
        host: &Host,
        terminal: &Terminal,
    ) -> Result<Option<Carried>, Error> {
        let sources = (host, &self.sources);
        let open = |from| self.registry.carried(from, (arches, false), sources, terminal);
        self.from.as_deref().map(open).transpose()
    }

    /// Says what is installed now, and what to type next.
    fn tell(&self, installed: &Installed, path: &Path, terminal: &Terminal) {
        if self.output.json {
            return terminal.output_json(installed);
        }
        for tree in &installed.trees {
            terminal.line(sentence(tree));
        }
        if let Some(suggestion) = installed.suggestion.as_ref().filter(|_| !self.is_passing) {
            let bin = path.join("bin");
            terminal.line(format_args!("try: {}/{suggestion}", shell_word(&bin.to_string_lossy())));
        }
    }
}

/// The plan in a lock file.
pub(super) fn read_lock(path: &Path) -> Result<Plan, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(Plan::from_lock(&text)?)
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

/// Names what is known not to work in the versions that the plan has.
fn warn_of_defects(context: Context<'_>, plan: &Plan) {
    let mut told = BTreeSet::new();
    for tree in &plan.trees {
        let named = tree.runtimes.iter().map(|runtime| context.catalog.runtime(&runtime.name));
        for runtime in named.filter_map(Result::ok) {
            for package in tree.all_packages().map(|package| &package.nevra) {
                let (name, version) = (&package.name, &package.evr.version);
                for defect in runtime.defects_of(name, version) {
                    let breaks = defect.breaks.join("; ");
                    told.insert(format!("{name} {version} of {}: {breaks}", tree.dist));
                }
            }
        }
    }
    told.into_iter().for_each(|text| context.reporter.warning(text));
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
