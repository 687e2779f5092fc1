//! A file that says what is to be published: which versions, of which dists, for which architectures, and what
//! stays. `docs/cvmfs.md` describes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::changes::{Current, Keeping};
use super::configure::{Override, place};
use super::cvmfs::CvmfsWish;
use super::edition::Edition;
use super::goal::Goal;
use super::lock::SyncLock;
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{
    Arch, Dist, Evr, Plan, RelPath, Request, RuntimeRequest, TomlProblem, UserTrust, escape,
    is_like, read_toml,
};
use crate::planning;

/// Most bytes of a file that is set below `etc/`.
const LIMIT: u64 = 16 << 20;

/// All that is wished for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wishlist {
    /// The directory below which the bases are: an absolute path, or one that begins where the file is.
    pub(crate) directory: PathBuf,
    /// The repository of CernVM-FS that the directory is in, where it is in one.
    pub(crate) cvmfs: Option<CvmfsWish>,
    /// What is published.
    #[serde(rename = "runtime", default)]
    runtimes: Vec<RuntimeWish>,
    /// Programs that are run before and after something is published.
    #[serde(default)]
    pub(crate) hooks: Hooks,
}

/// Programs with their arguments. No shell reads them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Hooks {
    /// Before anything is written; where one fails, nothing is.
    pub(crate) before: Vec<Vec<String>>,
    /// After all is published.
    pub(crate) after: Vec<Vec<String>>,
}

/// One runtime, which has a base.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuntimeWish {
    /// Its name.
    name: String,
    /// Versions, or patterns of versions.
    #[serde(default = "any")]
    versions: Vec<String>,
    /// So many of the newest of each pattern.
    #[serde(default = "one")]
    newest: usize,
    /// The dists.
    dists: Vec<String>,
    /// The architectures.
    arches: Vec<Arch>,
    /// As `--container-dist`.
    container_dist: Option<String>,
    /// The base, from the list's directory on; the runtime's name, where it is not said.
    base: Option<String>,
    /// `newest`, a pattern of versions, or `none` to leave the link as it is.
    #[serde(default = "newest")]
    current: String,
    /// What stays of what is not wished for any more.
    #[serde(default)]
    keep: Keeping,
    /// What is set below `etc/`.
    #[serde(default)]
    etc: BTreeMap<String, FileWish>,
}

/// What is wished for one file below `etc/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWish {
    /// The file that it is to be.
    file: Option<PathBuf>,
    /// Values that are set in it.
    #[serde(default)]
    set: BTreeMap<String, toml::Value>,
}

fn any() -> Vec<String> {
    vec!["*".to_owned()]
}

fn one() -> usize {
    1
}

fn newest() -> String {
    "newest".to_owned()
}

/// With what plans are made.
#[derive(Clone, Copy)]
pub(crate) struct Planning<'a> {
    /// What every stage is given.
    pub(crate) context: Context<'a>,
    /// The keys.
    pub(crate) keys: &'a Keys<'a>,
    /// Whom the user trusts besides.
    pub(crate) trust: &'a UserTrust,
    /// The plans, where they are made already.
    pub(crate) locked: Option<&'a SyncLock>,
}

