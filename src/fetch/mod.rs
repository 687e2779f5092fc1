//! Brings bytes here: over HTTP(S) or from files, from the first of several places that serves
//! them, with retries, resumption and a cache. It settles integrity (digests), never origin.
//!
//! [`Fetcher::document`] is for small things that nothing vouches for but the server itself,
//! [`Fetcher::document_from`] for those that the caller judges, [`Fetcher::content`] for files
//! whose digest is known, and [`Fetcher::feed`] for those that are worked on while they come.

mod asked;
mod board;
mod cache;
mod client;
mod document;
mod download;
mod error;
mod exchange;
mod http;
mod joined;
mod local;
mod location;
mod login;
mod names;
mod netrc;
mod options;
mod proving;
mod ranges;
pub(crate) mod registry;
mod site;
mod stream;
mod usage;
mod wording;

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use cache::MADE;
pub use document::Proof;
pub use download::Whence;
pub(crate) use error::{Attempt, Refusal};
pub use error::{FetchError, Reason};
pub(crate) use local::Members;
pub(crate) use location::{file_url, mirror_path, package_places};
pub use location::{join, places};
pub use netrc::Netrc;
pub use options::FetchOptions;
pub(crate) use proving::Proving;
pub(crate) use registry::RegistryError;
pub use stream::{Stream, StreamEnd};
pub(crate) use usage::{CacheUsage, clear, usage};

use reqwest::Url;

use cache::Cache;
use error::Failure;
use http::Http;
use local::Local;
use location::Place;
use site::SiteCache;

use crate::model::{Checksum, without_userinfo};
use crate::report::{Event, Reporter};
use crate::tools::excerpt::Excerpt;

/// The longest that a server's Retry-After is obeyed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A file in the cache (or, for `file:` sources, where it lies) whose digest was compared with the
/// one that was asked for. Only this module makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    place: Local,
    size: u64,
    checksum: Checksum,
    url: String,
}

impl Fetched {
    /// Where the bytes were found. What lies there by now is for [`Self::read`] to say.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The bytes, proved once more while they are read: where they lie, others may write.
    ///
    /// # Errors
    /// When they are not there any more.
    fn open(&self) -> Result<Proving, FetchError> {
        Ok(Proving::new(self.open_file()?, self.checksum.clone()))
    }

    /// The file, whatever lies there by now.
    ///
    /// # Errors
    /// When it is not there any more.
    pub(crate) fn open_file(&self) -> Result<Excerpt, FetchError> {
        let opened = self.place.open().map_err(|reason| {
            FetchError::cache("read", self.path(), io::Error::other(reason.to_string()))
        });
        opened.map(|(file, _)| file)
    }

    /// What `read` makes of the bytes, of all of them.
    ///
    /// # Errors
    /// When they cannot be read, or were changed since; or that of `read`.
    pub(crate) fn read<T, E: From<io::Error>>(
        &self,
        read: impl FnOnce(&mut Proving) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut proving = self.open().map_err(io::Error::other)?;
        let value = read(&mut proving)?;
        proving.finish()?;
        Ok(value)
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest.
    #[must_use]
    pub fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    /// The URL that served it; from the cache, the first that could have.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Fetches, for all threads of a run.
pub struct Fetcher<'r> {
    options: FetchOptions,
    /// What stands for all hosts, where that is one file.
    members: Option<Arc<dyn Members>>,
    reporter: &'r dyn Reporter,
    cache: Cache,
    site: Option<SiteCache>,
    http: Http,
    /// Hosts that did not answer in this run: they are asked last.
    silent: Mutex<HashSet<String>>,
}

impl<'r> Fetcher<'r> {
    /// A fetcher with its cache. Nothing is connected yet.
    ///
    /// # Errors
    /// When the cache's directories cannot be made.
    pub fn new(options: FetchOptions, reporter: &'r dyn Reporter) -> Result<Self, FetchError> {
        let cache = Cache::open(options.cache_dir.clone(), options.owners.clone())?;
        let site = options.site_cache.as_deref().map(SiteCache::new);
        let http = Http::new(&options, reporter);
        let (members, silent) = (None, Mutex::default());
        Ok(Self { options, members, reporter, cache, site, http, silent })
    }

