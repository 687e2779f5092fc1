//! One big file over several connections, where one is slow: by its server's limit, or because the
//! way is long. Never more at a time than a host may be asked for. Where that is slow too, other places
//! that have the file bring parts of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::header::{ACCEPT_RANGES, HeaderMap, HeaderValue, RANGE};

use super::board::{Board, Next, Piece};
use super::cache::Partial;
use super::client::CONNECTIONS_PER_HOST;
use super::error::Failure;
use super::http::Answer;
use super::{FetchError, Fetcher, Reason};
use crate::model::{Checksum, without_userinfo};
use crate::report::{Event, Reporter, Span};
use crate::tools::threads;

/// Bytes of a piece: large enough that asking for it takes no noticeable part of the time.
const PIECE: u64 = 2 << 20;
/// With less than this left, one connection goes on alone.
const LEAST_LEFT: u64 = 8 << 20;
/// How long one connection is watched before it is judged …
const WATCHED: Duration = Duration::from_millis(150);
/// … and how long the rest may take at its rate.
const SOON: Duration = Duration::from_millis(700);
/// How long all connections to one place are watched before others are asked for parts too …
const WATCHED_TOGETHER: Duration = Duration::from_secs(1);
/// … and how long the rest may take at their rate: other places are for what is really slow.
const NOT_TOO_LATE: Duration = Duration::from_secs(3);
/// How many other places.
const MOST_OTHERS: usize = 3;
/// Connections to each of them.
const CONNECTIONS_TO_OTHERS: usize = 2;
/// How often who has nothing to do looks again.
const TICK: Duration = Duration::from_millis(50);

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

/// Somewhere that has the file.
pub(super) struct Whereabouts {
    pub(super) url: Url,
    /// What was asked for, where that led to `url`.
    pub(super) asked: Url,
}

impl Whereabouts {
    fn show(&self) -> String {
        without_userinfo(self.asked.as_str()).into_owned()
    }
}

/// A part of a file, by whom it was brought, and what it was.
pub(super) struct Brought {
    piece: Piece,
    pub(super) place: Url,
    digest: Checksum,
}

impl Brought {
    /// Whether `file` has something else there.
    pub(super) fn differs(&self, file: &File) -> bool {
        digest_of(file, self.piece).is_none_or(|digest| digest != self.digest)
    }
}

/// What a file has in a piece.
fn digest_of(file: &File, piece: Piece) -> Option<Checksum> {
    let mut bytes = vec![0; usize::try_from(piece.end - piece.start).ok()?];
    file.read_exact_at(&mut bytes, piece.start).ok()?;
    Some(Checksum::of(&bytes))
}

/// A file that several threads bring.
struct Pieces<'a> {
    places: &'a [Whereabouts],
    file: File,
    path: PathBuf,
    board: Mutex<Board>,
    began: Instant,
    is_over: AtomicBool,
    /// The places that brought something that was not asked for, or nothing.
    dropped: Vec<AtomicBool>,
    /// Those of which it was said that they are asked.
    told: Vec<AtomicBool>,
}

/// What a thread did, and for which place.
type Done = (usize, Result<Piece, Failure>);

/// Asks for nothing any more once it is not wanted: another place was faster.
struct WhileWanted<'a> {
    reporter: &'a dyn Reporter,
    is_wanted: &'a (dyn Fn() -> bool + Sync),
}

impl Reporter for WhileWanted<'_> {
    fn event(&self, event: Event) {
        self.reporter.event(event);
    }

    fn is_cancelled(&self) -> bool {
        self.reporter.is_cancelled() || !(self.is_wanted)()
    }

    fn is_recording(&self) -> bool {
        self.reporter.is_recording()
    }

    fn span(&self, span: Span) {
        self.reporter.span(span);
    }
}