impl Wishlist {
    /// That in the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or says what makes no sense.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path)
            .map_err(|source| Error::File { path: path.to_owned(), source })?;
        let shown = escape(&path.to_string_lossy()).into_owned();
        let mut list: Self = read_toml(&text).map_err(|TomlProblem { line, message }| {
            Error::Usage(format!("{shown}, line {line}: {}", escape(&message)))
        })?;
        let directory = path.parent().unwrap_or(path);
        list.directory = directory.join(&list.directory);
        for wish in list.runtimes.iter_mut().flat_map(|runtime| runtime.etc.values_mut()) {
            wish.file = wish.file.take().map(|file| directory.join(file));
        }
        list.check().map_err(|problem| Error::Usage(format!("{shown}: {problem}")))?;
        Ok(list)
    }

    fn check(&self) -> Result<(), String> {
        let mut bases = BTreeSet::new();
        if self.runtimes.is_empty() {
            return Err("no [[runtime]] is wished for".to_owned());
        }
        for wish in &self.runtimes {
            let (name, base) = (escape(&wish.name), wish.base());
            let is_plain = |part| matches!(part, Component::Normal(_));
            if base.is_empty() || !Path::new(base).components().all(is_plain) {
                return Err(format!("{name}: base must be a path below the directory"));
            }
            if !bases.insert(base) {
                return Err(format!("two runtimes have the base {}", escape(base)));
            }
            for (field, is_missing) in [
                ("dists", wish.dists.is_empty()),
                ("arches", wish.arches.is_empty()),
                ("versions", wish.versions.is_empty()),
            ] {
                if is_missing {
                    return Err(format!("{name}: {field} names none"));
                }
            }
            if wish.newest == 0 {
                return Err(format!("{name}: newest = 0 wishes for nothing"));
            }
            let is_vague = |wish: &FileWish| wish.file.is_some() != wish.set.is_empty();
            if let Some((path, _)) = wish.etc.iter().find(|(_, wish)| is_vague(wish)) {
                return Err(format!("{name}: etc.{:?} needs either file or set", escape(path)));
            }
        }
        let mut hooks = self.hooks.before.iter().chain(&self.hooks.after);
        match hooks.any(|hook| hook.first().is_none_or(String::is_empty)) {
            true => Err("hooks: each is a list of a program and its arguments".to_owned()),
            false => Ok(()),
        }
    }

    /// The names of its runtimes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.runtimes.iter().map(|wish| wish.name.as_str())
    }

    /// What is wanted of each base.
    ///
    /// # Errors
    /// When something cannot be planned, or a file that is to be set cannot be read.
    pub(crate) fn goals(&self, planning: Planning<'_>) -> Result<Vec<Goal>, Error> {
        let goal = |wish: &RuntimeWish| {
            let configuration = wish.configuration()?;
            let mut editions: Vec<Edition> = Vec::new();
            for plan in wish.plans(planning)? {
                let edition = Edition::new(plan, None, configuration.clone(), true)?;
                if editions.iter().all(|other| other.version != edition.version) {
                    editions.push(edition);
                }
            }
            editions.sort_by_key(|edition| Evr::parse(&edition.version));
            Ok(Goal {
                name: wish.base().to_owned(),
                root: self.directory.join(wish.base()),
                current: wish.counts(&editions)?,
                keeping: wish.keep,
                editions,
            })
        };
        self.runtimes.iter().map(goal).collect()
    }
}

impl RuntimeWish {
    fn base(&self) -> &str {
        self.base.as_deref().unwrap_or(&self.name)
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

    /// The plans of its versions.
    fn plans(&self, planning: Planning<'_>) -> Result<Vec<Plan>, Error> {
        let Planning { context, keys, trust, locked } = planning;
        if let Some(lock) = locked {
            let its = lock.versions.iter().filter(|version| version.base == self.base());
            let held = its.map(|version| {
                keys.know_copies(&version.plan.certificates);
                planning::held(context, keys, &version.plan)
            });
            let plans = held.collect::<Result<Vec<_>, _>>()?;
            return match plans.is_empty() {
                false => Ok(plans),
                true => Err(Error::Usage(format!(
                    "the lock file has nothing for {}: run without --locked once",
                    escape(self.base())
                ))),
            };
        }
        let dists = self.dists.iter().map(|name| context.catalog.dist(name));
        let dists = dists.collect::<Result<Vec<&Dist>, _>>()?;
        let versions = self.wanted_versions(context, keys, &dists)?;
        let plan = |version: &String| {
            let version = Some(version.clone());
            let runtime = RuntimeRequest { name: self.name.clone(), version, package: None };
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
            planning::plan_each(context, keys, &request, &dists)
        };
        versions.iter().map(plan).collect()
    }

    /// The versions that are wished for: those that are named, and of each pattern the newest that every dist has
    /// for every architecture.
    fn wanted_versions(
        &self,
        context: Context<'_>,
        keys: &Keys<'_>,
        dists: &[&Dist],
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
                return Err(Error::Usage(format!(
                    "no version of {} is like {} in all of {} for all of {}: see elsewhere list --all-versions",
                    escape(&self.name),
                    escape(pattern),
                    escape(&self.dists.join(", ")),
                    self.arches.iter().map(|arch| arch.as_str()).collect::<Vec<_>>().join(", ")
                )));
            }
            if found.len() < self.newest {
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

    /// Which of `editions`, the oldest first, is to count.
    fn counts(&self, editions: &[Edition]) -> Result<Current, Error> {
        let position = match self.current.as_str() {
            "none" => return Ok(Current::AsItIs),
            "newest" => editions.len().checked_sub(1),
            pattern => editions.iter().rposition(|edition| is_like(pattern, &edition.version)),
        };
        let has = editions.iter().map(|edition| edition.version.as_str());
        position.map(Current::Edition).ok_or_else(|| {
            Error::Usage(format!(
                "{}: current = {:?} is none of the versions that are wished for: {}",
                escape(&self.name),
                escape(&self.current),
                escape(&has.collect::<Vec<_>>().join(", "))
            ))
        })
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
