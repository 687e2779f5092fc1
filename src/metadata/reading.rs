//! One repository: from the places that a dist names to an [`Index`], from the first mirror whose
//! metadata is believed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

use super::error::{Distrust, RepositoryError, TrustFailure, is_about_signatures, refused};
use super::memory::{Memory, Seen, duration};
use crate::decoding::Decoder;
use crate::fetch::{FetchError, Fetched, Fetcher, Proof, Proving, Refusal, join, places};
use crate::model::{Arch, Checksum, Index, Modules, Repository, Sighting, Source, escape};
use crate::repodata::metalink::{self, Metalink};
use crate::repodata::primary::Scope;
use crate::repodata::repomd::{self, Repomd, RepomdRecord};
use crate::repodata::{RepodataError, modules, primary};
use crate::report::Reporter;
use crate::tools::threads::{self, Task};

/// Most bytes of a metalink or mirror list.
pub(super) const LIST_LIMIT: u64 = 4 << 20;
/// Most bytes of `repomd.xml`.
pub(super) const REPOMD_LIMIT: u64 = 1 << 20;
/// Most bytes of its signature.
pub(super) const SIGNATURE_LIMIT: u64 = 64 << 10;
/// Packages that cannot be used and are told, each by itself.
const TOLD: usize = 100;
/// The table of contents of a repository, below its base URL.
pub(super) const REPOMD: &str = "repodata/repomd.xml";
/// Its signature.
pub(super) const SIGNATURE: &str = "repodata/repomd.xml.asc";
/// Names the metalink among [`Documents`].
pub(super) const METALINK: &str = "metalink";

/// Checks that `repomd.xml` (second argument) is signed (third: `repomd.xml.asc`) by a key of the
/// repository.
pub(crate) type Verify<'a> =
    dyn Fn(&Repository, &[u8], &[u8]) -> Result<(), TrustFailure> + Sync + 'a;

/// A repository whose table of contents is believed.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) source: Source,
    pub(super) repomd: Repomd,
}

impl Found {
    /// Digests of all that is read of it.
    pub(super) fn contents(&self) -> impl Iterator<Item = Checksum> {
        let records = [Some(&self.repomd.primary), self.repomd.modules.as_ref()];
        records.into_iter().flatten().map(|record| record.checksum.clone())
    }
}

/// What is being fetched before it is known to be needed.
struct Guess<'scope> {
    /// Of `repomd.xml`.
    url: String,
    repomd: Task<'scope, Option<Vec<u8>>>,
    /// Of its signature, where there must be one.
    signature: Option<Task<'scope, Option<Vec<u8>>>>,
}

/// What repositories are read with.
#[derive(Clone, Copy)]
pub struct Means<'a, 'r> {
    /// The way to the network and the cache.
    pub fetcher: &'a Fetcher<'r>,
    /// Whether a `repomd.xml` is signed by whom it should be.
    pub verify: &'a Verify<'a>,
    /// What is known of repositories beside what the cache notes: it is held against them.
    pub memory: Option<&'a Memory>,
    /// This program's own file, which is started again to decode.
    pub program: &'a Path,
    /// Where events go.
    pub reporter: &'a dyn Reporter,
}

/// Documents that were believed, as they came: the metalink, and what lies below the base URL, by its place.
pub(super) type Documents = Mutex<BTreeMap<&'static str, Vec<u8>>>;

/// One repository being read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a, 'r> {
    pub(super) means: Means<'a, 'r>,
    pub(super) dist: &'a str,
    pub(super) arch: Arch,
    pub(super) repository: &'a Repository,
    /// Whether it was said how metadata are decoded.
    pub(super) told: &'a Once,
    /// Where what was believed is kept, for whoever passes it on.
    pub(super) kept: Option<&'a Documents>,
}

