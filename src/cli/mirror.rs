//! `elsewhere mirror`: all that an install needs, in a directory, for where there is no network.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanBytes;
use serde_json::json;

use super::install::read_lock;
use super::options::{Output, Sources, WantedArgs};
use super::repositories;
use super::session::Session;
use crate::carry::{self, Built, MirrorFinding, MirrorOptions};
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle;
use crate::model::{Plan, escape, shell_word};
use crate::planning;
use crate::report::Reporter;
use crate::terminal::Terminal;
use crate::tools::files;

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
  elsewhere mirror --verify /media/usb/elsewhere")]
pub(super) struct Mirror {
    #[command(flatten)]
    wanted: WantedArgs,
    /// Collect what the plan in this file names, made by `elsewhere plan --lock FILE`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runtimes", "version", "dists", "container_dist", "arches"])]
    lock: Option<PathBuf>,
    /// Keep what so many earlier lock files of this mirror name, too, as older/1.lock and so on
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep_old: usize,
    /// Make nothing, but prove all that is in the directory, and name what is changed, missing or foreign
    #[arg(long, conflicts_with_all = ["lock", "keep_old", "runtimes", "version", "dists", "container_dist", "arches"])]
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
            true => self.verify(host, &directory, terminal),
            false => self.make(host, &directory, terminal),
        }
    }

    fn make(&self, host: &Host, directory: &Path, terminal: &Terminal) -> Result<(), Error> {
        let settings = self.sources.settings(host)?;
        let locked = self.lock.as_deref().map(read_lock).transpose()?;
        let request = self.wanted.request(host, &settings, locked.as_ref(), terminal)?;
        self.sources.check_mirror(host, &settings.config)?;
        let session =
            Session::with(host, &self.sources, settings, terminal)?.made_for(&self.wanted.hosts)?;
        let context = self.wanted.age.apply(session.context());
        let keys = session.keys_of(&request.trust)?;
        let plan = match &locked {
            Some(plan) => {
                keys.know_copies(&plan.certificates);
                planning::held(context, &keys, plan)?
            }
            None => lifecycle::plan_for(context, &keys, &request, &self.wanted.dists(context)?)?,
        };
        session.check_policy(&plan)?;
        if locked.is_none() {
            self.sources.repositories.check_for(context.catalog, repositories::dists(&plan))?;
        }
        let program = host.executable();
        if !host.program_is_portable() {
            terminal.note(
                "this program is linked dynamically: the mirror's runs only where the C library is as new"
                    .to_owned(),
            );
        }
        let program = host.program_arch().map(|arch| (arch, program.as_path()));
        let options = MirrorOptions { directory, keep_old: self.keep_old, program };
        let built = carry::build(context, &keys, &plan, options)?;
        self.tell(&built, &plan, directory, terminal);
        Ok(())
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
        let trees =
            plan.trees.iter().map(|tree| format!("{} of {}", tree.arch, escape(&tree.dist)));
        terminal.line(format_args!("for {}", trees.collect::<Vec<_>>().join(", ")));
        let directory = directory.to_string_lossy();
        terminal.line(format_args!(
            "try: elsewhere install --from {} ~/apptainer",
            shell_word(&escape(&directory))
        ));
    }

    /// Proves the mirror with a cache that is empty: what other runs saw says nothing of it.
    fn verify(&self, host: &Host, directory: &Path, terminal: &Terminal) -> Result<(), Error> {
        let scratch = files::unique(&host.temporary_dir(), "elsewhere-mirror");
        let sources = self.sources.of_mirror(directory, Some(scratch.clone()));
        let settings = sources.settings(host)?;
        let request_trust = self.wanted.trust(&settings)?;
        let session = Session::with(host, &sources, settings, terminal)?;
        let outcome = session
            .keys_of(&request_trust)
            .and_then(|keys| carry::inspect(session.context(), &keys, directory));
        let _ = files::remove_tree(&scratch);
        let findings = outcome?;
        if self.output.json {
            terminal.output_json(&json!({ "findings": findings }));
        } else {
            for MirrorFinding { path, problem, detail } in &findings {
                let detail = detail.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
                terminal.output(format_args!("{}: {problem}{}", escape(path), escape(&detail)));
            }
        }
        if findings.is_empty() {
            terminal.line("every file is what it should be");
            return Ok(());
        }
        let hint =
            "make it anew with `elsewhere mirror DIR` where there is a network, or copy it again";
        let (path, count, hint) = (directory.to_owned(), findings.len(), hint.to_owned());
        Err(Error::Damaged { path, count, hint })
    }
}

impl Sources {
    /// The same, but that everything is read from the mirror in a directory, and nothing asked of a network.
    pub(super) fn of_mirror(&self, directory: &Path, cache_dir: Option<PathBuf>) -> Self {
        // A path, not a URL: whatever is in it means itself.
        let mirror = Some(directory.to_string_lossy().into_owned());
        let cache_dir = cache_dir.or_else(|| self.cache_dir.clone());
        Self { mirror, offline: true, cache_dir, ..self.clone() }
    }
}
