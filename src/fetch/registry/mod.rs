//! OCI registries: manifests and blobs, had and given, by the requests of OCI's distribution specification. What
//! they mean is the caller's. Nothing here gives trust: bytes count by their digest.
//!
//! Blobs come through the cache as every other file does; a registry is then a place with a ticket.

mod challenge;
mod document;
mod error;
mod logins;
mod payload;
mod push;
mod reference;
mod referrers;
mod ticket;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::Deserialize;

pub(crate) use document::{
    DOCKER_INDEX, DOCKER_MANIFEST, DOCUMENT_LIMIT, Descriptor, INDEX, ImageIndex, ImageManifest,
    MANIFEST, Platform, TITLE,
};
pub(crate) use error::RegistryError;
pub(crate) use payload::Payload;
pub(crate) use push::Delivery;
pub(crate) use reference::{ManifestName, Reference, SCHEME};

use logins::Login;

use super::error::{Attempt, Failure};
use super::http::{Answer, check_status};
use super::{FetchError, Fetched, Fetcher, Reason};
use crate::model::{Checksum, escape};
use crate::report::{Event, Phase};

/// The digest of what is answered, as the registry says.
const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");
/// How many manifests a registry gives in a time, and how many of these are left: `100;w=21600`.
const LIMIT_HEADER: HeaderName = HeaderName::from_static("ratelimit-limit");
const LEFT_HEADER: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// Most bytes of an error's text that are read.
const ERROR_LIMIT: u64 = 64 << 10;
/// Most characters of it that are shown.
const SHOWN: usize = 300;

/// What a registry is asked to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
}

impl Access {
    /// As a token's scope has it.
    fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// A repository of a registry.
pub(crate) struct Registry<'f> {
    fetcher: &'f Fetcher<'f>,
    /// The registry and the repository, for people.
    place: String,
    repository: String,
    /// `/v2/REPOSITORY/`.
    base: Url,
    access: Access,
    login: Option<Login>,
    /// Another repository of the registry, which may have what is pushed.
    sibling: Option<String>,
}

/// A request.
struct Ask<'a> {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<&'a Payload>,
    /// What it is for, after "cannot".
    action: &'a str,
}

impl<'a> Ask<'a> {
    fn new(method: Method, url: Url, action: &'a str) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None, action }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.append(name, HeaderValue::from_static(value));
        self
    }
}

/// Why something was not done.
enum Trouble {
    /// And will not be.
    Final(RegistryError),
    /// And may be a little later.
    Passing(RegistryError),
}

impl<E: Into<RegistryError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

impl<'f> Registry<'f> {
    /// The repository of `reference`. Plain http is spoken where `is_plain`; unless that says otherwise, with this
    /// machine itself too. Who is to push is asked in now: whoever may not is told so before anything is made
    /// ready. Who pulls asks nothing but what the cache does not have.
    ///
    /// # Errors
    /// When it does not answer as a registry, or lets nobody in.
    pub(crate) fn open(
        fetcher: &'f Fetcher<'f>,
        reference: &Reference,
        access: Access,
        is_plain: Option<bool>,
    ) -> Result<Self, RegistryError> {
        let Reference { registry, repository, .. } = reference;
        let place = format!("{registry}/{repository}");
        let registries = &fetcher.options.registries;
        let address = registries.address(registry);
        let is_plain = is_plain.unwrap_or_else(|| is_loopback(address));
        let scheme = if is_plain { "http" } else { "https" };
        let url = |path: &str| {
            Url::parse(&format!("{scheme}://{address}/v2/{path}")).map_err(|_| {
                RegistryError::Answer { place: place.clone(), what: "is no address".to_owned() }
            })
        };
        let (root, base) = (url("")?, url(&format!("{repository}/"))?);
        let files = &fetcher.options.registry_logins;
        let mut found = logins::find(files, registry, repository)?;
        for name in registries.find(registry).map_or(&[][..], |known| &known.logins) {
            found =
                found.map_or_else(|| logins::find(files, name, repository), |it| Ok(Some(it)))?;
        }
        let login = match found {
            Some(found @ (Login::Password { .. } | Login::Identity { .. })) => Some(found),
            other => netrc(fetcher, &root).or(other),
        };
        let repository = repository.clone();
        let sibling = None;
        let registry = Self { fetcher, place, repository, base, access, login, sibling };
        if access == Access::Push {
            registry.enter(&root)?;
        }
        Ok(registry)
    }

