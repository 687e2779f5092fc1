//! What every command that reads repositories needs: the catalog, the way to the network, signals.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::options::Sources;
use crate::catalog::Catalog;
use crate::error::{Error, INTERRUPTED};
use crate::fetch::{Fetcher, Options};
use crate::host::Host;
use crate::model::Aim;
use crate::pipeline::Context;
use crate::terminal::Terminal;

/// Lets the first signal set `cancelled`, so that stages stop and clean up, and the second one end
/// the process on the spot; the next run then cleans up.
///
/// # Errors
/// When the handlers cannot be installed.
pub(super) fn catch_signals(cancelled: &Arc<AtomicBool>) -> Result<(), Error> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(cancelled))
            .and_then(|_| flag::register(signal, Arc::clone(cancelled)))
            .map_err(|source| Error::Signals { source })?;
    }
    Ok(())
}

/// The built-in definitions, those in `repos`, and the user's own.
///
/// # Errors
/// When a definition is wrong.
pub(super) fn catalog(host: &Host, repos: &[PathBuf]) -> Result<Catalog, Error> {
    let mut directories = repos.to_vec();
    directories
        .extend(host.config_dir().map(|path| path.join("repos")).filter(|path| path.is_dir()));
    Ok(Catalog::load(&directories)?)
}

/// The parts of a [`Context`], owned.
pub(super) struct Session<'a> {
    host: &'a Host,
    today: String,
    catalog: Catalog,
    aim: Option<Aim>,
    fetcher: Fetcher<'a>,
    terminal: &'a Terminal,
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
        let catalog = catalog(host, &sources.repos)?;
        let cache_dir =
            sources.cache_dir.clone().or_else(|| host.cache_dir()).ok_or_else(|| {
                Error::Usage("neither HOME nor XDG_CACHE_HOME is set: name a --cache-dir".into())
            })?;
        let mut options = Options::new(cache_dir);
        options.mirror = sources.mirror(host)?;
        let fetcher = Fetcher::new(options, terminal)?;
        Ok(Self { host, today: host.today(), catalog, aim: None, fetcher, terminal })
    }

    /// The same, for trees that run on `hosts`, as `--for` names them.
    ///
    /// # Errors
    /// When one of them is no machine.
    pub(super) fn made_for(self, hosts: &[String]) -> Result<Self, Error> {
        Ok(Self { aim: self.catalog.aim(hosts)?, ..self })
    }

    /// What stages are given.
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            catalog: &self.catalog,
            host: self.host.facts(),
            aim: self.aim,
            fetcher: &self.fetcher,
            today: &self.today,
            reporter: self.terminal,
        }
    }
}