    /// The same, but that everything at `https://HOST/PATH` is read from the member `HOST/PATH`, where there
    /// are `members`.
    #[must_use]
    pub(crate) fn within(self, members: Option<Arc<dyn Members>>) -> Self {
        Self { members, ..self }
    }

    /// Whether `--mirror` replaces every host.
    #[must_use]
    pub fn has_mirror(&self) -> bool {
        self.members.is_some() || self.options.mirror.is_some()
    }

    /// Refuses to begin where nothing is asked of the network and some of these files, each with its places,
    /// digest and size, are only there. All of them are named.
    ///
    /// # Errors
    /// [`FetchError::Unavailable`], with the first place of each.
    pub(crate) fn check_at_hand<'w>(
        &self,
        wanted: impl Iterator<Item = (Vec<String>, &'w Checksum, u64)>,
    ) -> Result<(), FetchError> {
        if !self.options.offline {
            return Ok(());
        }
        let is_far = |(urls, checksum, size): &(Vec<String>, &Checksum, u64)| {
            let mut places = urls.iter().map(|url| self.place(url));
            places.all(|place| matches!(place, Ok(Place::Web { .. })))
                && !self.is_kept(checksum, *size)
        };
        let far = wanted.filter(is_far).filter_map(|(urls, ..)| self.place(urls.first()?).ok());
        let attempts: Vec<_> =
            far.map(|place| Attempt { url: place.show(), reason: Reason::Offline }).collect();
        if attempts.is_empty() { Ok(()) } else { Err(FetchError::Unavailable(attempts)) }
    }

    /// Names the way to all hosts: `direct`, or which mirror stands for them.
    #[must_use]
    pub(crate) fn way(&self) -> String {
        let members = self.members.as_ref().map(|members| members.identity());
        match members.as_ref().or(self.options.mirror.as_ref()) {
            None => "direct".to_owned(),
            Some(base) => {
                format!("mirror-{}", Checksum::of(base.as_bytes()).first_digits(16))
            }
        }
    }

    /// The newest note that [`Self::remember`] left under `key`, in any run.
    #[must_use]
    pub fn recall(&self, key: &str) -> Option<String> {
        self.cache.recall(key)
    }

    /// The note of the same name in the site's cache, which the caller must judge: anybody may have written
    /// it.
    #[must_use]
    pub(crate) fn site_note(&self, key: &str) -> Option<String> {
        self.site.as_ref()?.note(key)
    }

    /// Leaves a note for later runs.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn remember(&self, key: &str, note: &str) -> Result<(), FetchError> {
        self.cache.remember(key, note)
    }

    /// What [`Self::keep`] left under `key`, if it is whole and this user's own.
    #[must_use]
    pub fn kept(&self, key: &Checksum) -> Option<Vec<u8>> {
        self.cache.derived(key)
    }

    /// Leaves bytes for later runs that were made of fetched ones, and can be made again: that it
    /// cannot be written is no error. `key` must stand for all that went into it but what was fetched.
    pub fn keep(&self, key: &Checksum, bytes: &[u8]) {
        if let Err(error) = self.cache.keep_derived(key, bytes) {
            self.reporter.detail(error.to_string());
        }
    }

    /// The bytes with this digest, at most `limit`, where they are in the cache or in the site's.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub(crate) fn stored(
        &self,
        checksum: &Checksum,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, FetchError> {
        let own = self.cache.find(checksum)?.map(|(path, _)| path);
        let path = own.or_else(|| Some(self.site.as_ref()?.object(checksum)));
        let Some((file, _)) = path.and_then(|path| local::open(&path).ok()) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        // Where it lies, others may write.
        let is_read = file.take(limit).read_to_end(&mut bytes).is_ok();
        Ok(Some(bytes).filter(|bytes| is_read && Checksum::of(bytes) == *checksum))
    }

