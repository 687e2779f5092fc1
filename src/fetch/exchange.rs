//! One request and its answer, piece by piece, by whoever waits for them.

use std::io::{self, Read};
use std::sync::Arc;

use reqwest::Url;
use reqwest::blocking::{Client, Request, Response};
use reqwest::header::HeaderMap;

use super::error::{Failure, Through};
use super::wording::{innermost, limit, reason};
use super::{FetchError, Reason};
use crate::tools::network::Way;

/// Bytes of a piece.
const CHUNK: usize = 128 * 1024;

/// What a request's thread hands over.
pub(super) enum Message {
    Head(u16, Url, HeaderMap),
    Chunk(Vec<u8>),
    End,
    Failed(Failure),
}

/// A request and its answer.
pub(super) enum Exchange {
    /// Nothing was asked yet.
    Asking(Client, Arc<Way>, Request),
    /// The head was handed over.
    Answering(Response),
    /// All was.
    Over,
}

impl Exchange {
    /// What comes next.
    pub(super) fn next(&mut self) -> Message {
        match std::mem::replace(self, Self::Over) {
            Self::Asking(client, way, request) => match ask(&client, &way, request) {
                Ok((head, response)) => {
                    *self = Self::Answering(response);
                    head
                }
                Err(failure) => Message::Failed(failure),
            },
            Self::Answering(mut response) => {
                let message = read(&mut response);
                if matches!(message, Message::Chunk(_)) {
                    *self = Self::Answering(response);
                }
                message
            }
            Self::Over => Message::End,
        }
    }
}

/// Asks, and waits for the answer's head.
fn ask(client: &Client, way: &Way, request: Request) -> Result<(Message, Response), Failure> {
    let url = request.url().clone();
    let response = client.execute(request).map_err(|error| match limit(&error) {
        Some(number) => FetchError::System(io::Error::from_raw_os_error(number)).into(),
        None => Failure::from(blamed(&error, way, error.url().unwrap_or(&url))),
    })?;
    let (status, url) = (response.status().as_u16(), response.url().clone());
    Ok((Message::Head(status, url, response.headers().clone()), response))
}

/// What went wrong with a request for `url`, and whether a proxy was in the way.
fn blamed(error: &reqwest::Error, way: &Way, url: &Url) -> Reason {
    let proxy = way.proxy(url).ok().flatten();
    // Of a proxy only its own name is asked for here, but for those that want addresses.
    let is_asked_here = proxy.as_ref().is_none_or(|proxy| proxy.wants_addresses());
    let named = proxy.as_ref().filter(|_| !is_asked_here).map_or(url, |proxy| &proxy.url);
    let reason = reason(error, named.host_str().unwrap_or_default().to_owned());
    match reason {
        // The answer's fault, not the way's.
        Reason::Redirect(_) => reason,
        reason => reason.met(proxy.as_ref().map(Through::of)),
    }
}

/// The next piece of an answer.
fn read(response: &mut Response) -> Message {
    let mut chunk = vec![0; CHUNK];
    match response.read(&mut chunk) {
        Ok(0) => Message::End,
        Ok(length) => {
            chunk.truncate(length);
            Message::Chunk(chunk)
        }
        Err(error) => Message::Failed(Reason::Broken(innermost(&error)).into()),
    }
}