    /// The same, where blobs that the repository `sibling` of the registry has need not be sent.
    #[must_use]
    pub(crate) fn beside(self, sibling: Option<String>) -> Self {
        Self { sibling: sibling.filter(|sibling| *sibling != self.repository), ..self }
    }

    fn enter(&self, root: &Url) -> Result<(), RegistryError> {
        self.patiently(|| {
            let ask = Ask::new(Method::GET, root.clone(), "enter the registry");
            let answer = self.once(&ask)?;
            match answer.status {
                401 if self.get_ticket(&answer)? => Ok(()),
                200..=299 => Ok(()),
                _ => Err(self.refusal(answer, ask.action)),
            }
        })
    }

    /// The bytes of a manifest or an index: those with the digest, where it is named by that. Then the registry
    /// is asked only where the cache does not have them.
    ///
    /// # Errors
    /// When it cannot be had, is too large, or has another digest.
    pub(crate) fn manifest(&self, target: &ManifestName) -> Result<Vec<u8>, RegistryError> {
        if let ManifestName::Digest(digest) = target
            && let Some(found) = self.fetcher.stored(digest, DOCUMENT_LIMIT)?
        {
            return Ok(found);
        }
        let action = format!("read {}", self.called(target));
        let found = self.patiently(|| {
            let answer = self.send(&self.asking_manifest(Method::GET, target, &action)?)?;
            match answer.status {
                200 => self.body(answer, DOCUMENT_LIMIT),
                _ => Err(self.refusal(answer, &action)),
            }
        })?;
        let got = Checksum::of(&found);
        match target {
            ManifestName::Digest(expected) if got != *expected => {
                let reason = Reason::Digest { expected: expected.clone(), got };
                Err(self.failed(&self.manifest_url(target)?, reason))
            }
            _ => {
                self.fetcher.store(&got, &found)?;
                Ok(found)
            }
        }
    }

    /// What a tag means now, asked for without the manifest itself, which some registries count; `None` where the
    /// registry does not say.
    ///
    /// # Errors
    /// When there is no such tag, or the registry does not answer.
    pub(crate) fn meaning(&self, tag: &ManifestName) -> Result<Option<Checksum>, RegistryError> {
        let action = format!("find {}", self.called(tag));
        self.patiently(|| {
            let answer = self.send(&self.asking_manifest(Method::HEAD, tag, &action)?)?;
            if answer.status != 200 {
                return Err(self.refusal(answer, &action));
            }
            self.tell_limit(&answer);
            let digest = answer.header(&DIGEST_HEADER).and_then(reference::sha256);
            Ok(digest)
        })
    }

    /// Tells how many requests the registry still answers, where it says so.
    fn tell_limit(&self, answer: &Answer<'_>) {
        let [limit, left] = [&LIMIT_HEADER, &LEFT_HEADER].map(|name| answer.header(name));
        if let (Some(limit), Some(left)) = (limit, left) {
            let number = |text: &str| text.split(';').next().unwrap_or_default().trim().to_owned();
            let window = limit.split(";w=").nth(1).and_then(|it| it.trim().parse::<u64>().ok());
            let window = window.map_or_else(String::new, |it| format!(" in {} s", it));
            let (limit, left) = (number(limit), number(left));
            let told = format!("{}: {left} of {limit} pulls are left{window}", self.place);
            self.fetcher.reporter.detail(escape(&told).into_owned());
        }
    }

