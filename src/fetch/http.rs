//! One HTTP request at a time: connection limits, redirects, stalls, and errors put into words.
//!
//! Every request runs in a thread of its own that hands over what arrives. The caller therefore
//! never sits in a system call: it notices cancellation and stalls while a name server or a peer
//! says nothing. Such a thread is left behind and ends when its call does; it owns nothing but
//! the connection. Where there is no thread to be had, the caller waits itself.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::blocking::{Client, Request, RequestBuilder};
use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, HeaderMap, HeaderName, RETRY_AFTER};

use super::client::{CONNECTIONS_PER_HOST, Unmade, build_client};
use super::error::{Failure, Through};
use super::exchange::{Exchange, Message};
use super::login::{Logins, Tickets};
use super::netrc::Netrc;
use super::wording::innermost;
use super::{FetchError, FetchOptions, Reason};
use crate::model::without_userinfo;
use crate::report::{Measuring, Reporter};
use crate::tools::network::Way;
use crate::tools::threads;

/// Pieces that may wait for the caller.
const CHUNKS_AHEAD: usize = 4;
/// How many stall time-outs the answer to what was sent may take.
const PATIENCE_AFTER_SENDING: u32 = 3;
/// How often a waiting caller looks up.
const TICK: Duration = Duration::from_millis(50);

/// The HTTP side of a fetcher. The client is made when the first request needs it: reading the
/// system's certificates takes longer than a run that fetches nothing.
pub(super) struct Http {
    client: OnceLock<Result<Client, Unmade>>,
    busy: Mutex<HashMap<String, usize>>,
    freed: Condvar,
    connect_timeout: Duration,
    stall_timeout: Duration,
    minimum_rate: u64,
    /// Whether nobody is asked.
    is_offline: bool,
    way: Arc<Way>,
    pub(super) netrc: Netrc,
    /// What stood in URLs.
    pub(super) logins: Logins,
    /// What registries gave.
    pub(super) tickets: Tickets,
    /// The host of `--mirror`: the user vouched for it, so it may be told a password over http.
    mirror_host: Option<String>,
}

impl Http {
    /// Nothing is connected yet.
    pub(super) fn new(options: &FetchOptions, reporter: &dyn Reporter) -> Self {
        let (netrc, problem) = match &options.netrc {
            Some(path) => Netrc::read(path),
            None => (Netrc::default(), None),
        };
        if let Some(problem) = problem {
            reporter.warning(problem);
        }
        let mirror = options.mirror.as_ref().and_then(|mirror| Url::parse(mirror).ok());
        let logins = Logins::default();
        for url in options.logins.iter().filter_map(|url| Url::parse(url).ok()) {
            logins.take(url);
        }
        Self {
            client: OnceLock::new(),
            busy: Mutex::default(),
            freed: Condvar::new(),
            connect_timeout: options.connect_timeout,
            stall_timeout: options.stall_timeout,
            minimum_rate: options.minimum_rate,
            is_offline: options.offline,
            way: Arc::new(Way::new(options.variables.clone())),
            netrc,
            logins,
            tickets: Tickets::default(),
            mirror_host: mirror.as_ref().map(host),
        }
    }

