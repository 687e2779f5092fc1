//! `elsewhere bundle`: one executable file with all that an install needs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use clap::{ArgGroup, Args};
use indicatif::HumanBytes;
use serde_json::json;

use super::carrying::{Carrying, installed, no_mirror_beside, tell_trees};
use super::install::{Install, read_lock};
use super::opened::remove_unpacked;
use super::options::{Output, Settings, Sources, WantedArgs};
use super::owners;
use super::programs::NamedProgram;
use crate::carry::{self, Bundle, BundleMember, BundleOptions, Bundled, Carried};
use crate::error::Error;
use crate::host::Host;
use crate::model::{Arch, ByteSize, Plan, escape, shell_word};
use crate::report::Reporter;
use crate::terminal::Terminal;
use crate::tools::programs;

/// Make one executable file that installs without a network
///
/// The file begins as a shell script, and has this program, packages, certificates and a lock file. `sh FILE
/// PREFIX` installs them, on any machine with a POSIX shell and dd, from any disk, also one that is mounted
/// read-only or noexec. It takes the words of `elsewhere install`. Nothing in it gives trust: it is proved as
/// what comes from the network is. `sh FILE --help` says what else it does.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("task").args(["file", "list", "verify", "extract", "run"]).required(true)))]
#[command(after_long_help = "\
Examples:
  elsewhere bundle -o apptainer.run
  elsewhere bundle -o apptainer.run -a x86_64,aarch64 --program aarch64=./elsewhere-0.1.0-aarch64
  elsewhere bundle -o apptainer.run --lock apptainer.lock --split 2GiB
  elsewhere bundle -o apptainer.run --from /srv/elsewhere
  elsewhere bundle -o apptainer.run --from ~/apptainer
  elsewhere bundle --verify apptainer.run
  elsewhere bundle --run apptainer.run -- exec image.sif hostname
  sh apptainer.run ~/apptainer
  elsewhere install --from apptainer.run ~/apptainer")]
pub(super) struct BundleCommand {
    /// Make this file
    #[arg(short = 'o', long = "output", value_name = "FILE", conflicts_with = "bundle")]
    file: Option<PathBuf>,
    #[command(flatten)]
    wanted: WantedArgs,
    /// Bundle what the plan in this file names, made by `elsewhere plan --lock FILE`
    #[arg(long, value_name = "FILE", requires = "file", conflicts_with_all = ["runtimes", "version", "dists", "container_dist", "arches"])]
    lock: Option<PathBuf>,
    /// Bundle what the mirror in this directory installs, and ask no network; or what is live in this prefix, in
    /// just these versions, from the cache or wherever they may still be had
    #[arg(long, value_name = "DIR|PREFIX", requires = "file", conflicts_with_all = ["lock", "runtimes", "version", "dists", "container_dist"])]
    from: Option<PathBuf>,
    /// The program for an architecture, linked statically as those of releases are; this one is the program for
    /// its own unless another one is named
    #[arg(long = "program", value_name = "ARCH=FILE", requires = "file")]
    programs: Vec<NamedProgram>,
    /// Make FILE.001 and so on, none larger than this (512MiB, 2GB), and FILE.sum, which sha256sum reads
    #[arg(long, value_name = "SIZE", requires = "file")]
    split: Option<ByteSize>,
    /// List what is in the bundle
    #[arg(long)]
    list: bool,
    /// Prove all that is in the bundle, and name what is changed or believed by nobody
    #[arg(long)]
    verify: bool,
    /// Write what is in the bundle as files into this directory, which must be empty or not be there
    #[arg(long, value_name = "DIR")]
    extract: Option<PathBuf>,
    /// Run the first of its programs, or NAME, with the words after `--`, from a directory of the user's cache that
    /// is made at the first run
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    run: Option<String>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(super) output: Output,
    /// A bundle
    #[arg(value_name = "FILE", required_unless_present = "file")]
    bundle: Option<PathBuf>,
    /// What is run is told these words
    #[arg(value_name = "WORDS", last = true, requires = "run")]
    words: Vec<OsString>,
    /// Where this program was unpacked for this run alone.
    #[arg(skip)]
    pub(super) unpacked: Option<PathBuf>,
}