    /// Keeps bytes that have this digest in the cache.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn store(&self, checksum: &Checksum, bytes: &[u8]) -> Result<(), FetchError> {
        self.cache.store(checksum, bytes)
    }

    /// `url` without the name and password that it may have, which are remembered for its origin: what comes
    /// from here may be kept and shown.
    #[must_use]
    pub fn plain(&self, url: &str) -> String {
        if let Ok(url) = Url::parse(url) {
            self.http.logins.take(url);
        }
        without_userinfo(url).into_owned()
    }

    /// Where `url` is read. The name and password in it, or in the mirror's, are no part of that.
    fn place(&self, url: &str) -> Result<Place, Reason> {
        if let Some(members) = &self.members
            && let Some(name) = mirror_path(url)
        {
            return Ok(Place::File(Local::Member(Arc::clone(members), name)));
        }
        Ok(match Place::of(url, self.options.mirror.as_deref())? {
            Place::Web { url, is_authentic } => {
                Place::Web { url: self.http.logins.take(url), is_authentic }
            }
            place => place,
        })
    }

    /// Tries `urls` in turn, and those that may yet recover again after a pause, so many rounds at the most,
    /// until one serves.
    fn try_each<T>(
        &self,
        rounds: u32,
        urls: &[String],
        mut attempt: impl FnMut(&str, &Place) -> Result<T, Failure>,
    ) -> Result<T, FetchError> {
        let mut tried: Vec<Attempt> = Vec::new();
        let mut open: Vec<(&String, Result<Place, Reason>)> =
            urls.iter().map(|url| (url, self.place(url))).collect();
        open.sort_by_key(|(_, place)| place.as_ref().is_ok_and(|place| self.is_silent(place)));
        for round in 0..rounds.max(1) {
            if round > 0 {
                self.pause(round, &tried)?;
            }
            let mut again = Vec::new();
            for (url, place) in open {
                if self.reporter.is_cancelled() {
                    return Err(FetchError::Cancelled);
                }
                let plain = || without_userinfo(url).into_owned();
                let shown = place.as_ref().map_or_else(|_| plain(), Place::show);
                let result = match &place {
                    Ok(place) => attempt(url, place),
                    Err(_) => Err(Reason::Url.into()),
                };
                match result {
                    Ok(value) => return Ok(value),
                    Err(Failure::Fatal(error)) => return Err(error),
                    Err(Failure::Here(reason)) => {
                        self.note_failure(&place, &shown, &reason);
                        if reason.is_transient() {
                            again.push((url, place));
                        }
                        record(&mut tried, shown, reason);
                    }
                }
            }
            open = again;
            if open.is_empty() {
                break;
            }
        }
        Err(FetchError::Unavailable(tried))
    }

    /// Reports a failed try, and remembers hosts that do not answer.
    fn note_failure(&self, place: &Result<Place, Reason>, url: &str, reason: &Reason) {
        if let Ok(Place::Web { url, .. }) = place
            && reason.is_hosts_fault()
        {
            self.silent().insert(http::host(url));
        }
        self.reporter.event(Event::Retry { url: url.to_owned(), reason: reason.to_string() });
    }

    /// Waits before a further round: longer each time, and as long as a server asked.
    fn pause(&self, round: u32, tried: &[Attempt]) -> Result<(), FetchError> {
        let asked = tried.iter().filter_map(|attempt| attempt.reason.retry_after());
        let own = self.options.pause.saturating_mul(1 << (round - 1).min(6));
        let wait = asked.min().unwrap_or_default().max(own).min(LONGEST_WAIT);
        let end = Instant::now() + wait;
        while !self.reporter.is_cancelled() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        Err(FetchError::Cancelled)
    }

    fn is_silent(&self, place: &Place) -> bool {
        match place {
            Place::Web { url, .. } => self.silent().contains(&http::host(url)),
            Place::File(_) => false,
        }
    }

    fn silent(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps each place's last reason.
fn record(tried: &mut Vec<Attempt>, url: String, reason: Reason) {
    match tried.iter_mut().find(|attempt| attempt.url == url) {
        Some(attempt) => attempt.reason = reason,
        None => tried.push(Attempt { url, reason }),
    }
}
