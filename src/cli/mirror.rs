//! `elsewhere mirror`: all that an install needs, in a directory, for where there is no network.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanBytes;

use super::carrying::{Carrying, tell_trees};
use super::install::read_lock;
use super::options::{LegacyArgs, Output, Sources, WantedArgs};
use super::registry::RegistryArgs;
use crate::carry::{self, Built, Carried, MirrorOptions};
use crate::error::Error;
use crate::host::Host;
use crate::model::{Plan, escape, shell_word};
use crate::report::Reporter;
use crate::terminal::Terminal;

/// Collect all that an install needs in a directory, for machines without a network
///
/// The directory holds the packages, the repositories' metadata as their distributors signed them, keys,
/// definitions, a lock file, this program and install.sh. `elsewhere install --from DIR`, `install.sh --from
/// DIR` and `--mirror DIR` use it from any disk, stick or web server, and prove all of it as they prove what
/// comes from the network: nothing in it gives trust. Run again, it is brought up to date; a run that is killed
/// leaves it as it was.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere mirror /srv/elsewhere
  elsewhere mirror -a x86_64,aarch64 -d el8,el9 -r apptainer,crun /srv/elsewhere
  elsewhere mirror --lock apptainer.lock --keep-old 2 /srv/elsewhere
  elsewhere mirror --from oci://registry.example.org/hpc/apptainer:1.4 /srv/elsewhere
  elsewhere mirror --verify /media/usb/elsewhere")]
pub(super) struct Mirror {
    #[command(flatten)]
    wanted: WantedArgs,
    #[command(flatten)]
    legacy: LegacyArgs,
    /// Collect what the plan in this file names, made by `elsewhere plan --lock FILE`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runtimes", "version", "dists", "container_dist", "arches"])]
    lock: Option<PathBuf>,
    /// Collect what this artifact of a registry installs, oci://REGISTRY/REPOSITORY:TAG or @sha256:DIGEST, which
    /// `elsewhere push` pushed (without a tag: latest), or the mirror in this directory
    #[arg(long, value_name = "REFERENCE|DIR", conflicts_with_all = ["lock", "mirror", "runtimes", "version", "dists", "container_dist"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Keep what so many earlier lock files of this mirror name, too, as older/1.lock and so on
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep_old: usize,
    /// Make nothing, but prove all that is in the directory, and name what is changed, missing or foreign
    #[arg(long, conflicts_with_all = ["lock", "from", "keep_old", "runtimes", "version", "dists", "container_dist", "arches"])]
    verify: bool,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(super) output: Output,
    /// The directory; made if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Mirror {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let directory = host.absolute(&self.directory);
        match self.verify {
            true => {
                let hint = "make it anew with `elsewhere mirror DIR` where there is a network, or copy it again";
                let (wanted, sources) = (&self.wanted, &self.sources);
                let carrying = Carrying { wanted, sources, host, terminal };
                carrying.verify(&Carried::mirror(&directory), &self.output, hint)
            }
            false => self.make(host, &directory, terminal),
        }
    }

    fn make(&self, host: &Host, directory: &Path, terminal: &Terminal) -> Result<(), Error> {
        let (locked, sources) = self.origin(host, terminal)?;
        let carrying = Carrying { wanted: &self.wanted, sources: &sources, host, terminal };
        self.legacy.tell(terminal);
        let made = carrying.with_plan(locked.as_ref(), |context, keys, plan| {
            let program = host.executable();
            if !host.program_is_portable() {
                terminal.note(
                    "this program is linked dynamically: the mirror's runs only where the C library is as new"
                        .to_owned(),
                );
            }
            let program = host.program_arch().map(|arch| (arch, program.as_path()));
            let options = MirrorOptions { directory, keep_old: self.keep_old, program };
            Ok((carry::build(context, keys, plan, options)?, plan.clone()))
        });
        let (built, plan) = made?;
        self.tell(&built, &plan, directory, terminal);
        Ok(())
    }

    /// The plan, where it is written down, and where its packages are.
    fn origin(&self, host: &Host, terminal: &Terminal) -> Result<(Option<Plan>, Sources), Error> {
        let Some(from) = &self.from else {
            let locked = self.lock.as_deref().map(read_lock).transpose()?;
            return Ok((locked, self.sources.clone()));
        };
        let arches = self.wanted.arches();
        let sources = (host, &self.sources);
        let carried = self.registry.carried(from, (arches, true), sources, terminal)?;
        if let Carried::Bundle(_) = carried {
            let why = "--from: a bundle has no lists of packages, of which a mirror is made";
            return Err(Error::Usage(why.to_owned()));
        }
        Ok((Some(carried.plan(arches)?), self.sources.of_carried(&carried, None)))
    }

    fn tell(&self, built: &Built, plan: &Plan, directory: &Path, terminal: &Terminal) {
        if self.output.json {
            return terminal.output_json(built);
        }
        let Built { packages, files, size, kept, dropped } = built;
        terminal.line(format_args!(
            "{packages} packages, {files} files, {}: {kept} were there before, {dropped} are dropped",
            HumanBytes(*size)
        ));
        tell_trees(plan, terminal);
        let directory = directory.to_string_lossy();
        terminal.line(format_args!(
            "try: elsewhere install --from {} ~/apptainer",
            shell_word(&escape(&directory))
        ));
    }
}
