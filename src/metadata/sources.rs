//! Asks every place that definitions name, and says what is there otherwise than they claim: lists of
//! mirrors, base URLs with their metadata, signatures and module lists, and keys against their pins.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use serde::Serialize;

use super::Keys;
use super::builds::directories as directories_at;
use super::reading::{LIST_LIMIT, REPOMD, REPOMD_LIMIT, SIGNATURE_LIMIT};
use crate::decoding::Decoder;
use crate::fetch::{Attempt, FetchError, Fetcher, Proof, Reason, join, places};
use crate::model::{
    Arch, Builds, Checksum, Dist, Fingerprint, KeyPin, Repository, without_userinfo,
};
use crate::repodata::repomd::{self, Repomd, RepomdRecord};
use crate::repodata::{RepodataError, metalink, modules};
use crate::report::{Event, Phase, Reporter};
use crate::tools::threads::{self, Queue};
use crate::trust::Keyring;

/// How many repositories and keys are asked for at the same time. Requests to one host have a limit of
/// their own.
const AT_ONCE: usize = 8;
/// So many versions of a package are looked at, where packages are built.
const VERSIONS: usize = 20;
/// A key file of a distribution is a few kilobytes.
const KEY_FILE_LIMIT: u64 = 1 << 20;

/// How a place is, against what its definition claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// As claimed.
    Ok,
    /// It answered, and is otherwise.
    Differs,
    /// It did not answer.
    Unreachable,
}

/// One place, as it was found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedSource {
    /// The dist that names it.
    pub dist: String,
    /// The architecture; `None` for keys and build systems, which may serve several.
    pub arch: Option<Arch>,
    /// The repository or build system that names it; of a key the first one.
    pub repository: String,
    /// `metalink`, `mirrorlist`, `repomd`, `signature`, `primary`, `modules`, `key` or `builds`.
    pub what: &'static str,
    /// Its URL, before any mirror.
    pub url: String,
    /// How it is.
    pub state: SourceState,
    /// Why it is not as claimed; or what there is to say all the same.
    pub reason: Option<String>,
    /// The file that claims it.
    pub file: String,
    /// The line of that file, from 1.
    pub line: Option<usize>,
    /// Whether what differs is a digest, a signature or a key.
    #[serde(skip)]
    is_distrust: bool,
}

/// Some places are not as definitions claim.
#[derive(Debug, thiserror::Error)]
#[error(
    "of {total} places {differ} {} not as the definitions say, and {unreachable} could not be reached",
    if *differ == 1 { "is" } else { "are" }
)]
pub struct SourcesError {
    total: usize,
    differ: usize,
    unreachable: usize,
    is_distrust: bool,
}

impl SourcesError {
    /// What is wrong with `sources`, if anything is.
    ///
    /// # Errors
    /// When something is.
    pub fn check(sources: &[CheckedSource]) -> Result<(), Self> {
        let count = |state| sources.iter().filter(|source| source.state == state).count();
        let (differ, unreachable) = (count(SourceState::Differs), count(SourceState::Unreachable));
        let is_distrust = sources.iter().any(|source| source.is_distrust);
        match differ + unreachable {
            0 => Ok(()),
            _ => Err(Self { total: sources.len(), differ, unreachable, is_distrust }),
        }
    }

    /// Whether a digest, a signature or a key differs.
    #[must_use]
    pub fn is_distrust(&self) -> bool {
        self.is_distrust
    }

    /// Whether the network alone is to blame: what could be reached is as definitions say.
    #[must_use]
    pub fn is_network(&self) -> bool {
        self.differ == 0
    }
}

/// What `sources` of `dists` for `arches` are like; of each dist the architectures that it has. One of the `packages`
/// is looked for where packages are built.
///
/// # Errors
/// When the user stops the run, or the cache cannot be written.
pub(crate) fn check_sources(
    fetcher: &Fetcher<'_>,
    keys: &Keys<'_>,
    program: &Path,
    (dists, arches, packages): (&[&Dist], &[Arch], &[String]),
    reporter: &dyn Reporter,
) -> Result<Vec<CheckedSource>, FetchError> {
    let jobs = jobs(dists, arches);
    let (phase, total) = (Phase::Metadata, Some(jobs.len() as u64));
    reporter.event(Event::Started { phase, total });
    let queue = Queue::default();
    let work = || {
        let mut done = Vec::new();
        while let Some((position, job)) = queue.take(&jobs) {
            let mut asking = Asking { fetcher, keys, program, packages, job, found: Vec::new() };
            asking.ask()?;
            done.push((position, asking.found));
            reporter.advanced(phase, 1);
        }
        Ok(done)
    };
    let all: Vec<Result<_, FetchError>> = thread::scope(|scope| {
        let tasks: Vec<_> = (0..AT_ONCE).map(|_| threads::spawn(scope, work)).collect();
        tasks.into_iter().map(|task| task.join().unwrap_or(Err(FetchError::Cancelled))).collect()
    });
    let mut found = BTreeMap::new();
    for done in all {
        found.extend(done?);
    }
    reporter.event(Event::Finished { phase });
    Ok(found.into_values().flatten().collect())
}

