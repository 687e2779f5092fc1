//! Whom the user trusts, as typed.

use std::path::PathBuf;

use clap::Args;

use crate::catalog::Catalog;
use crate::config::Config;
use crate::error::Error;
use crate::model::{LOCAL, TrustedFile, UserTrust};

/// Whom to trust beside the keys that definitions pin.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TrustArgs {
    /// Let packages in that carry no signature, for this run: the file that -v names or, with REPO, those of
    /// these repositories (ids, or as el9/epel of one dist); their digests are still checked
    #[arg(
        long,
        value_name = "REPO",
        num_args = 0..=1,
        require_equals = true,
        value_delimiter = ',',
        default_missing_value = LOCAL
    )]
    allow_unsigned: Vec<String>,
    /// Accept the OpenPGP keys in this file too: for the file that -v names or, with REPO, for the packages
    /// and metadata of this repository
    #[arg(long = "trust-key", value_name = "[REPO=]FILE")]
    files: Vec<PathBuf>,
}

impl TrustArgs {
    /// Whom the user trusts: what is named here, and the keys that `config` names.
    ///
    /// # Errors
    /// When a policy forbids what is named here, or it means no repository.
    pub(super) fn user_trust(
        &self,
        config: &Config,
        catalog: &Catalog,
    ) -> Result<UserTrust, Error> {
        config.policy.check(!self.allow_unsigned.is_empty(), !self.files.is_empty(), &[])?;
        let typed = self.files.iter().cloned().map(TrustedFile::from);
        let files = typed.chain(config.trust_key.iter().cloned()).collect();
        let trust = UserTrust { files, unsigned: self.allow_unsigned.clone() };
        catalog.check_repositories(trust.repositories(), &[])?;
        Ok(trust)
    }

    /// Refuses words that are for a package file alone, where none is named.
    ///
    /// # Errors
    /// When there are such words.
    pub(super) fn check_without_file(&self) -> Result<(), Error> {
        let refuse = |word: &str, example: &str| {
            Err(Error::Usage(format!(
                "{word} alone is for the package file that -v names, and there is none: say for which \
                 repository, as in {example}"
            )))
        };
        if self.allow_unsigned.iter().any(|name| name == LOCAL) {
            return refuse("--allow-unsigned", "--allow-unsigned=epel");
        }
        let is_local = |file: &PathBuf| TrustedFile::from(file.clone()).repository == LOCAL;
        if self.files.iter().any(is_local) {
            return refuse("--trust-key FILE", "--trust-key epel=FILE");
        }
        Ok(())
    }
}