    /// Asks for `url` and returns the head of a successful answer (2xx, 304 or 416).
    pub(super) fn get<'a>(
        &'a self,
        url: &Url,
        headers: HeaderMap,
        reporter: &'a dyn Reporter,
    ) -> Result<Answer<'a>, Failure> {
        self.get_at(url, url, headers, reporter)
    }

    /// The same of the place `url` that an answer to `asked` came from. Nobody named it but whoever
    /// answered: it is told the name and password for `asked` where it has the same scheme, host and port,
    /// and else none.
    pub(super) fn get_at<'a>(
        &'a self,
        url: &Url,
        asked: &Url,
        headers: HeaderMap,
        reporter: &'a dyn Reporter,
    ) -> Result<Answer<'a>, Failure> {
        let is_asked = url.origin() == asked.origin();
        let ticket = self.tickets.find(asked).filter(|_| is_asked);
        let login = self.credentials(asked).filter(|_| is_asked && ticket.is_none());
        let make = |client: &Client| {
            let request = client.get(url.clone()).headers(headers.clone());
            match (&ticket, &login) {
                (Some(ticket), _) => request.header(AUTHORIZATION, ticket.clone()),
                (_, Some((name, password))) => request.basic_auth(name, Some(password)),
                _ => request,
            }
        };
        let answer = self.ask(url, &make, None, reporter)?;
        check_status(answer.status, &answer.headers)
            .map_err(|reason| reason.met(answer.through()))?;
        Ok(answer)
    }

    /// Sends the request for `url` that `make` makes, and returns the head of the answer whatever its status. It
    /// is told no name and no password but what is in it. `sent` counts the bytes of what is sent with it.
    pub(super) fn ask<'a>(
        &'a self,
        url: &Url,
        make: &dyn Fn(&Client) -> RequestBuilder,
        sent: Option<Arc<AtomicU64>>,
        reporter: &'a dyn Reporter,
    ) -> Result<Answer<'a>, Failure> {
        // The one door to the network.
        if self.is_offline {
            return Err(Reason::Offline.into());
        }
        let proxy = self.way.check(url).map_err(FetchError::Variable)?;
        let client = self.client()?;
        let permit = self.permit(&host(url), reporter)?;
        let mut measuring = reporter.measure_on("request", shown(url));
        let build = || make(&client).build().map_err(|error| Reason::Broken(innermost(&error)));
        let (sender, receiver) = sync_channel(CHUNKS_AHEAD);
        let work = {
            let (client, way, request) = (client.clone(), self.way.clone(), build()?);
            move || serve(&client, &way, request, &sender)
        };
        let source = match threads::detach("request", work) {
            Ok(()) => MessageSource::There(receiver),
            Err(_) => {
                let exchange = Exchange::Asking(client.clone(), self.way.clone(), build()?);
                MessageSource::Here(Box::new(exchange))
            }
        };
        let through = proxy.as_ref().map(Through::of);
        let (waited, bytes) = (Duration::ZERO, 0);
        let mut body =
            Body { http: self, reporter, source, through, waited, bytes, sent, sent_before: 0 };
        match body.receive()? {
            Message::Head(status, url, headers) => {
                measuring.add("status", status);
                Ok(Answer { status, url, headers, body, received: 0, measuring, _permit: permit })
            }
            Message::Chunk(_) | Message::End => {
                Err(Reason::Broken("an answer without a head".into()).into())
            }
            Message::Failed(failure) => Err(failure),
        }
    }

    /// The name and password for `url`: those that stood in a URL of its origin, or that `.netrc` has for
    /// its host. Of the latter none goes over http, but to the user's own mirror; and none to hosts that are
    /// not named, but to that. Redirects to another scheme, host or port are not told it.
    fn credentials(&self, url: &Url) -> Option<(String, String)> {
        if let Some(login) = self.logins.find(url) {
            return Some(login);
        }
        let is_own = self.mirror_host.as_ref() == Some(&host(url));
        let is_safe = url.scheme() == "https" || is_own;
        let named = url.host_str().filter(|_| is_safe)?;
        let (name, password) = self.netrc.credentials(named, is_own)?;
        Some((name.to_owned(), password.to_owned()))
    }

    /// The client, shared by all requests.
    fn client(&self) -> Result<Client, Failure> {
        let build = || build_client(&self.way, self.connect_timeout, self.stall_timeout);
        match self.client.get_or_init(build) {
            Ok(client) => Ok(client.clone()),
            Err(Unmade::Tls(reason)) => Err(Reason::Tls(reason.clone()).into()),
            Err(Unmade::System(number)) => {
                Err(FetchError::System(io::Error::from_raw_os_error(*number)).into())
            }
        }
    }

    /// Waits until the host has a connection to spare.
    fn permit(&self, host: &str, reporter: &dyn Reporter) -> Result<Permit<'_>, FetchError> {
        let mut busy = self.lock();
        loop {
            if reporter.is_cancelled() {
                return Err(FetchError::Cancelled);
            }
            let count = busy.entry(host.to_owned()).or_default();
            if *count < CONNECTIONS_PER_HOST {
                *count += 1;
                return Ok(Permit { http: self, host: host.to_owned() });
            }
            let woken = self.freed.wait_timeout(busy, TICK);
            busy = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among a host's connections.
struct Permit<'a> {
    http: &'a Http,
    host: String,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.http.lock().get_mut(&self.host) {
            *count = count.saturating_sub(1);
        }
        self.http.freed.notify_all();
    }
}

/// The answer to a request: its head, and a body that is still coming.
pub(super) struct Answer<'a> {
    /// The HTTP status.
    pub(super) status: u16,
    /// Where it came from, behind all redirects.
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    body: Body<'a>,
    /// Bytes of the body so far.
    received: u64,
    measuring: Measuring<'a>,
    _permit: Permit<'a>,
}

impl Answer<'_> {
    /// The proxy that may have given this answer itself: over https it lets through, and answers nothing.
    fn through(&self) -> Option<Through> {
        self.body.through.clone().filter(|_| self.url.scheme() == "http")
    }

    /// A header's value, where it is plain text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it goes on after the first `length` bytes of the file.
    pub(super) fn continues(&self, length: u64) -> bool {
        let start = self.header(&CONTENT_RANGE).and_then(|value| {
            value.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse::<u64>().ok()
        });
        self.status == 206 && start == Some(length)
    }

    /// The next piece of the body; `None` at its end.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        match self.body.receive()? {
            Message::Chunk(chunk) => {
                self.received += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Message::End => Ok(None),
            Message::Failed(failure) => Err(failure),
            Message::Head(..) => Err(Reason::Broken("a second head".into()).into()),
        }
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        self.measuring.add("bytes", self.received);
    }
}