/// What one thread asks for at a time.
struct Job<'a> {
    dist: &'a Dist,
    repository: &'a Repository,
    what: What<'a>,
}

enum What<'a> {
    /// The repository, for an architecture.
    Repository(Arch),
    /// A place of one of its keys, and the field that names it.
    Key(&'a KeyPin, &'a str, String),
    /// Where packages are built that the keys of the repository sign.
    Builds(&'a Builds),
}

/// Every repository that is read, and every archive, for each of its architectures; and every place of a key once.
fn jobs<'a>(dists: &[&'a Dist], arches: &[Arch]) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for &dist in dists {
        let mut seen: Vec<(&Fingerprint, &str)> = Vec::new();
        for &arch in arches {
            for repository in dist.enabled_for(arch).chain(dist.archives_for(arch)) {
                jobs.push(Job { dist, repository, what: What::Repository(arch) });
                for (position, key) in repository.keys.iter().enumerate() {
                    let alternates = key.alternates.iter().map(|url| (url, "alternates"));
                    for (url, field) in std::iter::once((&key.url, "url")).chain(alternates) {
                        if !seen.contains(&(&key.fingerprint, url.as_str())) {
                            seen.push((&key.fingerprint, url));
                            let field = format!("key.{position}.{field}");
                            jobs.push(Job { dist, repository, what: What::Key(key, url, field) });
                        }
                    }
                }
            }
        }
        let ids = dist.builds.iter().map(|builds| (builds, &builds.of));
        jobs.extend(ids.filter_map(|(builds, of)| {
            let mut its = arches.iter().flat_map(|arch| dist.repositories_for(*arch));
            let repository = its.find(|repository| repository.id == *of)?;
            Some(Job { dist, repository, what: What::Builds(builds) })
        }));
    }
    jobs
}

/// A job being done.
struct Asking<'a, 'f> {
    fetcher: &'a Fetcher<'f>,
    keys: &'a Keys<'a>,
    program: &'a Path,
    packages: &'a [String],
    job: &'a Job<'a>,
    found: Vec<CheckedSource>,
}

/// What became of a question: an answer, with what there is to say; or why it is not as claimed.
type Judged<T> = Result<T, Wrong>;

enum Wrong {
    /// Nobody answered, or nobody has it.
    Fetch(FetchError),
    /// What there is is not what was claimed.
    Content(String),
    /// What there is cannot be trusted.
    Trust(String),
}

impl From<FetchError> for Wrong {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl Asking<'_, '_> {
    fn ask(&mut self) -> Result<(), FetchError> {
        match &self.job.what {
            What::Repository(arch) => self.repository(*arch),
            What::Key(pin, url, field) => {
                let answer = self.key(pin, url);
                self.note("key", url, field, answer).map(drop)
            }
            What::Builds(builds) => {
                let answer = self.builds(builds);
                self.note("builds", &builds.base, "base", answer).map(drop)
            }
        }
    }

    /// Whether builds of one of the packages, for the dist, are there.
    fn builds(&self, builds: &Builds) -> Judged<()> {
        let base = builds.base.trim_end_matches('/');
        let directories = |place: &str| match directories_at(self.fetcher, place) {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            found => found,
        };
        for package in self.packages {
            let place = format!("{base}/{package}");
            for version in directories(&place)?.iter().rev().take(VERSIONS) {
                let releases = directories(&format!("{place}/{version}"))?;
                if releases.iter().any(|release| builds.has_release(release)) {
                    return Ok(());
                }
            }
        }
        let (release, packages) = (&builds.release, self.packages.join(", "));
        Err(Wrong::Content(format!("lists no builds for {release} of any of {packages}")))
    }

