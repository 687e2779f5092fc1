//! What commands share that have to do with registries.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;

use super::options::Sources;
use super::session::fetch_options;
use crate::carry::{self, Carried, Wish};
use crate::error::Error;
use crate::fetch::Fetcher;
use crate::fetch::registry::{Access, Reference, Registry, SCHEME};
use crate::host::Host;
use crate::terminal::Terminal;

/// How registries are spoken to.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct RegistryArgs {
    /// Speak plain http with the registry, whose answers nothing protects then; with one on this machine that is
    /// done anyway
    #[arg(long)]
    pub(super) plain_http: bool,
}

/// The reference that `text` is, if it is one.
///
/// # Errors
/// When it begins as one and goes on otherwise.
pub(super) fn reference(text: &Path) -> Result<Option<Reference>, Error> {
    match text.to_str().filter(|text| text.starts_with(SCHEME)) {
        Some(text) => Reference::from_str(text).map(Some).map_err(Error::Usage),
        None => Ok(None),
    }
}

/// What fetches from a registry, which no mirror stands for.
///
/// # Errors
/// When the configuration makes no sense, or the cache cannot be used.
pub(super) fn fetcher<'a>(
    host: &Host,
    sources: &Sources,
    terminal: &'a Terminal,
) -> Result<Fetcher<'a>, Error> {
    let settings = sources.settings(host)?;
    let options = fetch_options(host, sources, &settings.config)?;
    Ok(Fetcher::new(options, terminal)?)
}

impl RegistryArgs {
    /// What is at `from`: an artifact of a registry, pulled now, a mirror's directory or a bundle.
    ///
    /// # Errors
    /// When it cannot be had, or is none.
    pub(super) fn carried(
        self,
        from: &Path,
        wish: Wish<'_>,
        (host, sources): (&Host, &Sources),
        terminal: &Terminal,
    ) -> Result<Carried, Error> {
        let Some(reference) = reference(from)? else {
            return Carried::open(&host.absolute(from));
        };
        let fetcher = fetcher(host, sources, terminal)?;
        let registry = Registry::open(&fetcher, &reference, Access::Pull, self.plain_http)?;
        let artifact = carry::pull(&registry, &reference, wish, terminal)?;
        let name = artifact.name().to_string_lossy();
        terminal.line(format_args!("pulled {name}"));
        Ok(Carried::Artifact(Arc::new(artifact)))
    }
}
