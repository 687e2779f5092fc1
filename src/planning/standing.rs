//! What became of what a lock file names: what is newer, what its mirrors have no more, and which of the keys
//! that signed it are no good any more. Only looked at: the lock file says what is installed, all the same.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::thread;

use serde::Serialize;

use super::load::load;
use super::locked::held;
use crate::context::Context;
use crate::error::Error;
use crate::fetch::{FetchError, Reason, Stream, Whence, package_places};
use crate::host::date;
use crate::metadata::Keys;
use crate::model::{
    Arch, Dist, EvrRef, Fingerprint, Index, Plan, PlannedPackage, Runtime, TreePlan,
};
use crate::resolve::{self, Part, Target, Wanted};
use crate::tools::threads;
use crate::trust::{self, KeyEnd, Policy, TrustError};

/// How many places are asked at the same time.
const AT_ONCE: usize = 6;

/// What became of a tree, or of the one within it.
#[derive(Debug, Serialize)]
pub(crate) struct TreeStanding {
    /// The architecture.
    pub arch: Arch,
    /// The dist.
    pub dist: String,
    /// How many packages it has.
    pub packages: usize,
    /// The packages that there are newer versions of.
    pub newer: Vec<NewerPackage>,
    /// The packages that no mirror has any more.
    pub gone: Vec<GonePackage>,
    /// The keys that signed packages of it, and would sign none now.
    pub keys: Vec<EndedKey>,
}

/// A package that there is a newer version of.
#[derive(Debug, Serialize)]
pub(crate) struct NewerPackage {
    /// Its name.
    pub package: String,
    /// The version that is locked.
    pub from: String,
    /// The newest one.
    pub to: String,
}

/// A package that no mirror has any more.
#[derive(Debug, Serialize)]
pub(crate) struct GonePackage {
    /// Its full name.
    pub package: String,
    /// What its places say.
    pub reason: String,
}

/// A key that signs nothing more.
#[derive(Debug, Serialize)]
pub(crate) struct EndedKey {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// `revoked` or `expired`.
    pub state: &'static str,
    /// The day on which it expired.
    pub since: Option<String>,
    /// What it signed.
    pub packages: Vec<String>,
}

/// What became of what `plan` names, of each tree and the one within it.
///
/// # Errors
/// When the lock file may not be installed from either, or the repositories cannot be read.
pub(crate) fn standing(
    context: Context<'_>,
    keys: &Keys<'_>,
    plan: &Plan,
) -> Result<Vec<TreeStanding>, Error> {
    keys.know_copies(&plan.certificates);
    let plan = held(context, keys, plan)?;
    let parts = plan.trees.iter().flat_map(|tree| tree.parts().enumerate());
    parts.map(|(depth, part)| of_part(context, keys, part, depth > 0)).collect()
}

fn of_part(
    context: Context<'_>,
    keys: &Keys<'_>,
    part: &TreePlan,
    is_inside: bool,
) -> Result<TreeStanding, Error> {
    let TreePlan { dist, disabled_repositories, enabled_repositories, .. } = part;
    let names = part.runtimes.iter().map(|it| it.name.as_str());
    let catalog = context.catalog.reading_for(names);
    let catalog = catalog.remembering(dist, disabled_repositories, enabled_repositories);
    let context = Context { catalog: &catalog, ..context };
    let dist = context.catalog.dist(dist)?;
    part.sources.iter().for_each(|source| keys.ensure(&source.keys));
    let asking = Asking { context, keys, part };
    let (arch, packages) = (part.arch, part.packages.len());
    let ended = asking.ended_keys()?;
    let (newer, gone) = match load(context, keys, dist, arch, None) {
        Ok(loaded) => {
            let index = loaded.index;
            (newer(context, dist, part, is_inside, &index)?, asking.gone(&index)?)
        }
        // Such a key may have signed the lists of packages, too.
        Err(error) if !ended.is_empty() && !error.is_cancelled() => {
            context.reporter.warning(format!("nothing is known of newer packages: {error}"));
            (Vec::new(), Vec::new())
        }
        Err(error) => return Err(error),
    };
    Ok(TreeStanding { arch, dist: dist.name.clone(), packages, newer, gone, keys: ended })
}

/// The packages of `part` of which `index` has newer ones that could take their place.
fn newer(
    context: Context<'_>,
    dist: &Dist,
    part: &TreePlan,
    is_inside: bool,
    index: &Index,
) -> Result<Vec<NewerPackage>, Error> {
    let named = part.runtimes.iter().map(|it| context.catalog.runtime(&it.name));
    let runtimes = named.collect::<Result<Vec<&Runtime>, _>>()?;
    let version = |position: usize| part.runtimes.get(position).map_or("", |it| &*it.version);
    let wanted = runtimes.iter().enumerate().map(|(position, runtime)| Wanted {
        runtime,
        version: None,
        local: false,
        part: if is_inside { Part::InContainers(version(position)) } else { Part::Whole },
    });
    let wanted: Vec<Wanted<'_>> = wanted.collect();
    let host = context.catalog.host_gives(&runtimes);
    let (arch, sources) = (part.arch, part.sources.clone());
    let target = Target { arch, dist, runtimes: &wanted, host: &host, sources };
    let mut newest: BTreeMap<(&str, &str), EvrRef<'_>> = BTreeMap::new();
    for package in resolve::eligible(index, &target)? {
        let name = (index.text(package.name), index.text(package.arch));
        let evr = index.evr(package);
        let known = newest.entry(name).or_insert(evr);
        *known = (*known).max(evr);
    }
    let newer = |package: &PlannedPackage| {
        let nevra = &package.nevra;
        let newest = newest.get(&(&*nevra.name, &*nevra.arch));
        let to = newest.filter(|newest| **newest > nevra.evr.borrowed())?;
        let (from, to) = (nevra.evr.to_string(), to.to_string());
        Some(NewerPackage { package: nevra.name.clone(), from, to })
    };
    Ok(part.packages.iter().filter_map(newer).collect())
}

