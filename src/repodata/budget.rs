//! How much memory a document may take: by its bytes as they were fetched, so that a small file cannot
//! fill the machine.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::RepodataError;

/// Bytes of memory that every document may take.
const FLOOR: u64 = 32 << 20;
/// Bytes of memory for each byte that was fetched. Real repositories take three or four.
const FACTOR: u64 = 24;
/// Bytes of memory at the very most.
const CEILING: u64 = 512 << 20;

/// What a document may take.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Bytes of it that were read, packed as they were.
    fetched: Arc<AtomicU64>,
}

impl Budget {
    /// A reader that gives what `reader` gives, and lets this budget grow with it.
    pub(super) fn weigh<R: Read>(&self, reader: R) -> Weighed<R> {
        Weighed { reader, bytes: Arc::clone(&self.fetched) }
    }

    /// Refuses to hold so many bytes.
    pub(super) fn check(&self, held: usize) -> Result<(), RepodataError> {
        // Below the floor nothing needs to be asked.
        if held as u64 <= FLOOR {
            return Ok(());
        }
        let fetched = self.fetched.load(Ordering::Relaxed);
        let limit = FLOOR.saturating_add(fetched.saturating_mul(FACTOR)).min(CEILING);
        match held as u64 > limit {
            true => Err(RepodataError::Memory { limit, fetched }),
            false => Ok(()),
        }
    }
}

/// Counts the bytes that are read.
pub(super) struct Weighed<R> {
    reader: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Weighed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        // Nobody else writes it.
        let sum = self.bytes.load(Ordering::Relaxed).saturating_add(count as u64);
        self.bytes.store(sum, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_what_was_fetched_and_never_beyond_the_ceiling() {
        let (budget, most) = (Budget::default(), CEILING as usize);
        assert!(budget.check(FLOOR as usize).is_ok());
        let error = budget.check(FLOOR as usize + 1).unwrap_err();
        assert!(matches!(error, RepodataError::Memory { limit: FLOOR, fetched: 0 }), "{error}");
        io::copy(&mut budget.weigh(io::repeat(0).take(1000)), &mut io::sink()).unwrap();
        let limit = (FLOOR + 1000 * FACTOR) as usize;
        assert!(budget.check(limit).is_ok() && budget.check(limit + 1).is_err());
        io::copy(&mut budget.weigh(io::repeat(0).take(CEILING)), &mut io::sink()).unwrap();
        assert!(budget.check(most).is_ok() && budget.check(most + 1).is_err());
    }
}
