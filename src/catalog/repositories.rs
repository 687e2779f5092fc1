//! Which repositories are read, and what is so whatever their definitions say: the user's and the
//! site's wishes, applied to the definitions.

use super::{Catalog, CatalogError};
use crate::model::{DecidedBy, Repository, Wishes, means_repository, strip_userinfo};

impl Catalog {
    /// Does what `wishes` say, as `by` says them. Those that count more come later.
    pub fn apply(&mut self, wishes: &Wishes, by: DecidedBy) {
        self.each(|dist, repository| {
            let means = |patterns: &[String]| {
                patterns.iter().any(|pattern| means_repository(pattern, dist, &repository.id))
            };
            let (is_off, is_on) = (means(&wishes.disabled), means(&wishes.enabled));
            // What is remembered gives way to whoever speaks now.
            if (is_off || is_on) && repository.decided_by <= by {
                repository.enabled = is_on;
                repository.decided_by = by;
            }
            for (_, claims) in wishes
                .claims
                .iter()
                .filter(|(name, _)| means_repository(name, dist, &repository.id))
            {
                repository.signed_metadata =
                    claims.signed_metadata.unwrap_or(repository.signed_metadata);
                repository.modular = claims.modular.unwrap_or(repository.modular);
                repository.module_hotfixes =
                    claims.module_hotfixes.unwrap_or(repository.module_hotfixes);
            }
        });
    }

    /// The same definitions with what the command line said when a tree from `dist` was made, as far as
    /// it does not say otherwise now.
    #[must_use]
    pub fn remembering(&self, dist: &str, disabled: &[String], enabled: &[String]) -> Self {
        let whole = |ids: &[String]| {
            let whole = |id: &String| match id.contains('/') {
                true => id.clone(),
                false => format!("{dist}/{id}"),
            };
            ids.iter().map(whole).collect()
        };
        let wishes =
            Wishes { disabled: whole(disabled), enabled: whole(enabled), ..Wishes::default() };
        let mut catalog = self.clone();
        catalog.apply(&wishes, DecidedBy::Receipt);
        catalog
    }

    /// The same definitions with the repositories read that are read for some runtimes only, where one of them is among
    /// `names`, as far as nobody says otherwise.
    #[must_use]
    pub fn reading_for<'n>(&self, names: impl Iterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.collect();
        let mut catalog = self.clone();
        catalog.each(|_, repository| {
            let is_theirs = repository.runtimes.iter().any(|it| names.contains(&it.as_str()));
            if is_theirs && repository.decided_by == DecidedBy::Definition {
                repository.enabled = true;
            }
        });
        catalog
    }

    /// Refuses names that mean no repository: of `dists`, or of any where none is named.
    ///
    /// # Errors
    /// [`CatalogError::UnknownRepository`], which lists those that there are.
    pub fn check_repositories<'p>(
        &self,
        mut patterns: impl Iterator<Item = &'p str>,
        dists: &[&str],
    ) -> Result<(), CatalogError> {
        let asked =
            |dist: &&crate::model::Dist| dists.is_empty() || dists.contains(&dist.name.as_str());
        let all: Vec<(&str, &str)> = self
            .dists()
            .filter(asked)
            .flat_map(|dist| {
                dist.repositories.iter().map(|it| (dist.name.as_str(), it.id.as_str()))
            })
            .collect();
        let unknown = patterns
            .find(|pattern| !all.iter().any(|(dist, id)| means_repository(pattern, dist, id)));
        let Some(name) = unknown else { return Ok(()) };
        let mut known: Vec<String> = all.iter().map(|(_, id)| (*id).to_owned()).collect();
        known.sort();
        known.dedup();
        let dists = dists.iter().map(|dist| (*dist).to_owned()).collect();
        Err(CatalogError::UnknownRepository { name: name.to_owned(), dists, known })
    }

    /// Takes names and passwords out of the URLs of all repositories, and keeps them apart.
    pub(super) fn take_logins(&mut self) {
        let mut logins = Vec::new();
        self.each(|_, repository| {
            let keys = repository.keys.iter_mut();
            let of_keys =
                keys.flat_map(|key| std::iter::once(&mut key.url).chain(&mut key.alternates));
            let lists = repository.metalink.iter_mut().chain(&mut repository.mirrorlist);
            for url in lists.chain(&mut repository.base).chain(of_keys) {
                let whole = url.clone();
                if strip_userinfo(url) && !logins.contains(&whole) {
                    logins.push(whole);
                }
            }
        });
        let dists = self.dists.values_mut();
        for builds in dists.flat_map(|dist| &mut dist.builds) {
            let whole = builds.base.clone();
            if strip_userinfo(&mut builds.base) && !logins.contains(&whole) {
                logins.push(whole);
            }
        }
        self.logins = logins;
    }

    fn each(&mut self, mut work: impl FnMut(&str, &mut Repository)) {
        for dist in self.dists.values_mut() {
            for repository in &mut dist.repositories {
                work(&dist.name, repository);
            }
        }
    }
}