impl BundleCommand {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        if let Some(file) = &self.file {
            return self.make(host, &host.absolute(file), terminal);
        }
        let bundle = self.bundle.as_ref().map(|path| host.absolute(path)).unwrap_or_default();
        let bundle = Bundle::open(&bundle)?;
        if let Some(directory) = &self.extract {
            return self.extract(&bundle, &host.absolute(directory), terminal);
        }
        if let Some(name) = &self.run {
            return self.run(bundle, name, host, terminal);
        }
        match self.verify {
            true => {
                let hint = "copy it again, as binary, or make it anew with `elsewhere bundle`";
                let carried = Carried::Bundle(Arc::new(bundle));
                self.carrying(host, &self.sources, terminal).verify(&carried, &self.output, hint)
            }
            false => {
                self.list(&bundle, terminal);
                Ok(())
            }
        }
    }

    fn carrying<'a>(
        &'a self,
        host: &'a Host,
        sources: &'a Sources,
        terminal: &'a Terminal,
    ) -> Carrying<'a> {
        Carrying { wanted: &self.wanted, sources, host, terminal }
    }

    fn make(&self, host: &Host, file: &Path, terminal: &Terminal) -> Result<(), Error> {
        let (locked, sources) = self.origin(host)?;
        let programs = self.programs(host);
        let split = self.split.map(|size| size.0);
        let options = BundleOptions { output: file, split, programs: &programs };
        let carrying = self.carrying(host, &sources, terminal);
        let made = carrying.with_plan(locked.as_ref(), |context, keys, plan| {
            let without = plan.trees.iter().map(|tree| tree.arch);
            for arch in without.filter(|arch| !programs.contains_key(arch)) {
                terminal.note(format!(
                    "it will have no program for {arch}, and so not start there: name one with --program \
                     {arch}=FILE"
                ));
            }
            Ok((carry::make(context, keys, plan, options)?, plan.clone()))
        });
        let (bundled, plan) = made?;
        self.tell(&bundled, &plan, terminal);
        Ok(())
    }

    /// The plan, where it is written down, and where its packages are.
    fn origin(&self, host: &Host) -> Result<(Option<Plan>, Sources), Error> {
        if let Some(lock) = &self.lock {
            return Ok((Some(read_lock(lock)?), self.sources.clone()));
        }
        let Some(from) = &self.from else { return Ok((None, self.sources.clone())) };
        let from = host.absolute(from);
        let arches = self.wanted.arches();
        match Carried::open(&from)? {
            Carried::Bundle(_) => Err(Error::Usage(
                "--from: a bundle is made from a mirror's directory or a prefix".to_owned(),
            )),
            mirror if mirror.has_lock() => {
                no_mirror_beside(&self.sources)?;
                Ok((Some(mirror.plan(arches)?), self.sources.of_carried(&mirror, None)))
            }
            _ => Ok((Some(installed(&from, arches)?), self.sources.clone())),
        }
    }

    /// This program, and those that were named, which count in its place.
    fn programs(&self, host: &Host) -> BTreeMap<Arch, PathBuf> {
        let own = host.program_arch().map(|arch| (arch, host.executable()));
        let named =
            self.programs.iter().map(|NamedProgram(arch, path)| (*arch, host.absolute(path)));
        own.into_iter().chain(named).collect()
    }

    fn tell(&self, bundled: &Bundled, plan: &Plan, terminal: &Terminal) {
        if self.output.json {
            return terminal.output_json(bundled);
        }
        let Bundled { packages, members, size, files, .. } = bundled;
        terminal.line(format_args!(
            "{packages} packages, {members} members, {} in {} {}",
            HumanBytes(*size),
            files.len(),
            if files.len() == 1 { "file" } else { "files" }
        ));
        tell_trees(plan, terminal);
        let first = files.first().map(|path| path.to_string_lossy()).unwrap_or_default();
        terminal.line(format_args!("try: sh {} ~/apptainer", shell_word(&escape(&first))));
    }

    fn list(&self, bundle: &Bundle, terminal: &Terminal) {
        let members: Vec<&BundleMember> = bundle.members().collect();
        if self.output.json {
            let listed = json!({ "digest": bundle.digest(), "members": members });
            return terminal.output_json(&listed);
        }
        for BundleMember { name, arch, size, .. } in members {
            let arch = arch.map_or("-", Arch::as_str);
            terminal.output(format_args!("{size:>12}  {arch:<8} {}", escape(name)));
        }
    }

    fn extract(&self, bundle: &Bundle, directory: &Path, terminal: &Terminal) -> Result<(), Error> {
        bundle.extract(directory, terminal)?;
        if self.output.json {
            terminal.output_json(&json!({ "members": bundle.members().count() }));
            return Ok(());
        }
        let directory = directory.to_string_lossy();
        terminal.line(format_args!(
            "try: elsewhere install --from {} ~/apptainer",
            shell_word(&escape(&directory))
        ));
        Ok(())
    }

    /// Becomes a program of what is bundled. Returns only where that fails.
    fn run(
        &self,
        bundle: Bundle,
        name: &str,
        host: &Host,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        let settings = self.sources.settings(host)?;
        let root = self.sources.cache_dir.clone().or(settings.config.cache_dir.clone());
        let root = root.map_or_else(|| host.cache_dir(), Ok)?;
        let root = host.absolute(&root);
        let owners = owners::of(host, &settings.config)?;
        let file = bundle.path().to_owned();
        let make = |prefix: &Path| {
            Install::bundled(&file, &self.wanted, &self.sources, prefix).execute(host, terminal)
        };
        let prefix = bundle.cached(&root, &owners, terminal, make)?;
        let plan = Carried::Bundle(Arc::new(bundle)).plan(&[])?;
        let name = match name {
            "" => first_command(&plan, &settings)?,
            name => name.to_owned(),
        };
        let program = prefix.join("bin").join(&name);
        if name.contains('/') || !program.is_file() {
            return Err(Error::Usage(format!("{} is no program of this bundle", escape(&name))));
        }
        terminal.finish();
        if let Some(directory) = &self.unpacked {
            remove_unpacked(directory);
        }
        let mut command = Command::new(&program);
        command.args(&self.words);
        let source = programs::become_program(command);
        Err(Error::File { path: program, source })
    }
}

/// The first command of the plan's first runtime.
fn first_command(plan: &Plan, settings: &Settings) -> Result<String, Error> {
    let runtimes = plan.trees.iter().flat_map(|tree| &tree.runtimes);
    let name = runtimes.map(|runtime| runtime.name.as_str()).next().unwrap_or_default();
    let commands = &settings.catalog.runtime(name)?.commands;
    let first = commands.first().map(|command| command.name.clone());
    first.ok_or_else(|| Error::Usage(format!("{name} has no program to run")))
}
