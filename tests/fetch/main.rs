//! Fetching from a server that fails in every way that mirrors do.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod content;
mod documents;
mod streams;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::time::Duration;

use elsewhere::stages::fetch::{FetchError, FetchOptions, Fetched, Fetcher, Reason};
use elsewhere::stages::model::Checksum;
use elsewhere::stages::report::Phase;
use support::scratch::{Log, Scratch};
use support::server::Server;

/// What the tests' mirror stands for.
pub(crate) const SITE: &str = "https://repo.example";

/// A server with one file, a cache beside it, and the file's content.
pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) server: Server,
    pub(crate) log: Log,
    pub(crate) content: Vec<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new("fetch");
        let content: Vec<u8> = (0..300_000_u32).map(|n| (n * 7 + n / 251) as u8).collect();
        for name in ["a/file", "b/file", "c/file"] {
            scratch.write(&format!("mirror/repo.example/{name}"), &content);
        }
        let server = Server::start(scratch.path().join("mirror"));
        Self { scratch, server, log: Log::default(), content }
    }

    pub(crate) fn options(&self) -> FetchOptions {
        FetchOptions {
            mirror: Some(self.server.url()),
            attempts: 2,
            pause: Duration::from_millis(1),
            stall_timeout: Duration::from_millis(400),
            ..FetchOptions::new(self.scratch.path().join("cache"))
        }
    }

    pub(crate) fn fetcher(&self) -> Fetcher<'_> {
        Fetcher::new(self.options(), &self.log).unwrap()
    }

    pub(crate) fn checksum(&self) -> Checksum {
        Checksum::of(&self.content)
    }

    /// Fetches the file from these directories, knowing its digest and size.
    pub(crate) fn content(&self, places: &[&str]) -> Result<Fetched, FetchError> {
        let size = Some(self.content.len() as u64);
        let progress = Some(Phase::Download);
        self.fetcher().content(&urls(places), &self.checksum(), size, progress)
    }

    pub(crate) fn partial_files(&self) -> usize {
        fs::read_dir(self.scratch.path().join("cache/partial")).unwrap().count()
    }
}

pub(crate) fn urls(places: &[&str]) -> Vec<String> {
    places.iter().map(|place| format!("{SITE}/{place}/file")).collect()
}

/// The reason of the only place that was tried.
pub(crate) fn only_reason(error: &FetchError) -> &Reason {
    assert_eq!(error.attempts().len(), 1, "{error}");
    &error.attempts()[0].reason
}
