//! Which piece of a big file whoever brings pieces takes next.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a piece may be on its way before another place is asked for it too, where there is nothing else
/// to ask for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes from `start` up to, and without, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To bring this.
    Bring(Piece),
    /// Nothing now: what is on its way may yet come back.
    Wait,
    /// Nothing any more.
    Nothing,
}

/// A piece that is on its way.
struct Flight {
    end: u64,
    /// The places that were asked for it, by number.
    places: Vec<usize>,
    since: Instant,
}

/// The pieces of a file.
pub(super) struct Board {
    /// Where the next piece begins that nobody was asked for.
    at: u64,
    size: u64,
    /// Bytes of a piece.
    piece: u64,
    /// What failed and is to be asked for again.
    back: Vec<Piece>,
    /// By their beginnings.
    flying: BTreeMap<u64, Flight>,
    /// Bytes that came, and those that did not.
    came: u64,
    lacking: u64,
}

impl Board {
    /// The pieces of `piece` bytes from `first` up to `size`.
    pub(super) fn new(first: u64, size: u64, piece: u64) -> Self {
        let lacking = size.saturating_sub(first);
        let (back, flying) = (Vec::new(), BTreeMap::new());
        Self { at: first, size, piece, back, flying, came: 0, lacking }
    }

    /// So many bytes more came.
    pub(super) fn count(&mut self, bytes: u64) {
        self.came = self.came.saturating_add(bytes);
        self.lacking = self.lacking.saturating_sub(bytes);
    }

    /// How many seconds the rest takes, at the rate of those `elapsed` seconds.
    pub(super) fn rest(&self, elapsed: f64) -> f64 {
        elapsed * self.lacking as f64 / self.came.max(1) as f64
    }

    /// What the place with this number is to bring next, at `now`.
    pub(super) fn take(&mut self, place: usize, now: Instant) -> Next {
        if let Some(piece) = self.back.pop().or_else(|| self.fresh()) {
            let flight = Flight { end: piece.end, places: vec![place], since: now };
            self.flying.insert(piece.start, flight);
            return Next::Bring(piece);
        }
        if self.flying.is_empty() {
            return Next::Nothing;
        }
        let is_late = |flight: &Flight| now.saturating_duration_since(flight.since) >= PATIENCE;
        // The first that is late: it is what the reader waits for.
        let late = self.flying.iter_mut().find(|(_, flight)| {
            is_late(flight) && flight.places.len() == 1 && !flight.places.contains(&place)
        });
        match late {
            Some((&start, flight)) => {
                flight.places.push(place);
                Next::Bring(Piece { start, end: flight.end })
            }
            None => Next::Wait,
        }
    }

    fn fresh(&mut self) -> Option<Piece> {
        let start = self.at;
        let end = start.saturating_add(self.piece).min(self.size);
        self.at = end;
        (start < end).then_some(Piece { start, end })
    }

    /// Whether a piece is still to be brought.
    pub(super) fn is_wanted(&self, piece: Piece) -> bool {
        self.flying.contains_key(&piece.start)
    }

    /// A piece is there. Whether it was not before.
    pub(super) fn land(&mut self, piece: Piece) -> bool {
        self.flying.remove(&piece.start).is_some()
    }

    /// The place with this number cannot bring a piece.
    pub(super) fn give_back(&mut self, piece: Piece, place: usize) {
        let Some(flight) = self.flying.get_mut(&piece.start) else { return };
        flight.places.retain(|other| *other != place);
        if flight.places.is_empty() {
            self.flying.remove(&piece.start);
            self.back.push(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(start: u64, end: u64) -> Next {
        Next::Bring(Piece { start, end })
    }

    #[test]
    fn every_byte_is_taken_once_and_what_comes_back_again() {
        let (mut board, now) = (Board::new(3, 12, 4), Instant::now());
        assert_eq!(board.take(0, now), piece(3, 7));
        assert_eq!(board.take(1, now), piece(7, 11));
        assert_eq!(board.take(1, now), piece(11, 12));
        assert_eq!(board.take(0, now), Next::Wait);
        board.give_back(Piece { start: 7, end: 11 }, 1);
        assert_eq!(board.take(0, now), piece(7, 11));
        for (start, end) in [(3, 7), (7, 11), (11, 12)] {
            assert!(board.land(Piece { start, end }));
            assert!(!board.land(Piece { start, end }), "once");
        }
        assert_eq!(board.take(0, now), Next::Nothing);
    }

    #[test]
    fn what_is_late_is_asked_of_one_more_place() {
        let (mut board, now) = (Board::new(0, 4, 4), Instant::now());
        let later = now + PATIENCE;
        assert_eq!(board.take(0, now), piece(0, 4));
        assert_eq!(board.take(1, now), Next::Wait, "it is not late yet");
        assert_eq!(board.take(0, later), Next::Wait, "it is its own");
        assert_eq!(board.take(1, later), piece(0, 4));
        assert_eq!(board.take(2, later), Next::Wait, "two are enough");
        let it = Piece { start: 0, end: 4 };
        board.give_back(it, 0);
        assert!(board.is_wanted(it), "the other one is at it");
        assert!(board.land(it));
        board.give_back(it, 1);
        assert!(!board.is_wanted(it));
        assert_eq!(board.take(2, later), Next::Nothing);
    }
}