    fn repository(&mut self, arch: Arch) -> Result<(), FetchError> {
        let Job { repository, .. } = self.job;
        let mut promise = Vec::new();
        if let Some(url) = &repository.metalink {
            let url = expand(url, arch);
            let answer = self.list(&url, |bytes| match metalink::parse(bytes) {
                Ok(link) => Ok((link.mirrors.len(), link.checksums)),
                Err(error) => Err(Wrong::Content(error.to_string())),
            });
            promise = self.note("metalink", &url, "metalink", answer)?.unwrap_or_default();
        }
        if let Some(url) = &repository.mirrorlist {
            let url = expand(url, arch);
            let parse = |bytes: &[u8]| Ok((metalink::parse_mirrorlist(bytes).len(), Vec::new()));
            let answer = self.list(&url, parse);
            self.note("mirrorlist", &url, "mirrorlist", answer)?;
        }
        for base in repository.bases(arch) {
            self.base(&base, &promise)?;
        }
        Ok(())
    }

    /// A list of mirrors; a mirror that stands for all hosts seldom has any.
    fn list(
        &self,
        url: &str,
        parse: impl Fn(&[u8]) -> Judged<(usize, Vec<Checksum>)>,
    ) -> Judged<Vec<Checksum>> {
        match self.fetcher.document(url, LIST_LIMIT) {
            Err(error) if self.fetcher.has_mirror() && error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error.into()),
            Ok(bytes) => match parse(&bytes)? {
                (0, _) => Err(Wrong::Content("names no mirror".to_owned())),
                (_, promise) => Ok(promise),
            },
        }
    }

    /// What lies below a base URL. `promise` holds the digests that a metalink lists.
    fn base(&mut self, base: &str, promise: &[Checksum]) -> Result<(), FetchError> {
        let Job { repository, .. } = self.job;
        let url = join(base, REPOMD);
        let answer = self.repomd(&url, promise);
        let Some((bytes, repomd)) = self.note("repomd", &url, "base", answer)? else {
            return Ok(());
        };
        if repository.signed_metadata {
            let url = format!("{url}.asc");
            let answer = self.signature(&url, &bytes);
            self.note("signature", &url, "signed_metadata", answer)?;
        }
        let place = place_of(base, &repomd.primary);
        let url = place.as_ref().map_or(&repomd.primary.location, |url| url).clone();
        let answer = place.and_then(|url| self.presence(&url, &repomd.primary));
        self.note("primary", &url, "base", answer)?;
        if repository.modular {
            let (url, answer) = self.modules(base, &repomd);
            self.note("modules", &url, "modular", answer)?;
        }
        Ok(())
    }

    fn repomd(&self, url: &str, promise: &[Checksum]) -> Judged<(Vec<u8>, Repomd)> {
        // With a promise, and with a signature, the transport proves nothing that counts.
        let proof = if promise.is_empty() { Proof::Server } else { Proof::Caller };
        let take = |_: &str, bytes| Ok(bytes);
        let bytes: Vec<u8> =
            self.fetcher.document_from(&[url.to_owned()], REPOMD_LIMIT, proof, take)?;
        let is_it = |one: &Checksum| Checksum::by(one.algorithm(), &bytes) == *one;
        if !promise.is_empty() && !promise.iter().any(is_it) {
            let text = "its digest is none of those that the metalink lists";
            return Err(Wrong::Trust(text.to_owned()));
        }
        let repomd = repomd::parse(&bytes).map_err(|error| Wrong::Content(error.to_string()))?;
        Ok((bytes, repomd))
    }

    fn signature(&self, url: &str, repomd: &[u8]) -> Judged<()> {
        let take = |_: &str, bytes| Ok(bytes);
        let url = [url.to_owned()];
        let signature: Vec<u8> =
            self.fetcher.document_from(&url, SIGNATURE_LIMIT, Proof::Caller, take)?;
        let (pins, place) =
            (&self.job.repository.keys, (&*self.job.dist.name, &*self.job.repository.id));
        match self.keys.verify_detached(place, pins, repomd, &signature) {
            Ok(_) => Ok(()),
            Err(error) => {
                let missing = self.keys.failures(pins);
                let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
                let missing = match &*missing.join("; ") {
                    "" => String::new(),
                    missing => format!(" ({missing})"),
                };
                Err(Wrong::Trust(format!("{error}{missing}")))
            }
        }
    }

