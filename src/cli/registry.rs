//! What commands share that have to do with registries.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;

use super::librarian::signers;
use super::options::Sources;
use super::parts;
use super::session::fetch_options;
use crate::carry::{self, ArtifactSigner, Carried, Wish};
use crate::error::Error;
use crate::fetch::Fetcher;
use crate::fetch::registry::{Access, Reference, Registry, SCHEME};
use crate::host::Host;
use crate::model::Arch;
use crate::terminal::Terminal;

/// How registries are spoken to, and whom to believe of what they have.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct RegistryArgs {
    /// Speak plain http with the registry, whose answers nothing protects then. With one on this machine that is
    /// done unless this says =false
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) plain_http: Option<bool>,
    /// Take what --from names of a registry only where this key of minisign's signed it (`elsewhere push --sign`):
    /// its file, or its line in Base64; of several keys one is enough. Packages must be signed by their
    /// distributors all the same
    #[arg(long = "verify-key", value_name = "FILE|KEY", requires = "from")]
    pub(super) keys: Vec<PathBuf>,
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
    /// What is at `from`: an artifact of a registry, pulled now, a mirror's directory or a bundle. An artifact is
    /// had for these architectures, or all, and with `lists` the repositories' metadata are.
    ///
    /// # Errors
    /// When it cannot be had, is none, or is not signed by whom it must be.
    pub(super) fn carried(
        &self,
        from: &Path,
        (arches, lists): (&[Arch], bool),
        (host, sources): (&Host, &Sources),
        terminal: &Terminal,
    ) -> Result<Carried, Error> {
        let Some(reference) = reference(from)? else {
            if !self.keys.is_empty() {
                let why = "--verify-key: it is what a registry has that somebody may have signed";
                return Err(Error::Usage(why.to_owned()));
            }
            return Carried::open(&host.absolute(from));
        };
        let signers = signers(host, "--verify-key", &self.keys)?;
        let fetcher = fetcher(host, sources, terminal)?;
        let registry = Registry::open(&fetcher, &reference, Access::Pull, self.plain_http)?;
        let wish = Wish { arches, lists, signers: &signers };
        let artifact = carry::pull(&registry, &reference, wish, terminal)?;
        let name = artifact.name().to_string_lossy();
        terminal.line(format_args!("pulled {name}"));
        if let Some(ArtifactSigner { key, comment }) = artifact.signer() {
            terminal.line(format_args!("signed by {key}: {}", parts::comment(comment)));
            terminal.line(
                "so all that is in it is what the key's owner pushed, and its packages must be signed by their \
                 distributors besides; no signature proves that nothing newer was pushed",
            );
        }
        Ok(Carried::Artifact(Arc::new(artifact)))
    }
}
