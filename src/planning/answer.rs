//! What was resolved once is not resolved again: resolving is pure, so the same question about the
//! same repositories has the same answer. A run that finds it in the cache reads no package lists.
//!
//! Of what is kept only the choice of packages counts. Where packages come from, and whose
//! signatures they must have, is this run's.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::Error;
use crate::metadata::Loaded;
use crate::model::{Arch, Checksum, Dist, HostGives, Runtime, RuntimeRequest, Source, TreePlan};

/// The place of an answer in the cache: a digest of all that is asked.
pub(super) struct AnswerKey(Checksum);

/// All that resolving depends on, but the repositories' contents.
#[derive(Serialize)]
struct Question<'a> {
    elsewhere: &'static str,
    arch: Arch,
    dist: &'a Dist,
    inside: &'a [&'a Dist],
    runtimes: Vec<(&'a Runtime, Option<&'a str>)>,
    host: HostGives,
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct Known {
    /// Digests of what was read, for each dist.
    pub(super) contents: Vec<Vec<Checksum>>,
    tree: TreePlan,
}

impl AnswerKey {
    /// The answer to a request for `dist`, and for the dists `inside` to be tried for what is bound into
    /// containers. None for one that names a package by path or URL, which may change.
    ///
    /// # Errors
    /// When a runtime is unknown.
    pub(super) fn to(
        context: Context<'_>,
        runtimes: &[RuntimeRequest],
        dist: &Dist,
        inside: &[&Dist],
        arch: Arch,
    ) -> Result<Option<Self>, Error> {
        if runtimes.iter().any(|runtime| runtime.package.is_some()) {
            return Ok(None);
        }
        let mut definitions = Vec::new();
        for runtime in runtimes {
            let definition = context.catalog.runtime(&runtime.name)?;
            definitions.push((definition, runtime.version.as_deref()));
        }
        let all: Vec<&Runtime> = definitions.iter().map(|(definition, _)| *definition).collect();
        let question = Question {
            elsewhere: env!("CARGO_PKG_VERSION"),
            arch,
            dist,
            inside,
            host: context.catalog.host_gives(&all),
            runtimes: definitions,
        };
        let text = serde_json::to_vec(&question).ok();
        Ok(text.map(|text| Self(Checksum::of(&text))))
    }

    /// The answer that the last run found.
    pub(super) fn recall(&self, context: Context<'_>) -> Option<Known> {
        serde_json::from_slice(&context.fetcher.kept(&self.0)?).ok()
    }

    /// Keeps the answer for later runs.
    pub(super) fn remember(
        &self,
        context: Context<'_>,
        contents: Vec<Vec<Checksum>>,
        tree: &TreePlan,
    ) {
        let known = Known { contents, tree: tree.clone() };
        if let Ok(bytes) = serde_json::to_vec(&known) {
            context.fetcher.keep(&self.0, &bytes);
        }
    }
}

impl Known {
    /// The plan, with the places where the repositories are now, and their keys. `first` is the dist of
    /// what is bound into containers.
    pub(super) fn with_sources(self, loaded: Loaded, first: Option<Loaded>) -> TreePlan {
        let mut tree = self.tree;
        tree.sources = used(loaded.sources, &tree);
        if let (Some(inner), Some(first)) = (&mut tree.container, first) {
            inner.sources = used(first.sources, inner);
        }
        tree
    }
}

/// Those of `sources` that packages of `tree` come from.
fn used(mut sources: Vec<Source>, tree: &TreePlan) -> Vec<Source> {
    sources.retain(|source| tree.packages.iter().any(|package| package.source == source.id));
    sources
}
