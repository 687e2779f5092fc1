//! From what is wished for to plans: of every version that can be had. What cannot be had keeps nothing else from being
//! published, and nothing is dropped for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::changes::{Current, Keeping};
use super::configure::{Override, place};
use super::edition::Edition;
use super::goal::Goal;
use super::lock::SyncLock;
use super::wishlist::{RuntimeWish, Wishlist};
use crate::context::Context;
use crate::error::{Error, Failure};
use crate::metadata::Keys;
use crate::model::{Dist, Evr, Plan, RelPath, Request, RuntimeRequest, UserTrust, escape, is_like};
use crate::planning;

/// Most bytes of a file that is set below `etc/`.
const LIMIT: u64 = 16 << 20;

/// With what plans are made.
#[derive(Clone, Copy)]
pub(crate) struct Planning<'a> {
    /// What every stage is given.
    pub(crate) context: Context<'a>,
    /// The keys.
    pub(crate) keys: &'a Keys<'a>,
    /// Whom the user trusts besides.
    pub(crate) trust: &'a UserTrust,
    /// The plans of a run before.
    pub(crate) earlier: Option<&'a SyncLock>,
    /// Whether nothing but these count.
    pub(crate) is_locked: bool,
}

/// What could be planned of one runtime's versions.
#[derive(Default)]
struct Planned {
    plans: Vec<Plan>,
    /// Versions that could not be.
    missing: Vec<String>,
    failures: Vec<Failure>,
}

impl Wishlist {
    /// What is wanted of each base, and what of it cannot be had.
    ///
    /// # Errors
    /// When the list is wrong, or the user stopped the run.
    pub(crate) fn goals(&self, planning: Planning<'_>) -> Result<(Vec<Goal>, Vec<Failure>), Error> {
        for name in self.runtimes.iter().flat_map(|wish| &wish.dists) {
            planning.context.catalog.dist(name)?;
        }
        let (mut goals, mut failures) = (Vec::new(), Vec::new());
        for wish in &self.runtimes {
            let configuration = wish.configuration()?;
            match wish.goal(planning, &configuration) {
                Ok((goal, its)) => {
                    goals.extend(goal);
                    failures.extend(its);
                }
                Err(error) => failures.push(Failure::of(wish.base(), error)?),
            }
        }
        Ok((goals, failures))
    }
}

impl Planning<'_> {
    /// The plan that a run before had of this version, if it is still allowed.
    fn known(&self, base: &str, version: &str) -> Option<Result<Plan, Error>> {
        let plan = self.earlier?.plan(base, version)?;
        self.keys.know_copies(&plan.certificates);
        Some(planning::held(self.context, self.keys, plan))
    }

    /// `plan`, or what a run before made of the same packages: so that all that is made of them is the same.
    fn settled(&self, base: &str, plan: Plan) -> Plan {
        let known = self.earlier.and_then(|earlier| earlier.same(base, &plan));
        let held = known.map(|known| {
            self.keys.know_copies(&known.certificates);
            planning::held(self.context, self.keys, known)
        });
        match held {
            Some(Ok(held)) => held,
            _ => plan,
        }
    }
}

impl RuntimeWish {
    /// What is wanted of its base, where anything of it can be had, and what cannot.
    fn goal(
        &self,
        planning: Planning<'_>,
        configuration: &BTreeMap<RelPath, Override>,
    ) -> Result<(Option<Goal>, Vec<Failure>), Error> {
        let Planned { plans, missing, failures } = match planning.is_locked {
            true => self.locked(planning)?,
            false => self.planned(planning)?,
        };
        let mut editions: Vec<Edition> = Vec::new();
        for plan in plans {
            let edition = Edition::new(plan, None, configuration.clone(), true)?;
            if editions.iter().all(|other| other.version != edition.version) {
                editions.push(edition);
            }
        }
        if editions.is_empty() {
            return Ok((None, failures));
        }
        editions.sort_by_key(|edition| Evr::parse(&edition.version));
        let goal = Goal {
            name: self.base().to_owned(),
            current: self.counts(&editions, &missing)?,
            // What cannot be had now is wished for all the same.
            keeping: if failures.is_empty() { self.keep } else { Keeping::default() },
            is_whole: failures.is_empty(),
            editions,
        };
        Ok((Some(goal), failures))
    }

