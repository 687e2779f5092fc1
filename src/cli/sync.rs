//! `elsewhere sync`: published versions, by a list of what is wanted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::options::{AgeArgs, Output, Sources, StoreArgs};
use super::repository::{self, OpenRepository, ViaArg};
use super::session::Session;
use super::trust::TrustArgs;
use super::versioned;
use super::{doctor, document, repositories};
use crate::error::Error;
use crate::host::Host;
use crate::model::escape;
use crate::publish::{self, Goal, PlainDirectory, Planning, SyncLock, SyncOptions, Wishlist};
use crate::terminal::Terminal;

/// Publish versions of runtimes side by side, as a wishlist says
///
/// Below the list's directory each runtime gets a base: BASE/1.4.5/{bin,x86_64,aarch64}, BASE/current -> 1.4.5 and
/// BASE/bin -> current/bin, as CVMFS and other read-only file systems want it. A version never changes once it is
/// there: other content becomes 1.4.5-2. First all is planned; a run that finds everything as it is wished for writes
/// nothing and says nothing, and one that changes something says it in a line for each base. The plans are kept in
/// FILE.lock: with --locked, on any machine, the same bytes are made again.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere sync /etc/elsewhere/grid.toml             from cron
  elsewhere sync --dry-run grid.toml                  what would be added, switched and dropped
  elsewhere sync --locked --quiet grid.toml           the same bytes again, elsewhere

A wishlist (docs/cvmfs.md tells all of it):
  directory = \"/srv/publish\"
  [[runtime]]
  name = \"apptainer\"
  versions = [\"1.4.*\"]          # patterns, or exact versions; older ones come from archives
  newest = 2                    # so many of each pattern
  dists = [\"el8\", \"el9\"]
  arches = [\"x86_64\", \"aarch64\"]
  current = \"newest\"            # or a pattern, or \"none\" to leave the link as it is
  keep = { versions = 3, days = 90 }
  [runtime.etc.\"apptainer/apptainer.conf\"]
  set = { \"mount hostfs\" = \"no\" }
  [cvmfs]                       # where the directory is in a repository of CVMFS
  repository = \"repo.example.org\"
  [hooks]
  after = [[\"/usr/local/bin/tell-the-grid\", \"published\"]]

Exit statuses that matter to cron: 0 done, or nothing to do; 2 the list is wrong; 3 a repository could not be
reached; 5 no packages fit; 9 another run is at it; 13 a hook failed, something must not be published,
or a repository's server refused.")]
pub(super) struct Sync {
    /// Say what would be added, switched and dropped, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Make exactly what FILE.lock says, and read no metadata
    #[arg(long)]
    locked: bool,
    /// How a CVMFS repository is published: in a transaction, or by streaming archives to its server [default: what the
    /// list says, else transaction]
    #[arg(long, value_name = "WAY")]
    via: Option<ViaArg>,
    #[command(flatten)]
    age: AgeArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    pub(super) output: Output,
    /// The wishlist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Sync {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let path = host.absolute(&self.file);
        let list = Wishlist::read(&path)?;
        let lock_path = lock_of(&path);
        let earlier = SyncLock::read(&lock_path)?;
        let repository = match &list.cvmfs {
            Some(wish) => Some(OpenRepository::open(wish, self.via, host)?),
            None => None,
        };
        if self.via.is_some() && repository.is_none() {
            return Err(Error::Usage(
                "--via is for wishlists that name a repository: cvmfs = ...".to_owned(),
            ));
        }
        if self.locked && earlier.is_none() {
            return Err(Error::Usage(format!(
                "there is no {}: run without --locked once",
                escape(&lock_path.to_string_lossy())
            )));
        }
        let settings = self.sources.settings(host)?;
        if !self.locked {
            self.sources.check_mirror(host, &settings.config)?;
        }
        let trust = self.trust.user_trust(&settings.config, &settings.catalog)?;
        self.trust.check_without_file()?;
        for name in list.names() {
            settings.catalog.runtime(name)?;
        }
        let subject = doctor::subject(host, &settings.catalog, &list.directory);
        let session = Session::with(host, &self.sources, settings, terminal)?;
        let session = session.keeping(self.store)?;
        let context = self.age.apply(session.context());
        let keys = session.keys_of(&trust)?;
        let locked = earlier.as_ref().filter(|_| self.locked);
        let planning = Planning { context, keys: &keys, trust: &trust, locked };
        let goals = list.goals(planning)?;
        goals.iter().try_for_each(|goal| versioned::check_base(&goal.root))?;
        for plan in goals.iter().flat_map(Goal::plans) {
            session.check_policy(plan)?;
            if !self.locked {
                let dists = repositories::dists(plan);
                self.sources.repositories.check_for(context.catalog, dists)?;
            }
        }
        let cvmfs = repository
            .as_ref()
            .map(|it| it.destination(host, &self.sources, terminal, self.dry_run))
            .transpose()?;
        let options = SyncOptions {
            now: host.now()?,
            is_dry: self.dry_run,
            subject: subject.as_ref(),
            hooks: &list.hooks,
        };
        let plain = PlainDirectory { owners: session.owners()? };
        let destination: &dyn publish::Publisher = match &cvmfs {
            Some(destination) => destination,
            None => &plain,
        };
        let target = (destination, earlier.as_ref());
        let synced = publish::publish(context, &keys, &goals, target, options)?;
        if !self.dry_run && earlier.as_ref() != Some(&synced.lock) {
            document::write(&lock_path, &synced.lock.text()?, terminal)?;
        }
        let dropped = synced.reports.iter().any(|report| !report.dropped.is_empty());
        let told = cvmfs.as_ref().map(|it| repository::told(it, dropped && !self.dry_run));
        if self.output.json {
            let mut document = json!({ "bases": synced.reports });
            if let Some(told) = told {
                document["cvmfs"] = told.json();
            }
            terminal.output_json(&document);
        } else {
            versioned::tell(&synced.reports, self.dry_run, terminal);
            told.into_iter().for_each(|told| told.tell(terminal));
        }
        Ok(())
    }
}

/// The lock file beside a wishlist.
fn lock_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(".lock");
    PathBuf::from(name)
}
