//! `elsewhere cache`: what downloads and unpacked packages take, and being rid of them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::HumanBytes;
use serde::Serialize;
use serde_json::json;

use super::options::{Output, config};
use super::{owners, session};
use crate::error::Error;
use crate::fetch::{self, CacheUsage, FetchError};
use crate::host::Host;
use crate::model::{ByteSize, escape};
use crate::owned::Owners;
use crate::store::{Holdings, Store};
use crate::terminal::Terminal;

/// Look after the cache: downloads, and packages that were unpacked before
#[derive(Debug, Args)]
pub(super) struct CacheCommand {
    #[command(subcommand)]
    command: Inner,
}

#[derive(Debug, Subcommand)]
enum Inner {
    Info(CacheInfo),
    Prune(CachePrune),
    Clear(CacheClear),
}

/// Where the cache is.
#[derive(Debug, Args)]
struct CachePlace {
    /// Where downloads are kept [default: $XDG_CACHE_HOME/elsewhere]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// One more configuration file, before the user's and the site's (docs/configuration.md)
    /// [also: ELSEWHERE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Say what the cache holds
#[derive(Debug, Args)]
struct CacheInfo {
    #[command(flatten)]
    place: CachePlace,
}

/// Delete unpacked packages, those that were used least recently first, and what killed runs left
///
/// Every install does so by itself where they take more than `cache.size` of the configuration says.
/// What goes is unpacked again when it is needed. Downloads stay.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere cache prune
  elsewhere cache prune --size 200MiB
  elsewhere cache prune --size 0          all of them")]
struct CachePrune {
    /// How much may stay [default: cache.size of the configuration, or 1GiB]
    #[arg(long, value_name = "SIZE")]
    size: Option<ByteSize>,
    #[command(flatten)]
    place: CachePlace,
}

/// Delete all that can be fetched or made again
///
/// What stays are small notes: how new the metadata were that were believed, and which receipts this
/// user's runs wrote. Without the network nothing can be installed or repaired afterwards.
#[derive(Debug, Args)]
struct CacheClear {
    #[command(flatten)]
    place: CachePlace,
}

/// What there is, or what went, as `--json` shows it.
#[derive(Serialize)]
struct CacheAccount {
    /// The directory.
    path: PathBuf,
    /// What was fetched, and what else is there.
    #[serde(flatten)]
    usage: CacheUsage,
    /// Packages that were unpacked.
    unpacked: Holdings,
}

impl CacheCommand {
    /// What is shown, and how.
    pub(super) fn output(&self) -> &Output {
        match &self.command {
            Inner::Info(command) => &command.place.output,
            Inner::Prune(command) => &command.place.output,
            Inner::Clear(command) => &command.place.output,
        }
    }

    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        match &self.command {
            Inner::Info(command) => command.execute(host, terminal),
            Inner::Prune(command) => command.execute(host, terminal),
            Inner::Clear(command) => command.execute(host, terminal),
        }
    }
}

/// A cache, and what the configuration says of it.
struct Found {
    path: PathBuf,
    owners: Owners,
    limit: u64,
}

impl CachePlace {
    fn find(&self, host: &Host) -> Result<Found, Error> {
        let config = config(host, self.config.as_deref())?;
        let named = self.cache_dir.as_deref().map(|path| host.absolute(path));
        let path = named.or(config.cache_dir.clone()).map_or_else(|| host.cache_dir(), Ok)?;
        let limit = session::store_limit(&config);
        Ok(Found { path, owners: owners::of(host, &config)?, limit })
    }
}

impl Found {
    /// The store, where there is one.
    fn store(&self) -> Result<Option<Store>, Error> {
        let opened = Store::open_existing(&self.path, self.owners.clone(), self.limit);
        Ok(opened.map_err(FetchError::from)?)
    }

    /// What a step on the store gives; nothing, where there is none.
    fn of_store(
        &self,
        step: impl FnOnce(&Store) -> std::io::Result<Holdings>,
    ) -> Result<Holdings, Error> {
        let Some(store) = self.store()? else { return Ok(Holdings::default()) };
        step(&store).map_err(|source| Error::Cache { path: store.path().to_owned(), source })
    }

    fn account(self, usage: CacheUsage, unpacked: Holdings) -> CacheAccount {
        CacheAccount { path: self.path, usage, unpacked }
    }
}

impl CacheInfo {
    fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let found = self.place.find(host)?;
        let unpacked = found.of_store(Store::holdings)?;
        let (usage, limit) = (fetch::usage(&found.path)?, found.limit);
        let account = found.account(usage, unpacked);
        if self.place.output.json {
            let mut value = json!(account);
            value["limit"] = limit.into();
            terminal.output_json(&value);
            return Ok(());
        }
        let CacheAccount { path, usage: CacheUsage { fetched, other }, unpacked } = account;
        terminal.output(escape(&path.to_string_lossy()));
        terminal.output(amount("fetched", fetched.size, &count(fetched.files, "file")));
        let most = match limit {
            0 => "kept no more".to_owned(),
            limit => format!("at most {}", HumanBytes(limit)),
        };
        let packages = format!("{}, {most}", count(unpacked.packages, "package"));
        terminal.output(amount("unpacked", unpacked.size, &packages));
        terminal.output(amount("other", other.size, &count(other.files, "file")));
        Ok(())
    }
}

impl CachePrune {
    fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let found = self.place.find(host)?;
        let limit = self.size.map_or(found.limit, |size| size.0);
        let gone = found.of_store(|store| store.prune(limit))?;
        tell_gone(found.account(CacheUsage::default(), gone), &self.place.output, terminal);
        Ok(())
    }
}

impl CacheClear {
    fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let found = self.place.find(host)?;
        let gone = found.of_store(|store| store.prune(0))?;
        let usage = fetch::clear(&found.path, &found.owners)?;
        tell_gone(found.account(usage, gone), &self.place.output, terminal);
        Ok(())
    }
}

/// Says what went.
fn tell_gone(gone: CacheAccount, output: &Output, terminal: &Terminal) {
    if output.json {
        return terminal.output_json(&gone);
    }
    let CacheUsage { fetched, other } = gone.usage;
    let (files, size) = (fetched.files + other.files, fetched.size.saturating_add(other.size));
    if gone.unpacked.packages > 0 {
        let packages = count(gone.unpacked.packages, "unpacked package");
        terminal.line(format_args!("{packages} deleted, {}", HumanBytes(gone.unpacked.size)));
    }
    if files > 0 {
        terminal.line(format_args!("{} deleted, {}", count(files, "file"), HumanBytes(size)));
    }
    if gone.unpacked.packages == 0 && files == 0 {
        terminal.line("nothing to delete");
    }
}

/// A line of `info`.
fn amount(what: &str, size: u64, of: &str) -> String {
    format!("{what:<9} {:>11}  {of}", HumanBytes(size).to_string())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
