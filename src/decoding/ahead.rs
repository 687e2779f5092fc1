//! Reading ahead: a thread reads on while another one works on what came before. A payload's bytes
//! are digested, decoded, and written, each in a thread of its own; or all in one, where there are no
//! more.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use crate::tools::threads;

/// Bytes of a piece.
const CHUNK: usize = 256 << 10;
/// Pieces that may wait.
const CHUNKS_AHEAD: usize = 4;

/// Starts a thread in `scope` that opens a reader and reads ahead from it, until its end, an error,
/// or the [`Ahead`] is dropped. Where no thread is to be had, whoever reads reads it.
pub(super) fn read_ahead<'scope, R: Read>(
    scope: &'scope Scope<'scope, '_>,
    open: impl FnOnce() -> io::Result<R> + Send + 'scope,
) -> Ahead<R> {
    let (full, pieces) = sync_channel(CHUNKS_AHEAD);
    let (spent, empty) = sync_channel(CHUNKS_AHEAD + 2);
    let started = threads::hand(scope, open, move |open| match open() {
        Ok(reader) => pump(reader, &full, &empty),
        Err(error) => drop(full.send(Err(error))),
    });
    match started {
        Ok(_) => Ahead::There(Pipe { pieces, spent, piece: Vec::new(), position: 0 }),
        Err(open) => match open() {
            Ok(reader) => Ahead::Here(BufReader::with_capacity(CHUNK, reader)),
            Err(error) => Ahead::Failed(Some(error)),
        },
    }
}

fn pump(mut reader: impl Read, full: &SyncSender<io::Result<Vec<u8>>>, empty: &Receiver<Vec<u8>>) {
    loop {
        let mut piece = empty.try_recv().unwrap_or_default();
        piece.resize(CHUNK, 0);
        let filled = fill(&mut reader, &mut piece).map(|length| {
            piece.truncate(length);
            piece
        });
        let is_last = !filled.as_ref().is_ok_and(|piece| piece.len() == CHUNK);
        if full.send(filled).is_err() || is_last {
            return;
        }
    }
}

/// Reads until `buffer` is full, or the end. What came before an error counts; the error comes
/// again at the next reading.
pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// What is read.
pub(super) enum Ahead<R> {
    /// By another thread.
    There(Pipe),
    /// By this one.
    Here(BufReader<R>),
    /// It could not be opened; the error, once.
    Failed(Option<io::Error>),
}

/// The end of the pipe that is worked on.
pub(super) struct Pipe {
    pieces: Receiver<io::Result<Vec<u8>>>,
    /// Where used pieces go, to be filled again.
    spent: SyncSender<Vec<u8>>,
    piece: Vec<u8>,
    position: usize,
}

impl<R: Read> Read for Ahead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Ahead<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::There(pipe) => pipe.fill_buf(),
            Self::Here(reader) => reader.fill_buf(),
            Self::Failed(error) => error.take().map_or(Ok(&[]), Err),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            Self::There(pipe) => pipe.consume(amount),
            Self::Here(reader) => reader.consume(amount),
            Self::Failed(_) => {}
        }
    }
}

impl Pipe {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position >= self.piece.len()
            && let Ok(next) = self.pieces.recv()
        {
            let spent = std::mem::replace(&mut self.piece, next?);
            self.position = 0;
            // The other end may have ended.
            let _ = self.spent.try_send(spent);
        }
        Ok(self.piece.get(self.position..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.position = self.position.saturating_add(amount);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Gives its bytes, then an error.
    struct Broken(&'static [u8]);

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("broken")),
                count => Ok(count),
            }
        }
    }

    #[test]
    fn all_bytes_come_in_order() {
        let bytes: Vec<u8> = (0..3 * CHUNK + 17).map(|number| (number % 251) as u8).collect();
        let mut got = Vec::new();
        thread::scope(|scope| {
            let mut ahead = read_ahead(scope, || Ok(bytes.as_slice()));
            ahead.read_to_end(&mut got).unwrap();
            assert_eq!(ahead.read(&mut [0]).unwrap(), 0, "the end stays the end");
        });
        assert!(got == bytes);
    }

    #[test]
    fn errors_come_through() {
        thread::scope(|scope| {
            let mut ahead = read_ahead(scope, || Ok(Broken(b"abc")));
            let error = ahead.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), "broken");
            let mut unopened = read_ahead(scope, || Err::<&[u8], _>(io::Error::other("shut")));
            assert_eq!(unopened.read(&mut [0]).unwrap_err().to_string(), "shut");
        });
    }

    #[test]
    fn a_reader_that_nobody_wants_ends() {
        thread::scope(|scope| drop(read_ahead(scope, || Ok(io::repeat(0)))));
    }
}
