//! What every command that reads repositories needs: the catalog, the way to the network, signals.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::HumanBytes;
use signal_hook::consts::{SIGABRT, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use super::options::{Settings, Sources, StoreArgs};
use super::owners;
use super::programs::{self, ProgramArgs};
use super::trust::TrustArgs;
use crate::carry::Carried;
use crate::catalog::Catalog;
use crate::config::{Config, Network};
use crate::context::Context;
use crate::error::{Error, HOST, INTERRUPTED};
use crate::fetch::{FetchError, FetchOptions, Fetcher};
use crate::host::Host;
use crate::metadata::Keys;
use crate::model::{Aim, Arch, Plan, UserTrust};
use crate::owned::Owners;
use crate::report::Reporter;
use crate::store::{Store, USUAL_LIMIT};
use crate::terminal::Terminal;
use crate::tools::{limits, threads};

/// How long a second signal counts as the first: `timeout` sends one to the process and one to its
/// group, and whoever hits Ctrl-C hits it twice.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

/// Address space, in bytes, that is enough for every command.
const ENOUGH_MEMORY: u64 = 1 << 30;

/// Lets the first signal set `cancelled`, so that stages stop and clean up, and a later one end the
/// process on the spot; the next run then cleans up. A file that grows beyond a limit is an error of
/// whoever writes it, not the end of the process; and memory that a limit denies is told by the exit
/// status.
///
/// # Errors
/// When the handlers cannot be installed.
pub(super) fn catch_signals(cancelled: &Arc<AtomicBool>) -> Result<(), Error> {
    let failed = |source| Error::Signals { source };
    // A handler, because what is ignored would be ignored by the programs that are started too.
    flag::register(SIGXFSZ, Arc::default()).map_err(failed)?;
    if limits::memory().is_some() {
        // The allocator says what it could not have, and `tell_limits` said why before.
        let always = Arc::new(AtomicBool::new(true));
        flag::register_conditional_shutdown(SIGABRT, HOST.into(), always).map_err(failed)?;
    }
    let is_later = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&is_later))
            .and_then(|_| flag::register(signal, Arc::clone(cancelled)))
            .map_err(failed)?;
    }
    let (cancelled, later) = (Arc::clone(cancelled), Arc::clone(&is_later));
    let watch = move || {
        while !cancelled.load(Ordering::Relaxed) {
            thread::sleep(ONE_SIGNAL / 10);
        }
        thread::sleep(ONE_SIGNAL);
        later.store(true, Ordering::Relaxed);
    };
    if threads::detach("signals", watch).is_err() {
        // Nobody measures the time: the second signal is a later one.
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register(signal, Arc::clone(&is_later)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Tells of a limit on memory that may end the run at any moment, in nobody's words but the allocator's.
pub(super) fn tell_limits(terminal: &Terminal) {
    if let Some(bytes) = limits::memory().filter(|&bytes| bytes < ENOUGH_MEMORY) {
        // At once: warnings come at the end.
        terminal.note(format!(
            "this shell's limit on memory is {} (ulimit -v), which may be too little",
            HumanBytes(bytes)
        ));
    }
}

/// The parts of a [`Context`], owned.
pub(super) struct Session<'a> {
    host: &'a Host,
    program: PathBuf,
    programs: BTreeMap<Arch, PathBuf>,
    today: String,
    catalog: Catalog,
    config: Config,
    aim: Option<Aim>,
    cache_dir: PathBuf,
    fetcher: Fetcher<'a>,
    store: Option<Store>,
    terminal: &'a Terminal,
}

/// Bytes that unpacked packages may take in the cache.
pub(super) fn store_limit(config: &Config) -> u64 {
    config.cache.size.map_or(USUAL_LIMIT, |size| size.0)
}

impl<'a> Session<'a> {
    /// Loads the definitions and prepares the cache.
    ///
    /// # Errors
    /// When a definition is wrong, or the cache directory is unknown or cannot be written.
    pub(super) fn open(
        host: &'a Host,
        sources: &Sources,
        terminal: &'a Terminal,
    ) -> Result<Self, Error> {
        Self::with(host, sources, sources.settings(host)?, terminal)
    }

    /// The same with settings that were read before.
    ///
    /// # Errors
    /// When the cache directory is unknown or cannot be written.
    pub(super) fn with(
        host: &'a Host,
        sources: &Sources,
        settings: Settings,
        terminal: &'a Terminal,
    ) -> Result<Self, Error> {
        let reporter: &dyn Reporter = terminal;
        let _measuring = reporter.measure("open cache");
        let Settings { config, catalog } = settings;
        sources.repositories.check(&config, &catalog)?;
        let mut options = fetch_options(host, sources, &config)?;
        let cache_dir = options.cache_dir.clone();
        let members = sources.carried.as_ref().and_then(Carried::members);
        options.mirror = match members {
            Some(_) => None,
            None => sources.mirror(host, &config)?,
        };
        options.logins = catalog.logins().to_vec();
        limits::allow_files();
        let fetcher = Fetcher::new(options, terminal)?.within(members);
        let (program, today) = (host.executable(), host.today());
        Ok(Self {
            host,
            program,
            programs: programs::own(host),
            today,
            catalog,
            config,
            aim: None,
            cache_dir,
            fetcher,
            store: None,
            terminal,
        })
    }

    /// The same, for trees whose packages are kept as they were unpacked, unless `args` or the configuration
    /// say otherwise.
    ///
    /// # Errors
    /// When they cannot be kept there.
    pub(super) fn keeping(self, args: StoreArgs) -> Result<Self, Error> {
        let limit = store_limit(&self.config);
        if args.no_store || limit == 0 {
            return Ok(self);
        }
        let store = Store::open(&self.cache_dir, self.owners()?, limit);
        Ok(Self { store: Some(store.map_err(FetchError::from)?), ..self })
    }

    /// The same, for trees that get the programs of `args` where they must have one.
    ///
    /// # Errors
    /// When one that is named is none, or would run only where its libraries are.
    pub(super) fn giving(self, args: &ProgramArgs) -> Result<Self, Error> {
        Ok(Self { programs: args.read(self.host)?, ..self })
    }

    /// The same, for trees that run on `hosts`, as `--for` names them.
    ///
    /// # Errors
    /// When one of them is no machine.
    pub(super) fn made_for(self, hosts: &[String]) -> Result<Self, Error> {
        let hosts = if hosts.is_empty() { &self.config.hosts } else { hosts };
        let aim = self.catalog.aim(hosts)?;
        Ok(Self { aim, ..self })
    }

    /// Refuses a plan with packages of dists that the site's policy does not list.
    ///
    /// # Errors
    /// When it has some.
    pub(super) fn check_policy(&self, plan: &Plan) -> Result<(), Error> {
        let dists: Vec<&str> = super::repositories::dists(plan).collect();
        Ok(self.config.policy.check(false, false, &dists)?)
    }

    /// Who else than this user may own what a run writes to.
    ///
    /// # Errors
    /// When the configuration names nobody.
    pub(super) fn owners(&self) -> Result<Owners, Error> {
        owners::of(self.host, &self.config)
    }

    /// The keyring of a run: what `trust` names, and what the configuration does.
    ///
    /// # Errors
    /// When a policy forbids `trust`, it means no repository, or a file cannot be read or holds no key.
    pub(super) fn keys(&self, trust: &TrustArgs) -> Result<Keys<'_>, Error> {
        self.keys_of(&trust.user_trust(&self.config, &self.catalog)?)
    }

    /// The keyring of a run: what the user trusts.
    ///
    /// # Errors
    /// When a file cannot be read or holds no key.
    pub(super) fn keys_of(&self, trust: &UserTrust) -> Result<Keys<'_>, Error> {
        Ok(Keys::new(&self.fetcher, self.terminal, trust, self.catalog.certificates())?)
    }

    /// The architecture that is meant where none is named: the configuration's first, or this machine's.
    pub(super) fn default_arch(&self) -> Option<Arch> {
        self.config.arch.first().copied().or(self.host.facts().arch)
    }

    /// What stages are given.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            catalog: &self.catalog,
            program: &self.program,
            programs: &self.programs,
            host: self.host.facts(),
            default_dist: self.config.dist.as_deref(),
            allowed_dists: &self.config.policy.dists,
            aim: self.aim,
            memory: None,
            allows_downgrade: false,
            fetcher: &self.fetcher,
            store: self.store.as_ref(),
            today: &self.today,
            reporter: self.terminal,
        }
    }
}