    /// Whether a file is there that `record` describes; it is not read.
    fn presence(&self, url: &str, record: &RepomdRecord) -> Judged<()> {
        match (self.fetcher.size_of(url)?, record.size) {
            (Some(got), Some(expected)) if got != expected => {
                Err(Wrong::Content(format!("has {got} bytes where repomd.xml says {expected}")))
            }
            _ => Ok(()),
        }
    }

    fn modules(&self, base: &str, repomd: &Repomd) -> (String, Judged<()>) {
        let Some(record) = &repomd.modules else {
            let missing = "repomd.xml names no module list".to_owned();
            return (join(base, REPOMD), Err(Wrong::Content(missing)));
        };
        let place = place_of(base, record);
        let shown = place.as_ref().map_or(&record.location, |url| url).clone();
        let read = || -> Judged<()> {
            let fetched = self.fetcher.content(&[place?], &record.checksum, record.size, None)?;
            let (mut decoder, _) = Decoder::start_or_here(self.program);
            let parsed = fetched.read(|file| modules::parse(&mut decoder, file, record));
            parsed.map(drop).map_err(|error| Wrong::Content(error.to_string()))
        };
        (shown, read())
    }

    /// Whether the file at `url` holds the pinned key.
    fn key(&self, pin: &KeyPin, url: &str) -> Judged<()> {
        let take = |_: &str, bytes| Ok(bytes);
        let url = [url.to_owned()];
        let bytes: Vec<u8> =
            self.fetcher.document_from(&url, KEY_FILE_LIMIT, Proof::Fresh, take)?;
        let added = Keyring::new().add_pin(&bytes, pin);
        added.map(drop).map_err(|error| Wrong::Trust(error.to_string()))
    }

    /// Notes what became of a question about `url`, which `field` of the definition names.
    fn note<T>(
        &mut self,
        what: &'static str,
        url: &str,
        field: &str,
        answer: Judged<T>,
    ) -> Result<Option<T>, FetchError> {
        let Job { dist, repository, what: job } = self.job;
        let (value, state, reason, is_distrust) = match answer {
            Ok(value) => (Some(value), SourceState::Ok, None, false),
            Err(Wrong::Content(reason)) => (None, SourceState::Differs, Some(reason), false),
            Err(Wrong::Trust(reason)) => (None, SourceState::Differs, Some(reason), true),
            Err(Wrong::Fetch(error @ FetchError::Unavailable(_))) => {
                let is_wrong = error.attempts().iter().any(|it| has_answered(&it.reason));
                let is_forged = |it: &Attempt| matches!(it.reason, Reason::Digest { .. });
                let state = match is_wrong || error.is_not_found() {
                    true => SourceState::Differs,
                    false => SourceState::Unreachable,
                };
                let is_distrust = error.attempts().iter().any(is_forged);
                (None, state, Some(error.to_string()), is_distrust)
            }
            Err(Wrong::Fetch(error)) => return Err(error),
        };
        let (origin, named) = match job {
            What::Builds(builds) => (&builds.origin, &builds.id),
            _ => (&repository.origin, &repository.id),
        };
        self.found.push(CheckedSource {
            dist: dist.name.clone(),
            arch: match job {
                What::Repository(arch) => Some(*arch),
                What::Key(..) | What::Builds(_) => None,
            },
            repository: named.clone(),
            what,
            url: without_userinfo(url).into_owned(),
            state,
            reason,
            file: origin.file.clone(),
            line: origin.lines.get(field).or_else(|| origin.lines.get("id")).copied(),
            is_distrust,
        });
        Ok(value)
    }
}

/// Where the file is that `record` describes.
fn place_of(base: &str, record: &RepomdRecord) -> Judged<String> {
    places(&[base.to_owned()], &record.location).pop().ok_or_else(|| {
        let (of, value) = (REPOMD.to_owned(), record.location.clone());
        Wrong::Content(RepodataError::Elsewhere { of, value }.to_string())
    })
}

/// Whether there was an answer, or there cannot be one that counts.
fn has_answered(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::NotFound(_)
            | Reason::Redirect(_)
            | Reason::TooLong(_)
            | Reason::Size { .. }
            | Reason::Digest { .. }
            | Reason::Refused(_)
            | Reason::Url
            | Reason::Insecure
    )
}

/// A URL of a definition, for this architecture.
fn expand(url: &str, arch: Arch) -> String {
    url.replace("$basearch", arch.as_str())
}