impl Pieces<'_> {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the place with this number is asked no more.
    fn is_dropped(&self, place: usize) -> bool {
        self.dropped.get(place).is_none_or(|dropped| dropped.load(Ordering::Relaxed))
    }

    fn drop_place(&self, place: usize) {
        if let Some(dropped) = self.dropped.get(place) {
            dropped.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a piece is still to be brought.
    fn is_wanted(&self, piece: Piece) -> bool {
        !self.is_over() && self.board().is_wanted(piece)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Waits until it is plain that the first place is slow. False where that does not come.
    fn wait_for_slowness(&self) -> bool {
        while !self.is_over() {
            let elapsed = self.began.elapsed();
            let rest = self.board().rest(elapsed.as_secs_f64());
            if rest == 0.0 {
                return false;
            }
            let is_slow = elapsed >= WATCHED_TOGETHER && rest > NOT_TOO_LATE.as_secs_f64();
            if is_slow || self.is_dropped(0) {
                return true;
            }
            sleep(TICK);
        }
        false
    }
}

impl Fetcher<'_> {
    /// Brings what `partial` lacks of the `size` bytes at the first of `places`, in pieces; where that is
    /// slow, at the others too. `grown` hears what is there without a gap. What each brought of it, where
    /// there were several. After a failure, only what is there without a gap is left.
    pub(super) fn receive_pieces(
        &self,
        places: &[Whereabouts],
        size: u64,
        partial: &mut Partial,
        mut grown: impl FnMut(u64),
    ) -> Result<Vec<Brought>, Failure> {
        let places = places.get(..places.len().min(1 + MOST_OTHERS)).unwrap_or_default();
        let pieces = Pieces {
            places,
            file: partial.handle()?,
            path: partial.path().to_owned(),
            board: Mutex::new(Board::new(partial.length, size, PIECE)),
            began: Instant::now(),
            is_over: AtomicBool::new(false),
            dropped: places.iter().map(|_| AtomicBool::default()).collect(),
            told: places.iter().map(|_| AtomicBool::default()).collect(),
        };
        let mut brought = Vec::new();
        let result = std::thread::scope(|scope| {
            let (sender, done) = channel();
            for place in 0..places.len() {
                let count = if place == 0 { CONNECTIONS_PER_HOST } else { CONNECTIONS_TO_OTHERS };
                for _ in 0..count {
                    let (sender, pieces) = (sender.clone(), &pieces);
                    threads::spawn(scope, move || self.bring_pieces(pieces, place, &sender));
                }
            }
            drop(sender);
            let mut waiting = BTreeMap::new();
            let mut result = Ok(());
            for (place, landed) in done {
                let taken = landed.and_then(|piece| {
                    if partial.is_abandoned() {
                        return Err(FetchError::Cancelled.into());
                    }
                    if let Some(url) = places.get(place).filter(|_| places.len() > 1)
                        && let Some(digest) = digest_of(&pieces.file, piece)
                    {
                        brought.push(Brought { piece, place: url.asked.clone(), digest });
                    }
                    waiting.insert(piece.start, piece.end);
                    while let Some(end) = waiting.remove(&partial.length) {
                        partial.take_in(end)?;
                        grown(partial.length);
                    }
                    Ok(())
                });
                // That of one place is no reason to stop, where others go on.
                let goes_on = !(0..places.len()).all(|place| pieces.is_dropped(place));
                match taken {
                    Ok(()) => {}
                    Err(Failure::Here(reason)) if goes_on => {
                        let url = places.get(place).map_or_else(String::new, Whereabouts::show);
                        self.reporter.event(Event::Retry { url, reason: reason.to_string() });
                        result = result.and(Err(reason.into()));
                    }
                    failed => {
                        pieces.is_over.store(true, Ordering::Relaxed);
                        result = result.and(failed);
                    }
                }
            }
            // What one place failed to bring, another one did.
            if partial.length == size { Ok(()) } else { result }
        });
        partial.trim()?;
        result.map(|()| brought)
    }

    /// A thread that brings piece after piece from one place.
    fn bring_pieces(&self, pieces: &Pieces<'_>, place: usize, done: &Sender<Done>) {
        let Some(whereabouts) = pieces.places.get(place) else { return };
        if place > 0 {
            if !pieces.wait_for_slowness() {
                return;
            }
            if !pieces.told.get(place).is_none_or(|told| told.swap(true, Ordering::Relaxed)) {
                let shown = whereabouts.show();
                self.reporter.detail(format!("parts come from another place too: {shown}"));
            }
        }
        while !pieces.is_over() && !pieces.is_dropped(place) {
            let next = pieces.board().take(place, Instant::now());
            let piece = match next {
                Next::Bring(piece) => piece,
                Next::Nothing => return,
                Next::Wait => {
                    sleep(TICK);
                    continue;
                }
            };
            let told = match self.bring_piece(pieces, whereabouts, piece) {
                Ok(()) if pieces.board().land(piece) => Ok(piece),
                Ok(()) => continue,
                Err(_) if !pieces.is_wanted(piece) => continue,
                Err(failure) => {
                    pieces.drop_place(place);
                    pieces.board().give_back(piece, place);
                    Err(failure)
                }
            };
            if done.send((place, told)).is_err() {
                return;
            }
        }
    }

    /// Brings one piece. Fails in some way where nobody wants it any more.
    fn bring_piece(
        &self,
        pieces: &Pieces<'_>,
        place: &Whereabouts,
        piece: Piece,
    ) -> Result<(), Failure> {
        let Piece { start, end } = piece;
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&format!("bytes={start}-{}", end - 1)) {
            headers.insert(RANGE, value);
        }
        let is_wanted = || pieces.is_wanted(piece);
        let reporter = WhileWanted { reporter: self.reporter, is_wanted: &is_wanted };
        let mut answer = self.http.get_at(&place.url, &place.asked, headers, &reporter)?;
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
            pieces.board().count(chunk.len() as u64);
            at = after;
        }
        match at == end {
            true => Ok(()),
            false => Err(Reason::Size { got: at - start, expected: end - start }.into()),
        }
    }
}