impl Reading<'_, '_> {
    /// Finds the repository, and what is in it now.
    pub(super) fn find(&self) -> Result<Found, RepositoryError> {
        let _measuring = self.means.reporter.measure_on("find repository", &self.repository.id);
        let (mut bases, is_promised, (accepted, repomd)) = thread::scope(|scope| {
            let guess = self.guess(scope);
            let mut lists = Vec::new();
            let (bases, promise) = self.places(&mut lists)?;
            let accepted = self.repomd(&bases, &promise, guess).map_err(|error| match error {
                error if lists.is_empty() => error,
                error => RepositoryError::NoList { lists, source: Box::new(error) },
            })?;
            Ok::<_, RepositoryError>((bases, !promise.is_empty(), accepted))
        })?;
        bases.retain(|base| *base != accepted);
        bases.insert(0, accepted);
        let is_ours = |arches: &[Arch]| arches.is_empty() || arches.contains(&self.arch);
        let keys = self.repository.keys.iter().filter(|key| is_ours(&key.arches)).cloned();
        let metadata = Some(self.sighting(&repomd, is_promised));
        let id = self.repository.id.clone();
        let source = Source { id, base: bases, metadata, keys: keys.collect() };
        Ok(Found { source, repomd })
    }

    /// Reads what was found, the packages and the modules side by side.
    pub(super) fn read(&self, found: &Found) -> Result<Index, RepositoryError> {
        let _measuring = self.means.reporter.measure_on("read repository", &self.repository.id);
        let Found { source, repomd } = found;
        thread::scope(|scope| {
            let modules = threads::spawn(scope, || self.modules(&source.base, repomd));
            let mut index =
                Index { repositories: vec![self.repository.id.clone()], ..Index::default() };
            self.content(&source.base, &repomd.primary, |file| {
                let only = &self.repository.only;
                let may_fetch = |url: &str| !places(&source.base, url).is_empty();
                let scope = Scope { arch: self.arch, repository: 0, only, may_fetch: &may_fetch };
                primary::parse(&mut self.decoder(), file, &repomd.primary, &scope, &mut index)
            })?;
            for package in index.set_aside.iter().take(TOLD) {
                self.means.reporter.detail(package.describe(&index));
            }
            if let Some(more) = index.set_aside.len().checked_sub(TOLD).filter(|more| *more > 0) {
                let id = &self.repository.id;
                self.means.reporter.detail(format!("{id}: {more} more packages were set aside"));
            }
            index.modules = modules.join().unwrap_or(Err(RepositoryError::Broken))?;
            Ok(index)
        })
    }

    /// Every base URL that there is now, best first.
    pub(super) fn bases(&self) -> Vec<String> {
        self.places(&mut Vec::new()).map_or_else(|_| Vec::new(), |(bases, _)| bases)
    }

    /// Base URLs, best first, and the digests that a metalink promises for `repomd.xml`. Lists of mirrors
    /// that could not be had are added to `missing`.
    fn places(
        &self,
        missing: &mut Vec<String>,
    ) -> Result<(Vec<String>, Vec<Checksum>), RepositoryError> {
        let mut promise = Vec::new();
        let mut bases = Vec::new();
        if let Some(url) = &self.repository.metalink
            && let Some(link) = self.metalink(&self.expand(url), missing)?
        {
            bases = link.mirrors.iter().map(|mirror| self.means.fetcher.plain(mirror)).collect();
            promise = link.checksums;
            if self.means.fetcher.has_mirror() {
                self.means.fetcher.remember(&self.list_key(), "there is one")?;
            }
        }
        if let Some(url) = self.repository.mirrorlist.as_ref().filter(|_| bases.is_empty()) {
            bases = self.mirrorlist(&self.expand(url), missing)?;
        }
        for base in self.repository.bases(self.arch) {
            if !bases.contains(&base) {
                bases.push(base);
            }
        }
        Ok((bases, promise))
    }