/// What is shown of a URL: no name, no password, and nothing behind the path, where there may be a token.
fn shown(url: &Url) -> String {
    let text = without_userinfo(url.as_str());
    text.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Where messages come from.
enum MessageSource {
    /// The request's thread.
    There(Receiver<Message>),
    /// The connection itself.
    Here(Box<Exchange>),
}

/// The caller's end of a request.
struct Body<'a> {
    http: &'a Http,
    reporter: &'a dyn Reporter,
    source: MessageSource,
    through: Option<Through>,
    /// Time spent waiting for the network since the rate was last judged …
    waited: Duration,
    /// … and the bytes that came in it.
    bytes: u64,
    /// The bytes that went out with the request, and how many had then.
    sent: Option<Arc<AtomicU64>>,
    sent_before: u64,
}

impl Body<'_> {
    fn receive(&mut self) -> Result<Message, Failure> {
        loop {
            if self.reporter.is_cancelled() {
                return Err(FetchError::Cancelled.into());
            }
            let start = Instant::now();
            let message = match &mut self.source {
                MessageSource::There(receiver) => receiver.recv_timeout(TICK),
                MessageSource::Here(exchange) => Ok(exchange.next()),
            };
            self.waited += start.elapsed();
            match message {
                Ok(message) => {
                    if let Message::Chunk(chunk) = &message {
                        self.bytes += chunk.len() as u64;
                    }
                    self.judge_rate()?;
                    return Ok(message);
                }
                Err(RecvTimeoutError::Timeout) => self.judge_rate()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Reason::Broken("the request ended without an answer".into()).into());
                }
            }
        }
    }

    /// Once per stall time-out: enough must have come. A server that sends a byte now and then
    /// is as good as a silent one.
    fn judge_rate(&mut self) -> Result<(), Reason> {
        let mut timeout = self.http.stall_timeout;
        if self.sent.is_some() {
            // Whoever was sent much may have to put it somewhere before the answer.
            timeout = timeout.saturating_mul(PATIENCE_AFTER_SENDING);
        }
        if self.waited < timeout {
            return Ok(());
        }
        let least = u128::from(self.http.minimum_rate).saturating_mul(timeout.as_millis()) / 1000;
        let sent = self.sent.as_ref().map_or(0, |sent| sent.load(Ordering::Relaxed));
        let moved = self.bytes.saturating_add(sent.saturating_sub(self.sent_before));
        if u128::from(moved) <= least {
            return Err(Reason::Stalled(timeout).met(self.through.clone()));
        }
        (self.waited, self.bytes, self.sent_before) = (Duration::ZERO, 0, sent);
        Ok(())
    }
}

/// A request's thread. It ends early when nobody listens any more.
fn serve(client: &Client, way: &Arc<Way>, request: Request, sender: &SyncSender<Message>) {
    let mut exchange = Exchange::Asking(client.clone(), Arc::clone(way), request);
    loop {
        let message = exchange.next();
        let is_last = matches!(message, Message::End | Message::Failed(_));
        if sender.send(message).is_err() || is_last {
            return;
        }
    }
}

/// Turns a status that brings no content into a reason.
pub(super) fn check_status(status: u16, headers: &HeaderMap) -> Result<(), Reason> {
    match status {
        200..=299 | 304 | 416 => Ok(()),
        300..=399 => Err(Reason::Redirect(format!("HTTP status {status} leads nowhere"))),
        404 | 410 => Err(Reason::NotFound(status)),
        code => {
            let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = seconds.and_then(|value| value.trim().parse().ok());
            Err(Reason::Status { code, retry_after: retry_after.map(Duration::from_secs) })
        }
    }
}

/// Host and port: what connections are counted by.
pub(super) fn host(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_go_to_the_host_they_are_for() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tmp/netrc");
        let path = std::path::PathBuf::from(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "machine a login ann password s\ndefault login x password y\n")
            .unwrap();
        let mut options = FetchOptions::new("/nonexistent");
        options.netrc = Some(path.clone());
        options.mirror = Some("http://a:8080/el".to_owned());
        let http = Http::new(&options, &crate::report::Silent::default());
        let found = |http: &Http, url: &str| http.credentials(&Url::parse(url).unwrap());
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        let login = |url: &str| found(&http, url);
        assert_eq!(login("https://a/x"), pair("ann", "s"));
        assert_eq!(login("http://a:8080/x"), pair("ann", "s"));
        assert_eq!(login("http://a/x"), None);
        // The entry for all is for no stranger.
        assert_eq!(login("https://b/x"), None);
        options.logins = vec!["https://own:word@a:8443/x".to_owned()];
        options.mirror = Some("https://b/el".to_owned());
        let http = Http::new(&options, &crate::report::Silent::default());
        let login = |url: &str| found(&http, url);
        assert_eq!(login("https://b/x"), pair("x", "y"));
        assert_eq!(login("https://c/x"), None);
        // What stood in a URL counts first, for its origin.
        assert_eq!(login("https://a:8443/y"), pair("own", "word"));
        assert_eq!(login("https://a/x"), pair("ann", "s"));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn statuses_are_told_apart() {
        let status = |code| check_status(code, &HeaderMap::new());
        assert!(status(200).is_ok() && status(206).is_ok() && status(304).is_ok());
        assert!(matches!(status(404), Err(Reason::NotFound(404))));
        assert!(matches!(status(302), Err(Reason::Redirect(_))));
        assert!(matches!(status(503), Err(Reason::Status { code: 503, .. })));
    }
}
