//! Content: files of any size whose digest is known, streamed into the cache.

use std::io::ErrorKind;
use std::path::PathBuf;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, RANGE};

use super::asked::{Asked, Meter, Splitting, UNDECLARED_LIMIT};
use super::cache::Partial;
use super::error::Failure;
use super::local::Local;
use super::location::Place;
use super::ranges::{Brought, Watch, Whereabouts};
use super::{FetchError, Fetched, Fetcher, Reason, Stream, http};
use crate::model::{Checksum, escape, without_userinfo};
use crate::report::Phase;

/// Where a file may be had.
#[derive(Clone, Copy)]
pub struct Whence<'a> {
    urls: &'a [String],
    further: Option<&'a (dyn Fn() -> Vec<String> + 'a)>,
}

impl<'a> Whence<'a> {
    /// At one of `urls`, best first.
    #[must_use]
    pub fn only(urls: &'a [String]) -> Self {
        Self { urls, further: None }
    }

    /// At one of `urls`, or, where none of them has it, at one of those that `further` finds.
    #[must_use]
    pub(crate) fn or(urls: &'a [String], further: &'a (dyn Fn() -> Vec<String> + 'a)) -> Self {
        Self { urls, further: Some(further) }
    }
}

impl Fetcher<'_> {
    /// The file with digest `checksum` (and `size`, where it is known), from the cache or from the
    /// first of `urls` (best first) that serves it whole.
    ///
    /// A file in the cache is digested again before it is returned. A download that breaks is gone
    /// on with, at any of the places, in this run or a later one. With `progress`, bytes are
    /// reported in that phase, each once whatever the number of tries.
    ///
    /// # Errors
    /// When no place serves it, the cache cannot hold it, or the run is cancelled.
    pub fn content(
        &self,
        urls: &[String],
        checksum: &Checksum,
        size: Option<u64>,
        progress: Option<Phase>,
    ) -> Result<Fetched, FetchError> {
        self.content_of(Whence::only(urls), checksum, size, progress)
    }

    /// The same from the first of `whence`.
    fn content_of(
        &self,
        whence: Whence<'_>,
        checksum: &Checksum,
        size: Option<u64>,
        progress: Option<Phase>,
    ) -> Result<Fetched, FetchError> {
        let urls = whence.urls;
        let wanted = Asked::new(checksum, size, urls);
        let mut meter = Meter::new(self.reporter, progress);
        if let Some((path, size)) = self.cache.find(checksum)? {
            meter.reach_cached(size);
            let url = urls.first().cloned().unwrap_or_default();
            return Ok(wanted.fetched(Local::File(path), size, url));
        }
        if let Some((path, size)) = self.in_site(&wanted) {
            meter.reach_cached(size);
            let url = urls.first().cloned().unwrap_or_default();
            return Ok(wanted.fetched(Local::File(path), size, url));
        }
        self.bring(whence, &wanted, &mut meter, None)
    }

    /// Whether a file is in the cache, or the site's, whose digest is for its reader to compare.
    pub(super) fn is_kept(&self, checksum: &Checksum, size: u64) -> bool {
        let in_site = || self.site.as_ref()?.open_unproven(checksum, size);
        self.cache.open_unproven(checksum, size).or_else(in_site).is_some()
            || size == 0 && self.cache.find(checksum).is_ok_and(|found| found.is_some())
    }

    /// Lets `stream` have the file with digest `checksum` and `size` while it comes, from the
    /// cache or from the first place of `whence` that serves it whole, as [`Self::content`] does.
    ///
    /// A file that is here already is not digested: its reader will. One whose size nobody declared
    /// (0) is lent when it is whole.
    ///
    /// # Errors
    /// As [`Self::content`]. The stream has ended then.
    pub fn feed(
        &self,
        whence: Whence<'_>,
        checksum: &Checksum,
        size: u64,
        progress: Option<Phase>,
        stream: &Stream,
    ) -> Result<(), FetchError> {
        if size == 0 {
            return self.feed_proven(whence, checksum, size, progress, stream);
        }
        let wanted = Asked::new(checksum, Some(size), whence.urls);
        let mut meter = Meter::new(self.reporter, progress);
        let in_site = || self.site.as_ref()?.open_unproven(checksum, size);
        let fed = match self.cache.open_unproven(checksum, size).or_else(in_site) {
            Some(file) => {
                stream.distrust();
                stream.begin(file, size);
                meter.reach_cached(size);
                Ok(())
            }
            None => self.bring(whence, &wanted, &mut meter, Some(stream)).map(drop),
        };
        stream.close(fed.is_ok());
        fed
    }

    /// Lets `stream` have the file when it is whole and [`Self::content`] has compared its digest.
    ///
    /// # Errors
    /// As [`Self::content`]. The stream has ended then.
    pub fn feed_proven(
        &self,
        whence: Whence<'_>,
        checksum: &Checksum,
        size: u64,
        progress: Option<Phase>,
        stream: &Stream,
    ) -> Result<(), FetchError> {
        let size = (size > 0).then_some(size);
        let fed = self.content_of(whence, checksum, size, progress).and_then(|fetched| {
            stream.begin(fetched.open_file()?, fetched.size());
            Ok(())
        });
        stream.close(fed.is_ok());
        fed
    }