    /// What is set below `etc/`.
    fn configuration(&self) -> Result<BTreeMap<RelPath, Override>, Error> {
        let mut all = BTreeMap::new();
        for (path, wish) in &self.etc {
            let wanted = match &wish.file {
                Some(file) => Override::File(read(file)?),
                None => {
                    let text = |value: &toml::Value| match value {
                        toml::Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    let values = wish.set.iter().map(|(key, value)| (key.clone(), text(value)));
                    Override::Set(values.collect())
                }
            };
            if let Override::Set(values) = &wanted
                && values.iter().flat_map(|(key, value)| [key, value]).any(|it| it.contains('\n'))
            {
                return Err(Error::Usage(format!(
                    "etc.{}: a key and its value stand on one line",
                    escape(path)
                )));
            }
            all.insert(place(path)?, wanted);
        }
        Ok(all)
    }

    /// The plans that the lock file has.
    fn locked(&self, planning: Planning<'_>) -> Result<Planned, Error> {
        let versions = planning.earlier.map(|lock| lock.versions_of(self.base()));
        let mut planned = Planned::default();
        for version in versions.unwrap_or_default() {
            match planning.known(self.base(), version) {
                Some(Ok(plan)) => planned.plans.push(plan),
                Some(Err(error)) => {
                    planned.miss((&format!("{} {version}", self.name), version), error)?;
                }
                None => {}
            }
        }
        match planned.plans.is_empty() && planned.failures.is_empty() {
            false => Ok(planned),
            true => Err(Error::Usage(format!(
                "the lock file has nothing for {}: run without --locked once",
                escape(self.base())
            ))),
        }
    }

    /// The plans of its versions, by what repositories and archives have.
    fn planned(&self, planning: Planning<'_>) -> Result<Planned, Error> {
        let Planning { context, keys, trust, .. } = planning;
        let dists = self.dists.iter().map(|name| context.catalog.dist(name));
        let dists = dists.collect::<Result<Vec<&Dist>, _>>()?;
        let mut planned = Planned::default();
        for version in self.wanted_versions(context, keys, &dists, &mut planned.failures)? {
            let runtime = RuntimeRequest {
                name: self.name.clone(),
                version: Some(version.clone()),
                package: None,
            };
            let mut arches = self.arches.clone();
            arches.sort_unstable();
            arches.dedup();
            let request = Request {
                runtimes: vec![runtime],
                dist: None,
                container_dist: self.container_dist.clone(),
                arches,
                trust: trust.clone(),
            };
            match planning::plan_each(context, keys, &request, &dists) {
                Ok(plan) => planned.plans.push(planning.settled(self.base(), plan)),
                // A run before knew it.
                Err(Error::Resolve(error)) => match planning.known(self.base(), &version) {
                    Some(Ok(plan)) => {
                        context.reporter.note(format!(
                            "{} {} is in no repository any more: it is what the lock file says",
                            escape(&self.name),
                            escape(&version)
                        ));
                        planned.plans.push(plan);
                    }
                    _ => {
                        let is_nowhere = error.unknown_version().is_some();
                        let nor =
                            if is_nowhere { ", for which archives were asked too" } else { "" };
                        let what = format!("{} {version}{nor}", self.name);
                        planned.miss((&what, &version), Error::Resolve(error))?;
                    }
                },
                Err(error) => {
                    planned.miss((&format!("{} {version}", self.name), &version), error)?;
                }
            }
        }
        Ok(planned)
    }

    /// The versions that are wished for: those that are named, and of each pattern the newest that every dist has
    /// for every architecture. Patterns of which there is none are `failures`.
    fn wanted_versions(
        &self,
        context: Context<'_>,
        keys: &Keys<'_>,
        dists: &[&Dist],
        failures: &mut Vec<Failure>,
    ) -> Result<Vec<String>, Error> {
        let is_pattern = |text: &&String| text.contains(['*', '?', '[']);
        let mut wanted: Vec<String> =
            self.versions.iter().filter(|text| !is_pattern(text)).cloned().collect();
        let patterns: Vec<&String> = self.versions.iter().filter(is_pattern).collect();
        if patterns.is_empty() {
            return Ok(wanted);
        }
        let here = self.everywhere(context, keys, dists, false)?;
        let mut archived: Option<Vec<String>> = None;
        for pattern in patterns {
            let fitting = |versions: &[String]| -> Vec<String> {
                let fitting = versions.iter().filter(|version| is_like(pattern, version));
                fitting.take(self.newest).cloned().collect()
            };
            let mut found = fitting(&here);
            if found.len() < self.newest {
                if archived.is_none() {
                    archived = Some(self.everywhere(context, keys, dists, true)?);
                }
                found = fitting(archived.as_deref().unwrap_or_default());
            }
            if found.is_empty() {
                let error = Error::Usage(format!(
                    "no version of {} is like {} in all of {} for all of {}: see elsewhere list --all-versions",
                    escape(&self.name),
                    escape(pattern),
                    escape(&self.dists.join(", ")),
                    self.arches.iter().map(|arch| arch.as_str()).collect::<Vec<_>>().join(", ")
                ));
                failures.push(Failure::of(&format!("{} {pattern}", self.name), error)?);
            } else if found.len() < self.newest {
                context.reporter.detail(format!(
                    "of {} versions of {} that are like {}, there are {}",
                    self.newest,
                    self.name,
                    escape(pattern),
                    found.len()
                ));
            }
            wanted.extend(found);
        }
        Ok(wanted)
    }

    /// The versions that all `dists` have for all architectures, the newest first.
    fn everywhere(
        &self,
        context: Context<'_>,
        keys: &Keys<'_>,
        dists: &[&Dist],
        with_archives: bool,
    ) -> Result<Vec<String>, Error> {
        let mut common: Option<BTreeSet<String>> = None;
        for dist in dists {
            for arch in &self.arches {
                let offers = planning::offers(context, keys, dist, *arch, with_archives)?;
                let its = offers.into_iter().filter(|offer| offer.runtime == self.name);
                let has: BTreeSet<String> = its
                    .flat_map(|offer| {
                        let archived = offer.archived.into_iter().flat_map(|it| it.versions);
                        offer.versions.into_iter().chain(archived)
                    })
                    .collect();
                common = Some(common.map_or_else(|| has.clone(), |common| &common & &has));
            }
        }
        let mut versions: Vec<String> = common.unwrap_or_default().into_iter().collect();
        versions.sort_by_key(|version| std::cmp::Reverse(Evr::parse(version)));
        Ok(versions)
    }

    /// Which of `editions`, the oldest first, is to count; the link stays as it is where that would be one that is
    /// `missing`.
    fn counts(&self, editions: &[Edition], missing: &[String]) -> Result<Current, Error> {
        let planned = editions.iter().map(|edition| edition.version.as_str()).enumerate();
        let planned = planned.map(|(position, version)| (version, Some(position)));
        let missing = missing.iter().map(|version| (version.as_str(), None));
        let mut all: Vec<(&str, Option<usize>)> = planned.chain(missing).collect();
        all.sort_by_key(|(version, _)| Evr::parse(version));
        let wanted = match self.current.as_str() {
            "none" => return Ok(Current::AsItIs),
            "newest" => all.last(),
            pattern => all.iter().rfind(|(version, _)| is_like(pattern, version)),
        };
        match wanted {
            Some((_, position)) => Ok(position.map_or(Current::AsItIs, Current::Edition)),
            None => Err(Error::Usage(format!(
                "{}: current = {:?} is none of the versions that are wished for: {}",
                escape(&self.name),
                escape(&self.current),
                escape(&all.iter().map(|(version, _)| *version).collect::<Vec<_>>().join(", "))
            ))),
        }
    }
}

impl Planned {
    /// Notes that this version cannot be had.
    ///
    /// # Errors
    /// When the user stopped the run.
    fn miss(&mut self, (what, version): (&str, &str), error: Error) -> Result<(), Error> {
        self.failures.push(Failure::of(what, error)?);
        self.missing.push(version.to_owned());
        Ok(())
    }
}

/// The bytes of a file that is to be set.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let error = |source| Error::File { path: path.to_owned(), source };
    if fs::metadata(path).map_err(error)?.len() > LIMIT {
        return Err(Error::Usage(format!("{} is too large", escape(&path.to_string_lossy()))));
    }
    fs::read(path).map_err(error)
}
