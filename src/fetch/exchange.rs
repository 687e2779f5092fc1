//! One request and its answer, piece by piece, by whoever waits for them.

use std::io::{self, Read};

use reqwest::Url;
use reqwest::blocking::{Client, Request, Response};
use reqwest::header::HeaderMap;

use super::error::Failure;
use super::http::{innermost, limit, reason};
use super::{FetchError, Reason};

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
    Asking(Client, Request),
    /// The head was handed over.
    Answering(Response),
    /// All was.
    Over,
}

impl Exchange {
    /// What comes next.
    pub(super) fn next(&mut self) -> Message {
        match std::mem::replace(self, Self::Over) {
            Self::Asking(client, request) => match ask(&client, request) {
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
fn ask(client: &Client, request: Request) -> Result<(Message, Response), Failure> {
    let host = request.url().host_str().unwrap_or_default().to_owned();
    let response = client.execute(request).map_err(|error| match limit(&error) {
        Some(number) => FetchError::System(io::Error::from_raw_os_error(number)).into(),
        None => Failure::from(reason(&error, host)),
    })?;
    let (status, url) = (response.status().as_u16(), response.url().clone());
    Ok((Message::Head(status, url, response.headers().clone()), response))
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
