//! Documents: small files, read into memory within a limit and revalidated by their servers.

use std::io::Read;

use reqwest::Url;
use reqwest::header::{
    CONTENT_LENGTH, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};

use super::cache::{Document, DocumentHead};
use super::error::Failure;
use super::http::Answer;
use super::local::Local;
use super::location::Place;
use super::{FetchError, Fetcher, Reason, Refusal};
use crate::model::Checksum;

/// What proves that a document is the right one.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// That its server says so: over https, from `--mirror`, or from a file.
    Server,
    /// A digest: one of these, of which the first is the current one. Plain http will do, and a
    /// copy of the current one in the cache is taken without asking anybody.
    Digest(&'a [Checksum]),
    /// What the caller checks before accepting it: a signature.
    Caller,
    /// The same, where a copy that proves itself may be one that lacks something: a certificate without its
    /// revocation is genuine too. Plain http will do, and no copy in the cache stands for what there is.
    Fresh,
}

impl<'a> Proof<'a> {
    fn digests(self) -> &'a [Checksum] {
        match self {
            Self::Digest(digests) => digests,
            Self::Server | Self::Caller | Self::Fresh => &[],
        }
    }
}

impl Fetcher<'_> {
    /// The document at `url`, at most `limit` bytes long. It comes over https, from `--mirror` or
    /// from a file: nothing else vouches for it, so that no copy in the cache stands for it.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn document(&self, url: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        self.document_from(&[url.to_owned()], limit, Proof::Server, |_, bytes| Ok(bytes))
    }

    /// How many bytes the file at `url` has, where its place tells. Nothing of it is read.
    ///
    /// # Errors
    /// When it is not there, or its place does not answer.
    pub fn size_of(&self, url: &str) -> Result<Option<u64>, FetchError> {
        self.try_each(self.options.attempts, &[url.to_owned()], |_, place| match place {
            Place::Web { url, .. } => {
                let answer = self.http.get(url, HeaderMap::new(), self.reporter)?;
                Ok(answer.header(&CONTENT_LENGTH).and_then(|length| length.parse().ok()))
            }
            Place::File(local) => Ok(Some(local.open()?.1)),
        })
    }

    /// The document at `url`, if the first try brings it: for what may turn out not to be needed.
    #[must_use]
    pub fn first_try(&self, url: &str, limit: u64) -> Option<Vec<u8>> {
        match self.place(url).ok()? {
            Place::Web { url, is_authentic: true } => self.whole_document(&url, limit).ok(),
            Place::Web { .. } => None,
            Place::File(local) => read_local(&local, limit).ok(),
        }
    }

    /// What `accept` makes of the first document in `urls` (best first) that it does not refuse.
    /// It gets the URL and the bytes, whose digest has been compared, and may fetch.
    ///
    /// # Errors
    /// When no URL serves a document that is accepted.
    pub fn document_from<T>(
        &self,
        urls: &[String],
        limit: u64,
        proof: Proof<'_>,
        accept: impl Fn(&str, Vec<u8>) -> Result<T, Refusal>,
    ) -> Result<T, FetchError> {
        self.document_in(self.options.attempts, urls, (limit, proof), accept)
    }

    /// The same where nothing hangs on it: each place is tried once, and none whose host did not answer
    /// before.
    ///
    /// # Errors
    /// As [`Self::document_from`].
    pub(crate) fn document_in_passing<T>(
        &self,
        urls: &[String],
        limit: u64,
        proof: Proof<'_>,
        accept: impl Fn(&str, Vec<u8>) -> Result<T, Refusal>,
    ) -> Result<T, FetchError> {
        let answers = |url: &&String| !self.place(url).is_ok_and(|place| self.is_silent(&place));
        let urls: Vec<String> = urls.iter().filter(answers).cloned().collect();
        self.document_in(1, &urls, (limit, proof), accept)
    }

    fn document_in<T>(
        &self,
        rounds: u32,
        urls: &[String],
        (limit, proof): (u64, Proof<'_>),
        accept: impl Fn(&str, Vec<u8>) -> Result<T, Refusal>,
    ) -> Result<T, FetchError> {
        if let Some((url, bytes)) = self.known(urls, limit, proof)?
            && let Ok(value) = accept(url, bytes)
        {
            return Ok(value);
        }
        self.try_each(rounds, urls, |url, place| {
            let bytes = match (place, proof) {
                (Place::Web { is_authentic: false, .. }, Proof::Server) => {
                    return Err(Reason::Insecure.into());
                }
                (Place::Web { url, .. }, Proof::Server | Proof::Fresh) => {
                    self.whole_document(url, limit)?
                }
                (Place::Web { url, .. }, _) => self.web_document(url, limit)?,
                (Place::File(local), _) => read_local(local, limit)?,
            };
            self.check_digest(&bytes, proof.digests())?;
            Ok(accept(url, bytes)?)
        })
    }

    /// The current document, if its digest is known and it is in the cache, and the URL that it
    /// would be asked from.
    fn known<'u>(
        &self,
        urls: &'u [String],
        limit: u64,
        proof: Proof<'_>,
    ) -> Result<Option<(&'u str, Vec<u8>)>, FetchError> {
        let (Some(url), Some(checksum)) = (urls.first(), proof.digests().first()) else {
            return Ok(None);
        };
        let found = self.cache.find(checksum)?.filter(|(_, size)| *size <= limit);
        let found = found.map(|(path, _)| path);
        let in_site = || Some(self.site.as_ref()?.object(checksum));
        let Some(path) = found.or_else(in_site) else { return Ok(None) };
        let bytes = read_local(&Local::File(path), limit).ok();
        // It may have been changed since.
        let is_it = |bytes: &Vec<u8>| Checksum::by(checksum.algorithm(), bytes) == *checksum;
        Ok(bytes.filter(is_it).map(|bytes| (url.as_str(), bytes)))
    }

    /// Compares a document with what it may be, and keeps it under its digest.
    fn check_digest(&self, bytes: &[u8], expected: &[Checksum]) -> Result<(), Failure> {
        let Some(first) = expected.first() else { return Ok(()) };
        for checksum in expected {
            if Checksum::by(checksum.algorithm(), bytes) == *checksum {
                return Ok(self.cache.store(checksum, bytes)?);
            }
        }
        let got = Checksum::by(first.algorithm(), bytes);
        Err(Reason::Digest { expected: first.clone(), got }.into())
    }

    /// A document of which only its server says that it is all there is: a copy in the cache has another
    /// author, whatever ETag it bears.
    fn whole_document(&self, url: &Url, limit: u64) -> Result<Vec<u8>, Failure> {
        let mut answer = self.http.get(url, HeaderMap::new(), self.reporter)?;
        match answer.status {
            200..=299 => body(&mut answer, limit),
            code => Err(Reason::Status { code, retry_after: None }.into()),
        }
    }

    /// A document that is proved by what it says, from the cache where the server has nothing newer.
    fn web_document(&self, url: &Url, limit: u64) -> Result<Vec<u8>, Failure> {
        let known = self.cache.document(url.as_str(), limit);
        let headers = known.as_ref().map(conditions).unwrap_or_default();
        let mut answer = self.http.get(url, headers, self.reporter)?;
        match (answer.status, known) {
            (304, Some(known)) => return Ok(known.body),
            (200..=299, _) => {}
            (code, _) => return Err(Reason::Status { code, retry_after: None }.into()),
        }
        let body = body(&mut answer, limit)?;
        let header = |name| answer.header(name).map(str::to_owned);
        let head = DocumentHead {
            url: url.to_string(),
            etag: header(&ETAG),
            last_modified: header(&LAST_MODIFIED),
            digest: Checksum::of(&body),
        };
        let document = Document { head, body };
        if document.head.etag.is_some() || document.head.last_modified.is_some() {
            self.cache.remember_document(&document)?;
        }
        Ok(document.body)
    }
}

fn body(answer: &mut Answer<'_>, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.next_chunk()? {
        if body.len().saturating_add(chunk.len()) as u64 > limit {
            return Err(Reason::TooLong(limit).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The headers that ask whether a document has changed.
fn conditions(known: &Document) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name, value: &Option<String>| {
        let value = value.as_deref().and_then(|value| HeaderValue::from_str(value).ok());
        value.map(|value| headers.insert(name, value))
    };
    add(IF_NONE_MATCH, &known.head.etag);
    add(IF_MODIFIED_SINCE, &known.head.last_modified);
    headers
}

fn read_local(local: &Local, limit: u64) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::new();
    let (file, _) = local.open()?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Reason::File)?;
    if bytes.len() as u64 > limit {
        return Err(Reason::TooLong(limit));
    }
    Ok(bytes)
}
