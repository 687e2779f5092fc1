//! `elsewhere push`: all that an install needs, in a registry.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanBytes;

use super::carrying::{Carrying, installed, no_mirror_beside, tell_trees};
use super::install::read_lock;
use super::librarian::SecretKeyArgs;
use super::options::{Output, Sources, WantedArgs};
use super::registry::{self, RegistryArgs};
use crate::carry::{self, Carried, Librarian, PushOptions, Pushed};
use crate::error::Error;
use crate::fetch::registry::{Access, ManifestName, Reference, Registry};
use crate::host::Host;
use crate::model::{Plan, shell_word};
use crate::sbom::Format;
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
  elsewhere push --from ~/apptainer oci://registry.example.org/hpc/apptainer:1.4
  elsewhere push --from /srv/elsewhere oci://registry.example.org/hpc/apptainer:latest
  elsewhere push --sign -s librarian.key --sbom oci://registry.example.org/hpc/apptainer:1.4
  elsewhere push --from oci://registry.example.org/test/apptainer:1.4 oci://registry.example.org/hpc/apptainer:1.4
  elsewhere install --from oci://registry.example.org/hpc/apptainer:1.4 ~/apptainer")]
pub(super) struct Push {
    #[command(flatten)]
    wanted: WantedArgs,
    /// Push what the plan in this file names, made by `elsewhere plan --lock FILE`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runtimes", "version", "dists", "container_dist", "arches"])]
    lock: Option<PathBuf>,
    /// Push what the mirror in this directory, this bundle or this artifact of a registry
    /// (oci://REGISTRY/REPOSITORY:TAG) installs, or what is live in this prefix. A bundle has no lists of packages
    /// that a mirror could be made of
    #[arg(long, value_name = "DIR|FILE|REFERENCE", conflicts_with_all = ["lock", "runtimes", "version", "dists", "container_dist"])]
    from: Option<PathBuf>,
    /// Sign what is pushed, with a secret key of minisign's: `elsewhere install --verify-key KEY` believes none
    /// that is not signed so
    #[arg(long)]
    sign: bool,
    #[command(flatten)]
    secret: SecretKeyArgs,
    /// Push a bill of materials beside it, in this format
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "cyclonedx")]
    sbom: Option<Format>,
    /// Let the registry take what it has in this repository of its own from there, instead of sending it
    #[arg(long, value_name = "REPOSITORY")]
    mount_from: Option<String>,
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
        let signs = self.sign || self.secret.is_named();
        let secret = signs.then(|| self.secret.key(host, terminal)).transpose()?;
        let librarian = match &secret {
            None => None,
            Some((key_file, key)) => Some(Librarian { key, key_file, now: host.now()? }),
        };
        let from = self.from.as_deref().map(registry::reference).transpose()?.flatten();
        let sibling = self.mount_from.clone();
        let sibling = sibling.or_else(|| from.as_ref()?.sibling_for(&reference));
        // Whoever may not push is told so before anything is fetched.
        let fetcher = registry::fetcher(host, &self.sources, terminal)?;
        let plain = self.registry.plain_http;
        let registry = Registry::open(&fetcher, &reference, Access::Push, plain)?.beside(sibling);
        let (locked, sources, lists) = self.origin(host, terminal)?;
        let carrying = Carrying { wanted: &self.wanted, sources: &sources, host, terminal };
        let target = reference.target.as_ref();
        let options = PushOptions { target, lists, librarian, sbom: self.sbom };
        let pushed = carrying.with_plan(locked.as_ref(), |context, keys, plan| {
            Ok((carry::push(context, keys, plan, &registry, options)?, plan.clone()))
        });
        let (pushed, plan) = pushed?;
        self.tell(&pushed, &plan, &reference, terminal);
        Ok(())
    }

    /// The plan, where it is written down, where its packages are, and whether lists of packages are there.
    fn origin(
        &self,
        host: &Host,
        terminal: &Terminal,
    ) -> Result<(Option<Plan>, Sources, bool), Error> {
        if let Some(lock) = &self.lock {
            return Ok((Some(read_lock(lock)?), self.sources.clone(), true));
        }
        let Some(from) = &self.from else { return Ok((None, self.sources.clone(), true)) };
        let (arches, sources) = (self.wanted.arches(), (host, &self.sources));
        let carried = self.registry.carried(from, (arches, true), sources, terminal)?;
        if !carried.has_lock() {
            let plan = installed(&host.absolute(from), arches)?;
            return Ok((Some(plan), self.sources.clone(), true));
        }
        no_mirror_beside(&self.sources)?;
        let lists = !matches!(carried, Carried::Bundle(_));
        Ok((Some(carried.plan(arches)?), self.sources.of_carried(&carried, None), lists))
    }

    fn tell(&self, pushed: &Pushed, plan: &Plan, reference: &Reference, terminal: &Terminal) {
        if self.output.json {
            return terminal.output_json(pushed);
        }
        let Pushed { packages, blobs, size, moved, moved_size, mounted, digest, tag, signed_by } =
            pushed;
        terminal.line(format_args!(
            "{packages} packages, {blobs} blobs, {}: {moved} were not there, {}",
            HumanBytes(*size),
            HumanBytes(*moved_size)
        ));
        if *mounted > 0 {
            terminal.line(format_args!("{mounted} came from another repository of the registry"));
        }
        tell_trees(plan, terminal);
        if let Some(key) = signed_by {
            terminal.line(format_args!("signed by {key}"));
        }
        terminal
            .line(format_args!("pushed {}", reference.to(ManifestName::Digest(digest.clone()))));
        let tagged = reference.to(ManifestName::Tag(tag.clone())).to_string();
        terminal.line(format_args!(
            "try: elsewhere install --from {} ~/apptainer",
            shell_word(&tagged)
        ));
    }
}