/// How to fetch what is read from its own place, and no mirror.
///
/// # Errors
/// When the cache directory is unknown, or the configuration names nobody.
pub(super) fn fetch_options(
    host: &Host,
    sources: &Sources,
    config: &Config,
) -> Result<FetchOptions, Error> {
    let cache_dir = sources.cache_dir.clone().or(config.cache_dir.clone());
    let mut options = FetchOptions::new(cache_dir.map_or_else(|| host.cache_dir(), Ok)?);
    let site_cache = sources.site_cache.as_deref().map(|path| host.absolute(path));
    options.site_cache = site_cache.or(config.site_cache.clone());
    options.owners = owners::of(host, config)?;
    options.offline = sources.offline;
    options.netrc = host.netrc();
    options.registry_logins = host.registry_logins();
    options.variables = host.network_variables();
    set_network(&mut options, config.network);
    Ok(options)
}

/// Sets what the configuration says; times are within what a clock can wait for.
fn set_network(options: &mut FetchOptions, network: Network) {
    let set = |target: &mut Duration, seconds: Option<f64>| {
        if let Some(seconds) = seconds {
            *target = Duration::from_secs_f64(seconds);
        }
    };
    set(&mut options.pause, network.pause);
    set(&mut options.connect_timeout, network.connect_timeout);
    set(&mut options.stall_timeout, network.stall_timeout);
    options.attempts = network.attempts.unwrap_or(options.attempts);
    options.minimum_rate = network.minimum_rate.unwrap_or(options.minimum_rate);
}