    /// The file where the site's cache has it, if it is whole, and its size. What is something else there is
    /// as good as nothing.
    fn in_site(&self, wanted: &Asked<'_>) -> Option<(PathBuf, u64)> {
        let path = self.site.as_ref()?.object(wanted.checksum);
        match wanted.check_file(&Local::File(path.clone())) {
            Ok(size) => Some((path, size)),
            Err(Reason::File(error)) if error.kind() == ErrorKind::NotFound => None,
            Err(reason) => {
                let shown = escape(&path.to_string_lossy()).into_owned();
                self.reporter.detail(format!("not taken from the site's cache: {shown}: {reason}"));
                None
            }
        }
    }

    /// Fetches a file that is not in the cache.
    fn bring(
        &self,
        whence: Whence<'_>,
        wanted: &Asked<'_>,
        meter: &mut Meter<'_>,
        stream: Option<&Stream>,
    ) -> Result<Fetched, FetchError> {
        let mut partial = None;
        let mut attempt = |url: &str, place: &Place| match place {
            Place::File(local) => {
                let size = match stream {
                    Some(stream) => wanted.lend_file(local, stream)?,
                    None => wanted.check_file(local)?,
                };
                meter.reach(size);
                Ok(wanted.fetched(local.clone(), size, url.to_owned()))
            }
            Place::Web { .. } if stream.is_some_and(Stream::is_abandoned) => {
                Err(FetchError::Cancelled.into())
            }
            Place::Web { url: asked, .. } => {
                let (path, size) = self.download(asked, wanted, &mut partial, meter, stream)?;
                Ok(wanted.fetched(Local::File(path), size, url.to_owned()))
            }
        };
        let mut result = self.try_each(self.options.attempts, whence.urls, &mut attempt);
        if let Err(FetchError::Unavailable(tried)) = &mut result {
            let mut further = whence.further.map_or_else(Vec::new, |further| further());
            further.retain(|url| !whence.urls.contains(url));
            if !further.is_empty() {
                let mut tried = std::mem::take(tried);
                result =
                    self.try_each(self.options.attempts, &further, &mut attempt).map_err(|error| {
                        match error {
                            FetchError::Unavailable(last) => {
                                tried.extend(last);
                                FetchError::Unavailable(tried)
                            }
                            error => error,
                        }
                    });
            }
        }
        if matches!(result, Err(FetchError::Unavailable(_))) {
            let limit = wanted.size.unwrap_or(UNDECLARED_LIMIT);
            if let Some(bytes) = self.joined(whence.urls, wanted.checksum, limit) {
                result = self.take(&bytes, wanted, whence.urls, stream);
            }
        }
        let is_useless = matches!(result, Err(FetchError::Cancelled | FetchError::Full { .. }));
        if let Some(partial) = partial.filter(|partial| is_useless || partial.length == 0) {
            partial.discard();
        }
        result
    }

    /// Keeps a file whose digest was compared, and lets `stream` have it.
    fn take(
        &self,
        bytes: &[u8],
        wanted: &Asked<'_>,
        urls: &[String],
        stream: Option<&Stream>,
    ) -> Result<Fetched, FetchError> {
        self.cache.store(wanted.checksum, bytes)?;
        let url = urls.first().cloned().unwrap_or_default();
        let (path, size) = (self.cache.object(wanted.checksum), bytes.len() as u64);
        let fetched = wanted.fetched(Local::File(path), size, url);
        if let Some(stream) = stream {
            stream.begin(fetched.open_file()?, size);
        }
        Ok(fetched)
    }

    /// Brings one file into the cache. What came before a failure stays in `slot`.
    fn download(
        &self,
        url: &Url,
        wanted: &Asked<'_>,
        slot: &mut Option<Partial>,
        meter: &mut Meter<'_>,
        stream: Option<&Stream>,
    ) -> Result<(PathBuf, u64), Failure> {
        let partial = match slot {
            Some(partial) => partial,
            None => {
                let partial = slot.insert(self.cache.begin(wanted.checksum)?);
                stream.map_or(Ok(()), |stream| partial.feed(stream))?;
                partial
            }
        };
        let (resumed_at, splitting) = (partial.length, wanted.splitting.get());
        if wanted.size != Some(resumed_at) || resumed_at == 0 {
            self.receive(url, wanted, partial, meter)?;
        }
        let got = partial.digest();
        if got == *wanted.checksum {
            let length = partial.length;
            self.name_liars(wanted, partial)?;
            let finished = slot.take().ok_or_else(|| Reason::Broken("lost".into()))?;
            return Ok((self.cache.commit(finished, wanted.checksum)?, length));
        }
        wanted.was_wrong.set(true);
        partial.restart()?;
        if resumed_at > 0 || splitting != wanted.splitting.get() {
            // The fault may lie in what an earlier try, or another mirror, had brought; or in parts
            // of different files.
            return self.download(url, wanted, slot, meter, stream);
        }
        Err(Reason::Digest { expected: wanted.checksum.clone(), got }.into())
    }