/// Questions about single packages of a part.
struct Asking<'a> {
    context: Context<'a>,
    keys: &'a Keys<'a>,
    part: &'a TreePlan,
}

impl Asking<'_> {
    fn places(&self, package: &PlannedPackage) -> Vec<String> {
        package_places(self.part.source(&package.source), package)
    }

    /// The packages that neither the lists of packages nor their places have any more.
    fn gone(&self, index: &Index) -> Result<Vec<GonePackage>, Error> {
        let is_listed = |wanted: &&PlannedPackage| {
            index.packages.iter().any(|package| package.checksum == wanted.checksum)
        };
        let unlisted: Vec<&PlannedPackage> =
            self.part.packages.iter().filter(|package| !is_listed(package)).collect();
        let found = threads::each(AT_ONCE, &unlisted, |package| self.look(package))?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Whether a package is gone: no place has a file of its size.
    fn look(&self, package: &PlannedPackage) -> Result<Option<GonePackage>, FetchError> {
        let mut reasons = Vec::new();
        for url in self.places(package) {
            match self.context.fetcher.size_of(&url) {
                Ok(Some(size)) if package.size != 0 && size != package.size => {
                    reasons.push(format!("{url}: has {size} bytes instead of {}", package.size));
                }
                Ok(_) => return Ok(None),
                Err(FetchError::Unavailable(tried))
                    if !tried.iter().any(|it| matches!(it.reason, Reason::Offline)) =>
                {
                    reasons.extend(tried.iter().map(ToString::to_string));
                }
                Err(error) => return Err(error),
            }
        }
        let (package, reason) = (package.nevra.to_string(), reasons.join("; "));
        Ok(Some(GonePackage { package, reason }))
    }

    /// The keys that signed something and would sign nothing now. Packages are opened only where one of
    /// their keys is such a one.
    fn ended_keys(&self) -> Result<Vec<EndedKey>, Error> {
        let mut ended: BTreeMap<&Fingerprint, KeyEnd> = BTreeMap::new();
        let pins = self.part.sources.iter().flat_map(|source| &source.keys);
        for print in pins.map(|pin| &pin.fingerprint) {
            let end = self.keys.with_keyring(|keyring| keyring.end_of(print));
            ended.extend(end.map(|end| (print, end)));
        }
        let may_be_its = |package: &&PlannedPackage| {
            let keys = self.part.source(&package.source).map_or(&[][..], |source| &source.keys);
            keys.iter().any(|key| ended.contains_key(&key.fingerprint))
        };
        let doubtful: Vec<&PlannedPackage> = self.part.packages.iter().filter(may_be_its).collect();
        let signers = threads::each(AT_ONCE, &doubtful, |it| Ok::<_, Error>(self.signer(it)))?;
        let mut keys: Vec<EndedKey> = Vec::new();
        for (fingerprint, end) in ended {
            let is_its = |signer: &Option<Fingerprint>| signer.as_ref() == Some(fingerprint);
            let its = doubtful.iter().zip(&signers).filter(|(_, signer)| is_its(signer));
            let packages: Vec<String> = its.map(|(package, _)| package.nevra.to_string()).collect();
            if !packages.is_empty() {
                let (state, since) = match end {
                    KeyEnd::Revoked => ("revoked", None),
                    KeyEnd::Expired(time) => ("expired", Some(date(time))),
                };
                keys.push(EndedKey { fingerprint: fingerprint.clone(), state, since, packages });
            }
        }
        Ok(keys)
    }

    /// Who signed a package, whether that counts or not; of one that is gone nobody knows. Of the file only its
    /// beginning is read.
    fn signer(&self, package: &PlannedPackage) -> Option<Fingerprint> {
        let (stream, urls) = (Stream::default(), self.places(package));
        let pins = self.part.source(&package.source).map_or(&[][..], |source| &source.keys);
        let allowed = self.keys.allowed((&self.part.dist, &package.source), pins);
        let feed = || {
            let (checksum, size) = (&package.checksum, package.size);
            self.context.fetcher.feed(Whence::only(&urls), checksum, size, None, &stream)
        };
        let opened = thread::scope(|scope| {
            threads::spawn(scope, feed);
            let reader = BufReader::new(stream.reader());
            let opened = self.keys.with_keyring(|keyring| {
                let policy = Policy { keyring, allowed: &allowed, allow_unsigned: false };
                trust::open(reader, package, &policy)
                    .map(|opened| opened.header().signed_by.clone())
            });
            stream.abandon();
            opened
        });
        match opened {
            Ok(signed_by) => signed_by.map(|by| by.fingerprint),
            Err(TrustError::Package { source, .. }) => source.made_by().cloned(),
            Err(_) => None,
        }
    }
}