    /// The blob with this SHA-256 and size, through the cache.
    ///
    /// # Errors
    /// When it cannot be had, or is another.
    pub(crate) fn blob(
        &self,
        checksum: &Checksum,
        size: u64,
        phase: Option<Phase>,
    ) -> Result<Fetched, RegistryError> {
        let url = self.blob_url(checksum)?;
        let urls = [url.to_string()];
        let get = || self.fetcher.content(&urls, checksum, Some(size), phase);
        let action = format!("read the blob sha256:{}", checksum.hex());
        match get() {
            Err(error) if status_of(&error).is_some() => {
                // A ticket may have run out. This gets another one, or tells why there is none.
                let ask = Ask::new(Method::HEAD, url, &action);
                self.patiently(|| {
                    let answer = self.send(&ask)?;
                    match answer.status {
                        200..=299 => Ok(()),
                        _ => Err(self.refusal(answer, &action)),
                    }
                })?;
                Ok(get()?)
            }
            fetched => Ok(fetched?),
        }
    }

    /// Does `work` again, a little later, where that may help.
    fn patiently<T>(
        &self,
        mut work: impl FnMut() -> Result<T, Trouble>,
    ) -> Result<T, RegistryError> {
        let rounds = self.fetcher.options.attempts.max(1);
        let mut round = 1;
        loop {
            match work() {
                Ok(value) => return Ok(value),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(error)) if round >= rounds => return Err(error),
                Err(Trouble::Passing(error)) => {
                    let told = Event::Retry { url: self.place.clone(), reason: error.to_string() };
                    self.fetcher.reporter.event(told);
                    match &error {
                        RegistryError::Fetch(error) => {
                            self.fetcher.pause(round, error.attempts())?;
                        }
                        RegistryError::Refused { status, retry_after, .. } => {
                            let reason =
                                Reason::Status { code: *status, retry_after: *retry_after };
                            let attempt = Attempt { url: self.place.clone(), reason };
                            self.fetcher.pause(round, &[attempt])?;
                        }
                        _ => self.fetcher.pause(round, &[])?,
                    }
                    round += 1;
                }
            }
        }
    }

    /// Sends a request; once more with a new ticket, where it is refused for the lack of one.
    fn send(&self, ask: &Ask<'_>) -> Result<Answer<'_>, Trouble> {
        let answer = self.once(ask)?;
        if answer.status != 401 || !self.is_own(&ask.url) || !self.get_ticket(&answer)? {
            return Ok(answer);
        }
        drop(answer);
        self.once(ask)
    }

    /// Sends a request. The ticket goes to the registry itself, and to nobody else that it names.
    fn once(&self, ask: &Ask<'_>) -> Result<Answer<'_>, Trouble> {
        let http = &self.fetcher.http;
        let ticket = http.tickets.find(&ask.url).or_else(|| {
            // An upload may go on at another path.
            http.tickets.find(&self.base).filter(|_| self.is_own(&ask.url))
        });
        let sent = ask.body.map(|_| Arc::<AtomicU64>::default());
        let make = |client: &Client| -> RequestBuilder {
            let request = client.request(ask.method.clone(), ask.url.clone());
            let request = request.headers(ask.headers.clone());
            let request = match &ticket {
                Some(ticket) => request.header(AUTHORIZATION, ticket.clone()),
                None => request,
            };
            match ask.body {
                Some(body) => body.put_into(request, sent.clone().unwrap_or_default()),
                None => request,
            }
        };
        let answer = http.ask(&ask.url, &make, sent.clone(), self.fetcher.reporter);
        answer.map_err(|failure| self.trouble(&ask.url, failure))
    }

    fn trouble(&self, url: &Url, failure: Failure) -> Trouble {
        match failure {
            Failure::Fatal(error) => Trouble::Final(error.into()),
            Failure::Here(reason) => {
                let is_transient = reason.is_transient();
                let error = self.failed(url, reason);
                if is_transient { Trouble::Passing(error) } else { Trouble::Final(error) }
            }
        }
    }

    fn failed(&self, url: &Url, reason: Reason) -> RegistryError {
        let mut shown = url.clone();
        // There may be secrets in what an upload's place has there.
        shown.set_query(None);
        FetchError::Unavailable(vec![Attempt { url: shown.into(), reason }]).into()
    }

    /// What an answer that is no success says.
    fn refusal(&self, answer: Answer<'_>, action: &str) -> Trouble {
        let status = answer.status;
        if let (401, Some(Login::Helper { helper, file })) = (status, &self.login) {
            let (helper, file) = (helper.clone(), file.clone());
            return Trouble::Final(RegistryError::Helper {
                place: self.place.clone(),
                file,
                helper,
            });
        }
        let asked = answer.header(&RETRY_AFTER).and_then(|it| it.trim().parse().ok());
        let retry_after = asked.map(std::time::Duration::from_secs);
        let is_transient =
            check_status(status, &answer.headers).is_err_and(|reason| reason.is_transient());
        let said = self.body(answer, ERROR_LIMIT).map(|body| said(&body)).unwrap_or_default();
        let error = RegistryError::Refused {
            place: self.place.clone(),
            action: action.to_owned(),
            status,
            said,
            retry_after,
            login: self.login.as_ref().map(|login| login.file().to_owned()),
        };
        if is_transient { Trouble::Passing(error) } else { Trouble::Final(error) }
    }

    /// All of an answer, which may have so many bytes.
    fn body(&self, mut answer: Answer<'_>, limit: u64) -> Result<Vec<u8>, Trouble> {
        let (url, mut body) = (answer.url.clone(), Vec::new());
        while let Some(chunk) =
            answer.next_chunk().map_err(|failure| self.trouble(&url, failure))?
        {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(self.failed(&url, Reason::TooLong(limit)).into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Whether a URL is the registry's own.
    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    fn answer_error(&self, what: impl Into<String>) -> RegistryError {
        RegistryError::Answer { place: self.place.clone(), what: what.into() }
    }

    fn called(&self, target: &ManifestName) -> String {
        match target {
            ManifestName::Tag(tag) => format!("the tag {tag}"),
            ManifestName::Digest(_) => format!("the manifest {target}"),
        }
    }

    fn url(&self, path: &str) -> Result<Url, RegistryError> {
        self.base.join(path).map_err(|_| self.answer_error(format!("{path} is no path")))
    }

    fn manifest_url(&self, target: &ManifestName) -> Result<Url, RegistryError> {
        self.url(&format!("./manifests/{target}"))
    }

    fn blob_url(&self, checksum: &Checksum) -> Result<Url, RegistryError> {
        self.url(&format!("./blobs/sha256:{}", checksum.hex()))
    }

    fn asking_manifest<'a>(
        &self,
        method: Method,
        target: &ManifestName,
        action: &'a str,
    ) -> Result<Ask<'a>, RegistryError> {
        let ask = Ask::new(method, self.manifest_url(target)?, action);
        let kinds = [INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];
        Ok(kinds.into_iter().fold(ask, |ask, kind| ask.with(ACCEPT, kind)))
    }
}

/// The HTTP status that a fetch failed with, where that says that somebody may not.
fn status_of(error: &FetchError) -> Option<u16> {
    error.attempts().iter().find_map(|attempt| match attempt.reason {
        Reason::Status { code: code @ (401 | 403), .. } | Reason::NotFound(code) => Some(code),
        _ => None,
    })
}

/// What `.netrc` has for the registry's host.
fn netrc(fetcher: &Fetcher<'_>, root: &Url) -> Option<Login> {
    let (name, password) = fetcher.http.netrc.credentials(root.host_str()?, false)?;
    let (name, password) = (name.to_owned(), password.to_owned());
    Some(Login::Password { name, password, file: ".netrc".to_owned() })
}

/// Whether a registry is this machine.
fn is_loopback(registry: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{registry}/")) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The first error of a registry's answer, in its words.
fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(Errors { errors }) = serde_json::from_slice(body) else { return String::new() };
    let Some(One { code, message }) = errors.into_iter().next() else { return String::new() };
    let said = if code.is_empty() || message.is_empty() {
        format!("{code}{message}")
    } else {
        format!("{code}: {message}")
    };
    said.chars().take(SHOWN).collect()
}
