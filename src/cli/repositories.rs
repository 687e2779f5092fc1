//! Which repositories are read: what the command line and configuration files say.

use std::collections::BTreeSet;

use clap::Args;

use crate::catalog::Catalog;
use crate::config::{Config, ConfigError};
use crate::error::Error;
use crate::model::{DecidedBy, Plan, TreePlan, Wishes, escape};

/// Repositories that are left out, or not.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Repositories {
    /// Do without these repositories: ids as `powertools`, or as `el8/powertools` of one dist; `*`, `?`
    /// and `[...]` stand for characters. Updates of what is installed do without them too
    #[arg(long = "disable-repo", value_name = "ID", value_delimiter = ',')]
    disabled: Vec<String>,
    /// Read these repositories all the same, though the configuration, a definition or --disable-repo
    /// leaves them out
    #[arg(long = "enable-repo", value_name = "ID", value_delimiter = ',')]
    enabled: Vec<String>,
}

impl Repositories {
    /// Applies to `catalog` what `config` says of repositories, and then what is said here.
    pub(super) fn apply(&self, config: &Config, catalog: &mut Catalog) {
        for wishes in config.wishes.iter().rev() {
            catalog.apply(wishes, DecidedBy::Configuration);
        }
        catalog.apply(&self.wishes(), DecidedBy::CommandLine);
        let disabled = config.policy.disable_repo.clone();
        catalog.apply(&Wishes { disabled, ..Wishes::default() }, DecidedBy::Policy);
    }

    /// Refuses names that mean no repository at all, and to read what a policy leaves out.
    ///
    /// # Errors
    /// When there is such a name.
    pub(super) fn check(&self, config: &Config, catalog: &Catalog) -> Result<(), Error> {
        let typed = self.wishes();
        let all = config.wishes.iter().chain([&typed]).flat_map(Wishes::patterns);
        let by_policy = &config.policy.disable_repo;
        catalog.check_repositories(all.chain(by_policy.iter().map(String::as_str)), &[])?;
        match self.enabled.iter().find(|name| by_policy.contains(name)) {
            Some(name) => {
                let what = format!("to read the repository {}", escape(name));
                Err(ConfigError::Forbidden { what }.into())
            }
            None => Ok(()),
        }
    }

    /// Refuses names on the command line that mean no repository of these dists.
    ///
    /// # Errors
    /// When there is such a name.
    pub(super) fn check_for<'d>(
        &self,
        catalog: &Catalog,
        dists: impl IntoIterator<Item = &'d str>,
    ) -> Result<(), Error> {
        let dists: BTreeSet<&str> = dists.into_iter().collect();
        let dists: Vec<&str> = dists.into_iter().collect();
        Ok(catalog.check_repositories(self.wishes().patterns(), &dists)?)
    }

    fn wishes(&self) -> Wishes {
        let (disabled, enabled) = (self.disabled.clone(), self.enabled.clone());
        Wishes { disabled, enabled, ..Wishes::default() }
    }
}

/// The dists that packages of `plan` come from.
pub(super) fn dists(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.trees.iter().flat_map(TreePlan::parts).map(|part| part.dist.as_str())
}
