//! One big file over several connections, where one is slow: by its server's limit, or because the
//! way is long. Never more at a time than a host may be asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::header::{ACCEPT_RANGES, HeaderMap, HeaderValue, RANGE};

use super::cache::Partial;
use super::error::Failure;
use super::http::{Answer, CONNECTIONS_PER_HOST};
use super::{FetchError, Fetcher, Reason};
use crate::tools::threads::{self, Queue};

/// Bytes of a piece: large enough that asking for it takes no noticeable part of the time.
const PIECE: u64 = 2 << 20;
/// With less than this left, one connection goes on alone.
const LEAST_LEFT: u64 = 8 << 20;
/// How long one connection is watched before it is judged …
const WATCHED: Duration = Duration::from_millis(150);
/// … and how long the rest may take at its rate.
const SOON: Duration = Duration::from_millis(700);

/// Watches one connection's rate.
pub(super) struct Watch {
    started: Instant,
    first: u64,
}

impl Watch {
    /// Begins when `length` bytes are there.
    pub(super) fn new(length: u64) -> Self {
        Self { started: Instant::now(), first: length }
    }

    /// Whether several connections would be faster: much is left, it comes slowly, and the server
    /// gives parts of files.
    pub(super) fn is_slow(&self, answer: &Answer<'_>, length: u64, size: u64) -> bool {
        let (left, elapsed) = (size.saturating_sub(length), self.started.elapsed());
        if left < LEAST_LEFT || elapsed < WATCHED {
            return false;
        }
        let came = length.saturating_sub(self.first).max(1);
        let rest = elapsed.as_secs_f64() * left as f64 / came as f64;
        rest > SOON.as_secs_f64() && answer.header(&ACCEPT_RANGES) == Some("bytes")
    }
}

/// A file that several threads bring.
struct Pieces<'a> {
    url: &'a Url,
    /// What was asked for, where that led to `url`.
    asked: &'a Url,
    file: File,
    path: PathBuf,
    size: u64,
    /// Where the first piece begins.
    first: u64,
    /// The numbers of the pieces.
    queue: Queue,
    is_over: AtomicBool,
}

impl Fetcher<'_> {
    /// Brings what `partial` lacks of the `size` bytes at `url`, where the answer to `asked` came from, in
    /// pieces. `grown` hears what is there without a gap. After a failure, only that is left.
    pub(super) fn receive_pieces(
        &self,
        (url, asked): (&Url, &Url),
        size: u64,
        partial: &mut Partial,
        mut grown: impl FnMut(u64),
    ) -> Result<(), Failure> {
        let pieces = Pieces {
            url,
            asked,
            file: partial.handle()?,
            path: partial.path().to_owned(),
            size,
            first: partial.length,
            queue: Queue::default(),
            is_over: AtomicBool::new(false),
        };
        let result = std::thread::scope(|scope| {
            let (sender, done) = channel();
            for _ in 0..CONNECTIONS_PER_HOST {
                let (sender, pieces) = (sender.clone(), &pieces);
                threads::spawn(scope, move || self.bring_pieces(pieces, &sender));
            }
            drop(sender);
            let mut waiting = BTreeMap::new();
            let mut result = Ok(());
            for piece in done {
                let taken = piece.and_then(|(start, end)| {
                    if partial.is_abandoned() {
                        return Err(FetchError::Cancelled.into());
                    }
                    waiting.insert(start, end);
                    while let Some(end) = waiting.remove(&partial.length) {
                        partial.take_in(end)?;
                        grown(partial.length);
                    }
                    Ok(())
                });
                if taken.is_err() {
                    pieces.is_over.store(true, Ordering::Relaxed);
                    result = result.and(taken);
                }
            }
            result
        });
        partial.trim()?;
        result
    }

    /// A thread that brings piece after piece.
    fn bring_pieces(&self, pieces: &Pieces<'_>, done: &Sender<Result<(u64, u64), Failure>>) {
        while !pieces.is_over.load(Ordering::Relaxed) {
            let start = PIECE.saturating_mul(pieces.queue.number() as u64);
            let start = pieces.first.saturating_add(start);
            if start >= pieces.size {
                return;
            }
            let end = start.saturating_add(PIECE).min(pieces.size);
            let result = self.bring_piece(pieces, start, end).map(|()| (start, end));
            let is_last = result.is_err();
            if done.send(result).is_err() || is_last {
                return;
            }
        }
    }

    fn bring_piece(&self, pieces: &Pieces<'_>, start: u64, end: u64) -> Result<(), Failure> {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&format!("bytes={start}-{}", end - 1)) {
            headers.insert(RANGE, value);
        }
        let mut answer = self.http.get_at(pieces.url, pieces.asked, headers, self.reporter)?;
        if !answer.continues(start) {
            return Err(Reason::Broken("the server did not send the part asked for".into()).into());
        }
        let mut at = start;
        while let Some(chunk) = answer.next_chunk()? {
            let after = at.saturating_add(chunk.len() as u64);
            if after > end {
                return Err(Reason::TooLong(end - start).into());
            }
            let written = pieces.file.write_all_at(&chunk, at);
            written.map_err(|error| FetchError::cache("write", &pieces.path, error))?;
            at = after;
            if pieces.is_over.load(Ordering::Relaxed) {
                break;
            }
        }
        match at == end {
            true => Ok(()),
            false => Err(Reason::Size { got: at - start, expected: end - start }.into()),
        }
    }
}
