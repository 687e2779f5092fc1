//! `elsewhere push`: all that an install needs, in a registry.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanBytes;

use super::carrying::{Carrying, tell_trees};
use super::install::read_lock;
use super::options::{Output, Sources, WantedArgs};
use super::registry::{self, RegistryArgs};
use crate::carry::{self, Carried, Pushed};
use crate::error::Error;
use crate::fetch::registry::{Access, ManifestName, Reference, Registry};
use crate::host::Host;
use crate::model::{Plan, shell_word};
use crate::terminal::Terminal;

/// Push all that an install needs to an OCI registry
///
/// The packages, the repositories' metadata as their distributors signed them, keys, definitions and a lock file
/// for each architecture become an artifact: `elsewhere install --from oci://REGISTRY/REPOSITORY:TAG` installs it,
/// and `elsewhere mirror --from` makes a mirror of it. Both prove it as they prove what comes from the network:
/// nothing in a registry gives trust. What the registry has already is not sent again, and the tag is set last: a
/// run that is killed leaves it as it was. Names and passwords are read from the files that docker, podman and
/// skopeo write, and from .netrc.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere push oci://registry.example.org/hpc/apptainer:1.4
  elsewhere push -a x86_64,aarch64 -d el8,el9 oci://registry.example.org/hpc/apptainer
  elsewhere push --lock apptainer.lock oci://registry.example.org/hpc/apptainer:1.4
  elsewhere push --from /srv/elsewhere oci://registry.example.org/hpc/apptainer:latest
  elsewhere install --from oci://registry.example.org/hpc/apptainer:1.4 ~/apptainer")]
pub(super) struct Push {
    #[command(flatten)]
    wanted: WantedArgs,
    /// Push what the plan in this file names, made by `elsewhere plan --lock FILE`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runtimes", "version", "dists", "container_dist", "arches"])]
    lock: Option<PathBuf>,
    /// Push what the mirror in this directory, or this bundle, installs. A bundle has no lists of packages that a
    /// mirror could be made of
    #[arg(long, value_name = "DIR|FILE", conflicts_with_all = ["lock", "mirror", "runtimes", "version", "dists", "container_dist"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(super) output: Output,
    /// Where to: oci://REGISTRY/REPOSITORY:TAG; without a tag the version of the first runtime is the tag. What a
    /// tag may not have becomes - (~, ^) or _ (+)
    #[arg(value_name = "REFERENCE")]
    reference: String,
}

impl Push {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let named = registry::reference(Path::new(&self.reference))?;
        let reference = named.ok_or_else(|| {
            Error::Usage(format!("{}: oci://REGISTRY/REPOSITORY[:TAG] is needed", self.reference))
        })?;
        if let Some(ManifestName::Digest(_)) = reference.target {
            let why = "a digest is what comes of a push: name a tag".to_owned();
            return Err(Error::Usage(why));
        }
        // Whoever may not push is told so before anything is fetched.
        let fetcher = registry::fetcher(host, &self.sources, terminal)?;
        let plain = self.registry.plain_http;
        let registry = Registry::open(&fetcher, &reference, Access::Push, plain)?;
        let (locked, sources, has_lists) = self.origin(host)?;
        let carrying = Carrying { wanted: &self.wanted, sources: &sources, host, terminal };
        let pushed = carrying.with_plan(locked.as_ref(), |context, keys, plan| {
            let target = reference.target.as_ref();
            let pushed = carry::push(context, keys, plan, has_lists, &registry, target)?;
            Ok((pushed, plan.clone()))
        });
        let (pushed, plan) = pushed?;
        self.tell(&pushed, &plan, &reference, terminal);
        Ok(())
    }

    /// The plan, where it is written down, where its packages are, and whether lists of packages are there.
    fn origin(&self, host: &Host) -> Result<(Option<Plan>, Sources, bool), Error> {
        if let Some(lock) = &self.lock {
            return Ok((Some(read_lock(lock)?), self.sources.clone(), true));
        }
        let Some(from) = &self.from else { return Ok((None, self.sources.clone(), true)) };
        let carried = Carried::open(&host.absolute(from))?;
        let plan = carried.plan(self.wanted.arches())?;
        let has_lists = matches!(carried, Carried::Mirror(_));
        Ok((Some(plan), self.sources.of_carried(&carried, None), has_lists))
    }

    fn tell(&self, pushed: &Pushed, plan: &Plan, reference: &Reference, terminal: &Terminal) {
        if self.output.json {
            return terminal.output_json(pushed);
        }
        let Pushed { packages, blobs, size, moved, moved_size, digest, tag } = pushed;
        terminal.line(format_args!(
            "{packages} packages, {blobs} blobs, {}: {moved} were not there, {}",
            HumanBytes(*size),
            HumanBytes(*moved_size)
        ));
        tell_trees(plan, terminal);
        terminal
            .line(format_args!("pushed {}", reference.to(ManifestName::Digest(digest.clone()))));
        let tagged = reference.to(ManifestName::Tag(tag.clone())).to_string();
        terminal.line(format_args!(
            "try: elsewhere install --from {} ~/apptainer",
            shell_word(&tagged)
        ));
    }
}