    /// Where a file is that was found at `found` when `asked` was asked for; and at which other hosts of
    /// `urls` it should be.
    fn whereabouts(&self, found: Url, asked: &Url, urls: &[String]) -> Vec<Whereabouts> {
        let mut hosts = vec![http::host(&found), http::host(asked)];
        let mut all = vec![Whereabouts { url: found, asked: asked.clone() }];
        for url in urls {
            let Ok(place @ Place::Web { .. }) = self.place(url) else { continue };
            if self.is_silent(&place) {
                continue;
            }
            if let Place::Web { url, .. } = place
                && !hosts.contains(&http::host(&url))
            {
                hosts.push(http::host(&url));
                all.push(Whereabouts { url: url.clone(), asked: url });
            }
        }
        all
    }

    /// Now that the file is there: says who brought other bytes of it before, and asks them last from now on.
    fn name_liars(&self, wanted: &Asked<'_>, finished: &Partial) -> Result<(), FetchError> {
        let brought = wanted.brought.take();
        if brought.is_empty() || !wanted.was_wrong.get() {
            return Ok(());
        }
        let file = finished.handle()?;
        for Brought { place, .. } in brought.iter().filter(|part| part.differs(&file)) {
            if self.silent().insert(http::host(place)) {
                let shown = without_userinfo(place.as_str());
                let told =
                    format!("{shown} sent other bytes than the file has, and is asked last now");
                self.reporter.warning(told);
            }
        }
        Ok(())
    }

    /// Adds to `partial` what `url` has beyond it.
    fn receive(
        &self,
        url: &Url,
        wanted: &Asked<'_>,
        partial: &mut Partial,
        meter: &mut Meter<'_>,
    ) -> Result<(), Failure> {
        let mut answer = self.http.get(url, range(partial.length), self.reporter)?;
        let goes_on = answer.continues(partial.length);
        if !goes_on {
            partial.restart()?;
        }
        if !(200..=299).contains(&answer.status) || (answer.status == 206 && !goes_on) {
            // 416, or another part than the one asked for: the partial file is of no use here. Anew,
            // at the next try.
            return Err(Reason::Broken("the server has no such range".into()).into());
        }
        let limit = wanted.size.unwrap_or(UNDECLARED_LIMIT);
        let watch = Watch::new(partial.length);
        while let Some(chunk) = answer.next_chunk()? {
            if partial.length.saturating_add(chunk.len() as u64) > limit {
                partial.restart()?;
                return Err(Reason::TooLong(limit).into());
            }
            partial.write(&chunk)?;
            meter.reach(partial.length);
            if partial.is_abandoned() {
                return Err(FetchError::Cancelled.into());
            }
            let splitting = wanted.splitting.get();
            let may_split = splitting != Splitting::Not;
            let Some(size) = wanted.size.filter(|_| may_split) else { continue };
            if watch.is_slow(&answer, partial.length, size) {
                let found = plain(answer.url.clone());
                drop(answer);
                let mut places = self.whereabouts(found, url, wanted.urls);
                if splitting == Splitting::OverConnections {
                    places.truncate(1);
                }
                // Where parts fail, whatever the reason, the next try is one place's, and then one
                // connection's.
                wanted.splitting.set(match places.len() {
                    1 => Splitting::Not,
                    _ => Splitting::OverConnections,
                });
                let grown = |length| meter.reach(length);
                let brought = self.receive_pieces(&places, size, partial, grown);
                return match brought {
                    Ok(brought) => {
                        wanted.brought.borrow_mut().extend(brought);
                        Ok(())
                    }
                    Err(Failure::Here(reason)) => Err(Reason::Broken(reason.to_string()).into()),
                    Err(fatal @ Failure::Fatal(_)) => Err(fatal),
                };
            }
        }
        // A body that breaks off was an error above: this one is whole, and another file.
        match wanted.size.filter(|&expected| partial.length < expected) {
            Some(expected) => {
                let got = partial.length;
                partial.restart()?;
                Err(match goes_on {
                    true => Reason::Broken("the server sent less than it was asked for".into()),
                    false => Reason::Size { got, expected },
                }
                .into())
            }
            None => Ok(()),
        }
    }
}

/// A URL that an answer came from, without a name and password: those were for the one that was asked.
fn plain(mut url: Url) -> Url {
    // Neither fails for a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// The header that asks for all but the first `length` bytes.
fn range(length: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if length > 0
        && let Ok(value) = HeaderValue::from_str(&format!("bytes={length}-"))
    {
        headers.insert(RANGE, value);
    }
    headers
}
