//! `elsewhere sync`: published versions, by a list of what is wanted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use super::destinations::{OpenPlace, Place, SyncTold};
use super::options::{AgeArgs, Output, Sources, StoreArgs};
use super::programs::ProgramArgs;
use super::repository::ViaArg;
use super::session::Session;
use super::trust::TrustArgs;
use super::{doctor, document, repositories};
use crate::error::{Error, Failure};
use crate::host::Host;
use crate::model::escape;
use crate::publish::{self, Goal, Outlet, Planning, SyncLock, SyncOptions, Wishlist};
use crate::terminal::Terminal;

/// Publish versions of runtimes side by side, as a wishlist says
///
/// Below the list's directory, or in each of several destinations, each runtime gets a base:
/// BASE/1.4.5/{bin,x86_64,aarch64}, BASE/current -> 1.4.5 and BASE/bin -> current/bin, as CVMFS and other read-only file
/// systems want it. A version never changes once it is there: other content becomes 1.4.5-2. First all is planned; a run that finds everything as it is wished for writes
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
  [[destination]]               # instead of directory and cvmfs, where there are several
  directory = \"/srv/mirror\"
  [hooks]
  after = [[\"/usr/local/bin/tell-the-grid\", \"published\"]]

Exit statuses that matter to cron: 0 done, or nothing to do; 2 the list is wrong; 3 a repository could not be
reached; 5 no packages fit; 9 another run is at it; 13 a hook failed, something must not be published,
or a repository's server refused. Where a part fails the rest is done, and the status is that of the
first that did.")]
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
    programs: ProgramArgs,
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
        self.check(&list, earlier.as_ref(), &lock_path)?;
        let mut failures = Vec::new();
        let places = Place::all(&list, self.via, host, &mut failures)?;
        if places.is_empty() {
            return ended(failures, false);
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
        let first = places.first().map_or(&*path, Place::directory);
        let subject = doctor::subject(host, &settings.catalog, first);
        let session = Session::with(host, &self.sources, settings, terminal)?;
        let session = session.keeping(self.store)?.giving(&self.programs)?;
        let context = self.age.apply(session.context());
        let keys = session.keys_of(&trust)?;
        let (earlier, is_locked) = (earlier.as_ref(), self.locked);
        let planning = Planning { context, keys: &keys, trust: &trust, earlier, is_locked };
        let (goals, its) = list.goals(planning)?;
        failures.extend(its);
        for plan in goals.iter().flat_map(Goal::plans) {
            session.check_policy(plan)?;
            if !self.locked {
                let dists = repositories::dists(plan);
                self.sources.repositories.check_for(context.catalog, dists)?;
            }
        }
        let options = SyncOptions {
            now: host.now()?,
            is_dry: self.dry_run,
            subject: subject.as_ref(),
            hooks: &list.hooks,
        };
        let owners = session.owners()?;
        let way = (host, &self.sources, terminal, &owners);
        let opened = OpenPlace::all(&places, &goals, way, self.dry_run, &mut failures)?;
        let outlets: Vec<Outlet<'_>> = opened.iter().map(OpenPlace::outlet).collect();
        let outcome = publish::publish(context, &keys, &outlets, options)?;
        let told = SyncTold::of(&opened, outcome, &mut failures)?;
        let lock = SyncLock::of(&keys, (&goals, &list.bases()), earlier);
        if !self.dry_run && told.is_any() && earlier != Some(&lock) {
            document::write(&lock_path, &lock.text()?, terminal)?;
        }
        told.tell((self.output.json, self.dry_run), failures.is_empty(), terminal);
        ended(failures, told.is_any())
    }

    /// Refuses options that are of no use with this list.
    fn check(
        &self,
        list: &Wishlist,
        earlier: Option<&SyncLock>,
        lock_path: &Path,
    ) -> Result<(), Error> {
        if self.via.is_some() && list.destinations.iter().all(|it| it.cvmfs.is_none()) {
            return Err(Error::Usage(
                "--via is for wishlists that name a repository: cvmfs = ...".to_owned(),
            ));
        }
        match self.locked && earlier.is_none() {
            false => Ok(()),
            true => Err(Error::Usage(format!(
                "there is no {}: run without --locked once",
                escape(&lock_path.to_string_lossy())
            ))),
        }
    }
}

/// That all of `failures` failed; of one that is all, what that is.
fn ended(mut failures: Vec<Failure>, is_any_done: bool) -> Result<(), Error> {
    match failures.len() {
        0 => Ok(()),
        1 if !is_any_done => failures.pop().map_or(Ok(()), |failure| Err(failure.into_error())),
        _ => Err(Error::Partly(failures)),
    }
}

/// The lock file beside a wishlist.
fn lock_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(".lock");
    PathBuf::from(name)
}