    /// What will most likely be needed, asked for beside the list of mirrors: a mirror that stands for
    /// all hosts seldom has such lists. It saves a round trip.
    fn guess<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
    ) -> Option<Guess<'scope>> {
        let has_list = self.repository.metalink.is_some() || self.repository.mirrorlist.is_some();
        if !has_list
            || !self.means.fetcher.has_mirror()
            || self.means.fetcher.recall(&self.list_key()).is_some()
        {
            return None;
        }
        let url = join(&self.repository.bases(self.arch).next()?, REPOMD);
        let ask = |url: String, limit| {
            threads::spawn(scope, move || self.means.fetcher.first_try(&url, limit))
        };
        let repomd = ask(url.clone(), REPOMD_LIMIT);
        let is_signed = self.repository.signed_metadata;
        let signature = is_signed.then(|| ask(format!("{url}.asc"), SIGNATURE_LIMIT));
        Some(Guess { url, repomd, signature })
    }

    /// The metalink, if it can be had: without it, the dist's own URLs serve.
    fn metalink(
        &self,
        url: &str,
        missing: &mut Vec<String>,
    ) -> Result<Option<Metalink>, RepositoryError> {
        let parse = |_: &str, bytes: Vec<u8>| {
            let link = metalink::parse(&bytes).map_err(Refusal::from)?;
            self.keep(METALINK, &bytes);
            Ok(link)
        };
        let url = [url.to_owned()];
        match self.means.fetcher.document_from(&url, LIST_LIMIT, Proof::Server, parse) {
            Err(error @ FetchError::Unavailable(_)) if self.needs_metalink() => {
                Err(RepositoryError::LostAnchor(error))
            }
            link => self.unless_absent(link, missing),
        }
    }

    fn mirrorlist(
        &self,
        url: &str,
        missing: &mut Vec<String>,
    ) -> Result<Vec<String>, RepositoryError> {
        let list = self.unless_absent(self.means.fetcher.document(url, LIST_LIMIT), missing)?;
        let bases = list.map(|bytes| metalink::parse_mirrorlist(&bytes)).unwrap_or_default();
        // AlmaLinux's lists leave `$basearch` to the reader, as yum's configuration does.
        Ok(bases.iter().map(|base| self.means.fetcher.plain(&self.expand(base))).collect())
    }

    /// A list of mirrors that cannot be had is no error, and behind `--mirror` not even news.
    fn unless_absent<T>(
        &self,
        list: Result<T, FetchError>,
        missing: &mut Vec<String>,
    ) -> Result<Option<T>, RepositoryError> {
        match list {
            Ok(list) => Ok(Some(list)),
            Err(error @ FetchError::Unavailable(_)) => {
                missing.extend(error.attempts().iter().map(ToString::to_string));
                if !(self.means.fetcher.has_mirror() && error.is_not_found()) {
                    let id = &self.repository.id;
                    self.means.reporter.detail(format!("{id}: no list of mirrors: {error}"));
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The base URL whose `repomd.xml` is believed, and that.
    fn repomd(
        &self,
        bases: &[String],
        promise: &[Checksum],
        guess: Option<Guess<'_>>,
    ) -> Result<(String, Repomd), RepositoryError> {
        let urls: Vec<String> = bases.iter().map(|base| join(base, REPOMD)).collect();
        // What a list promises is looked for in the cache first.
        let guess = guess.filter(|guess| promise.is_empty() && urls.first() == Some(&guess.url));
        let (guessed, signature) = guess.map_or((None, None), |it| (Some(it.repomd), it.signature));
        // Without a promise a signature would do, but not against a server that shows old times.
        let proof = if promise.is_empty() { Proof::Server } else { Proof::Digest(promise) };
        let believed = thread::scope(|scope| {
            // The signature that will most likely be needed comes at the same time.
            let first =
                urls.first().filter(|_| self.repository.signed_metadata && guessed.is_none());
            let early = first.map(|url| (url, threads::spawn(scope, || self.signature(url))));
            let early = Mutex::new(early);
            let signature = Mutex::new(signature);
            let judge = |url: &str, bytes: Vec<u8>| {
                let signature = || {
                    let guessed = signature.lock().unwrap_or_else(PoisonError::into_inner).take();
                    let guessed = guessed.and_then(|thread| thread.join().ok().flatten());
                    if let Some(guessed) =
                        guessed.filter(|_| urls.first().is_some_and(|first| first == url))
                    {
                        return Ok(guessed);
                    }
                    let early = early.lock().unwrap_or_else(PoisonError::into_inner).take();
                    match early.filter(|(of, _)| *of == url).map(|(_, thread)| thread.join()) {
                        Some(Ok(signature)) => signature,
                        _ => self.signature(url),
                    }
                };
                let repomd = self.judge(url, &bytes, promise, signature)?;
                let base = url.strip_suffix(REPOMD).unwrap_or(url).to_owned();
                Ok((base, repomd))
            };
            if let Some(bytes) = guessed.and_then(|repomd| repomd.join().ok().flatten())
                && let Some(url) = urls.first()
                && let Ok(believed) = judge(url, bytes)
            {
                return Ok(believed);
            }
            self.means.fetcher.document_from(&urls, REPOMD_LIMIT, proof, judge)
        });
        believed.map_err(|error| match error {
            error if error.is_not_found() => RepositoryError::Missing(error),
            error if is_about_signatures(&error) => RepositoryError::Unsigned(error),
            error => RepositoryError::Fetch(error),
        })
    }

    /// Whether a `repomd.xml` is believed. Its digest was held against the promise.
    fn judge(
        &self,
        url: &str,
        bytes: &[u8],
        promise: &[Checksum],
        signature: impl FnOnce() -> Result<Vec<u8>, Refusal>,
    ) -> Result<Repomd, Refusal> {
        if self.repository.signed_metadata {
            let signature = signature()?;
            (self.means.verify)(self.repository, bytes, &signature).map_err(refused)?;
            self.keep(SIGNATURE, &signature);
        }
        let repomd = repomd::parse(bytes).map_err(Distrust::Content)?;
        let is_it = |current: &Checksum| Checksum::by(current.algorithm(), bytes) == *current;
        let is_current = promise.first().is_some_and(is_it);
        self.check_age(url, &repomd, is_current, !promise.is_empty())?;
        self.keep(REPOMD, bytes);
        Ok(repomd)
    }

    fn keep(&self, what: &'static str, bytes: &[u8]) {
        if let Some(kept) = self.kept {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(what, bytes.to_owned());
        }
    }

    /// What lies beside `repomd.xml` as its signature.
    fn signature(&self, url: &str) -> Result<Vec<u8>, Refusal> {
        let url = format!("{url}.asc");
        let take = |_: &str, bytes| Ok(bytes);
        match self.means.fetcher.document_from(&[url], SIGNATURE_LIMIT, Proof::Caller, take) {
            Err(error) if error.is_withheld() => Err(Distrust::Unsigned(error).into()),
            // What else is in the way says nothing of the repository.
            signature => Ok(signature?),
        }
    }

    /// Holds a repository's age against the newest that the prefix and this cache have seen of it.
    fn check_age(
        &self,
        url: &str,
        repomd: &Repomd,
        is_current: bool,
        is_promised: bool,
    ) -> Result<(), Refusal> {
        let allows = self.means.memory.is_some_and(Memory::allows_downgrade);
        let known = self.known().filter(|known| repomd.timestamp < known.timestamp && !allows);
        // What the dist's own server calls current is current, but a mirror may be old as a whole.
        if let Some(known) = known.filter(|_| !is_current || self.means.fetcher.has_mirror()) {
            return Err(
                Distrust::Behind { by: duration(known.timestamp - repomd.timestamp) }.into()
            );
        }
        let now = self.sighting(repomd, is_promised);
        if let Some(memory) = self.means.memory {
            memory.learn(self.seen_key(), now.clone());
        }
        let is_anchored = is_promised || self.repository.signed_metadata;
        let seen = self.seen();
        if let Some(seen) = seen.as_ref().filter(|seen| repomd.timestamp < seen.timestamp) {
            let by = duration(seen.timestamp - repomd.timestamp);
            if seen.is_anchored && !is_current && !allows {
                return Err(Distrust::Older { by }.into());
            }
            let id = &self.repository.id;
            self.means.reporter.warning(format!(
                "{id}: {} serves metadata that is {by} older than what was seen before",
                escape(url)
            ));
            if !is_current && !allows {
                return Ok(());
            }
        }
        let metalink = now.metalink.or_else(|| seen?.metalink).filter(|_| is_promised || !allows);
        let (timestamp, revision) = (now.timestamp, now.revision);
        let note = serde_json::to_string(&Seen { timestamp, revision, is_anchored, metalink })?;
        Ok(self.means.fetcher.remember(&self.seen_key(), &note)?)
    }

    /// What is believed of the repository now.
    fn sighting(&self, repomd: &Repomd, is_promised: bool) -> Sighting {
        let metalink = is_promised.then(|| self.means.fetcher.way());
        Sighting { timestamp: repomd.timestamp, revision: repomd.revision.clone(), metalink }
    }

    /// What the prefix knows of it.
    fn known(&self) -> Option<&Sighting> {
        self.means.memory?.known(&self.seen_key())
    }

    /// What the cache notes of it.
    fn seen(&self) -> Option<Seen> {
        let note = self.means.fetcher.recall(&self.seen_key())?;
        serde_json::from_str(&note).ok()
    }

    /// Whether nothing but a metalink vouches for it, and one did before on the same way. Where the user
    /// names another mirror, that one need not have it.
    fn needs_metalink(&self) -> bool {
        let allows = self.means.memory.is_some_and(Memory::allows_downgrade);
        let way = Some(self.means.fetcher.way());
        let was_there = || {
            self.known().is_some_and(|known| known.metalink == way)
                || self.seen().is_some_and(|seen| seen.metalink == way)
        };
        !allows && !self.repository.signed_metadata && was_there()
    }

    /// Names the repository's note in the cache.
    fn seen_key(&self) -> String {
        self.repository.sighting_name(self.dist, self.arch)
    }

    /// Names the note that the user's mirror has a list of mirrors of the repository: then nothing is to
    /// be guessed.
    fn list_key(&self) -> String {
        format!("{}-list", self.seen_key())
    }

    /// Fetches a metadata file from the first of `bases` that has it.
    pub(super) fn fetch(
        &self,
        bases: &[String],
        record: &RepomdRecord,
    ) -> Result<Fetched, RepositoryError> {
        let urls = places(bases, &record.location);
        if urls.is_empty() {
            let (of, value) = (REPOMD.to_owned(), record.location.clone());
            let source = RepodataError::Elsewhere { of, value };
            return Err(RepositoryError::Content { location: record.location.clone(), source });
        }
        Ok(self.means.fetcher.content(&urls, &record.checksum, record.size, None)?)
    }

    /// Fetches such a file, and reads it.
    fn content<T>(
        &self,
        bases: &[String],
        record: &RepomdRecord,
        read: impl FnOnce(&mut Proving) -> Result<T, RepodataError>,
    ) -> Result<T, RepositoryError> {
        let fetched = self.fetch(bases, record)?;
        fetched.read(read).map_err(|source| RepositoryError::Content {
            location: record.location.clone(),
            source,
        })
    }

    /// The module list, of a repository that has one.
    fn modules(&self, bases: &[String], repomd: &Repomd) -> Result<Modules, RepositoryError> {
        let id = &self.repository.id;
        let Some(record) = &repomd.modules else {
            if self.repository.modular {
                let (dist, place) = (self.dist, self.repository.origin.of("modular"));
                self.means.reporter.warning(format!(
                    "{id}: its metadata hold no module list, although {} says `modular = true`: \
                     packages of modules are passed over. Below [repository.\"{dist}/{id}\"] in \
                     ~/.config/elsewhere/config.toml, `module_hotfixes = true` takes them all the same, \
                     and `modular = false` says that there is no list",
                    escape(&place)
                ));
            }
            return Ok(Modules::default());
        };
        let parse = |file: &mut Proving| modules::parse(&mut self.decoder(), file, record);
        let mut modules = self.content(bases, record, parse)?;
        for document in &mut modules.set_aside {
            *document = format!("{id}: {}: {document}", escape(&record.location));
            self.means
                .reporter
                .detail(format!("{document}: this document of the list is set aside"));
        }
        Ok(modules)
    }

    /// What decodes for this thread.
    fn decoder(&self) -> Decoder {
        let (decoder, kept) = Decoder::start_or_here(self.means.program);
        self.told.call_once(|| self.means.reporter.detail(kept.how));
        decoder
    }

    /// A URL of the dist's definition, for this architecture.
    pub(super) fn expand(&self, url: &str) -> String {
        url.replace("$basearch", self.arch.as_str())
    }
}
