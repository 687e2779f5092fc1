//! What `mirror` and `bundle` share: the plan of what is to be carried, and proving what was.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::installation::Installation;
use super::options::{Output, Sources, WantedArgs};
use super::repositories;
use super::session::Session;
use crate::carry::{self, Carried, CarriedFinding};
use crate::context::Context;
use crate::error::Error;
use crate::host::Host;
use crate::metadata::Keys;
use crate::model::{Arch, Plan, Receipt, TreePlan, escape};
use crate::planning;
use crate::terminal::Terminal;
use crate::tools::files;

/// What is wanted, and where it is had.
#[derive(Clone, Copy)]
pub(super) struct Carrying<'a> {
    pub(super) wanted: &'a WantedArgs,
    pub(super) sources: &'a Sources,
    pub(super) host: &'a Host,
    pub(super) terminal: &'a Terminal,
}

impl Carrying<'_> {
    /// What `work` makes of the plan: of `locked`, or of one that is made of what is wanted.
    ///
    /// # Errors
    /// When there is no plan, or a policy forbids it; or that of `work`.
    pub(super) fn with_plan<T>(
        self,
        locked: Option<&Plan>,
        work: impl FnOnce(Context<'_>, &Keys<'_>, &Plan) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Self { wanted, sources, host, terminal } = self;
        let settings = sources.settings(host)?;
        let request = wanted.request(host, &settings, locked)?;
        sources.check_mirror(host, &settings.config)?;
        let session = Session::with(host, sources, settings, terminal)?.made_for(&wanted.hosts)?;
        let context = wanted.age.apply(session.context());
        let keys = session.keys_of(&request.trust)?;
        let plan = match locked {
            Some(plan) => {
                keys.know_copies(&plan.certificates);
                planning::held(context, &keys, plan)?
            }
            None => planning::plan_for(context, &keys, &request, &wanted.dists(context)?)?,
        };
        session.check_policy(&plan)?;
        if locked.is_none() {
            sources.repositories.check_for(context.catalog, repositories::dists(&plan))?;
        }
        work(context, &keys, &plan)
    }

    /// Proves all that was carried, with a cache that is empty: what other runs saw says nothing of it.
    ///
    /// # Errors
    /// When something is wrong with it, for which `hint` says what to do.
    pub(super) fn verify(
        self,
        carried: &Carried,
        output: &Output,
        hint: &str,
    ) -> Result<(), Error> {
        let Self { wanted, sources, host, terminal } = self;
        let scratch = files::unique(&host.temporary_dir(), "elsewhere-carried");
        let sources = sources.of_carried(carried, Some(scratch.clone()));
        let settings = sources.settings(host)?;
        let request_trust = wanted.trust(&settings)?;
        let session = Session::with(host, &sources, settings, terminal)?;
        let outcome = session
            .keys_of(&request_trust)
            .and_then(|keys| carry::inspect(session.context(), &keys, carried));
        let _ = files::remove_tree(&scratch);
        let findings = outcome?;
        if output.json {
            terminal.output_json(&json!({ "findings": findings }));
        } else {
            for CarriedFinding { path, problem, detail } in &findings {
                let detail = detail.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
                terminal.output(format_args!("{}: {problem}{}", escape(path), escape(&detail)));
            }
        }
        if findings.is_empty() {
            terminal.line("every file is what it should be");
            return Ok(());
        }
        let (path, count, hint) = (carried.path().to_owned(), findings.len(), hint.to_owned());
        Err(Error::Damaged { path, count, hint })
    }
}

/// The plan by which what is live in a prefix was made; of this only the trees for `arches`, where some are named.
///
/// # Errors
/// When nothing of it is there.
pub(super) fn installed(prefix: &Path, arches: &[Arch]) -> Result<Plan, Error> {
    let receipts = match Installation::at(prefix)? {
        Installation::Prefix(whole) => {
            whole.trees(None)?.into_iter().map(|(_, receipt)| receipt).collect()
        }
        Installation::Tree(tree) => vec![tree.receipt],
        Installation::Version(version) => {
            version.trees()?.into_iter().map(|(_, tree)| tree.receipt).collect()
        }
    };
    let mut trees: Vec<TreePlan> = receipts.iter().map(Receipt::plan).collect();
    trees.retain(|tree| arches.is_empty() || arches.contains(&tree.arch));
    trees.sort_by(|one, other| (one.arch, &one.dist).cmp(&(other.arch, &other.dist)));
    match trees.is_empty() {
        true => Err(Error::Usage(format!(
            "nothing of what is asked for is installed in {}",
            escape(&prefix.to_string_lossy())
        ))),
        false => Ok(Plan::of(trees)),
    }
}

/// Refuses `--mirror` where what `--from` names has everything.
///
/// # Errors
/// When it is there.
pub(super) fn no_mirror_beside(sources: &Sources) -> Result<(), Error> {
    match sources.mirror {
        None => Ok(()),
        Some(_) => Err(Error::Usage("--mirror: all is in what --from names".to_owned())),
    }
}

/// Says what a plan is for.
pub(super) fn tell_trees(plan: &Plan, terminal: &Terminal) {
    let trees = plan.trees.iter().map(|tree| format!("{} of {}", tree.arch, escape(&tree.dist)));
    terminal.line(format_args!("for {}", trees.collect::<Vec<_>>().join(", ")));
}

impl Sources {
    /// The same, but that everything is read from what was carried, and nothing asked of a network.
    pub(super) fn of_carried(&self, carried: &Carried, cache_dir: Option<PathBuf>) -> Self {
        let mirror = match carried {
            // A path, not a URL: whatever is in it means itself.
            Carried::Mirror(path) => Some(path.to_string_lossy().into_owned()),
            Carried::Bundle(_) | Carried::Artifact(_) => None,
        };
        let cache_dir = cache_dir.or_else(|| self.cache_dir.clone());
        Self { mirror, offline: true, cache_dir, carried: Some(carried.clone()), ..self.clone() }
    }
}
