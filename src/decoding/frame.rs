//! What goes through the pipes between this program and a process that decodes.
//!
//! To it, for each payload: how it is compressed, one byte; its bytes, in pieces with their length before
//! them; a piece of length 0. From it, once: that it is ready; then for each payload: what it decodes to,
//! in pieces; that this was all, or an error.

use std::io::{self, ErrorKind, Write};

use crate::model::{Compression, escape};

/// Bytes of a piece at most.
pub(super) const PIECE: usize = 256 << 10;
/// Bytes before a piece that goes to the process: its length.
pub(super) const LENGTH: usize = 4;
/// Bytes before what comes from it: what it is, and its length.
pub(super) const HEAD: usize = 5;
/// Bytes of a message at most.
const LONGEST: usize = 500;

/// Every compression, by its number.
const COMPRESSIONS: [Compression; 6] = [
    Compression::None,
    Compression::Gzip,
    Compression::Bzip2,
    Compression::Xz,
    Compression::Lzma,
    Compression::Zstd,
];

/// The kinds of errors that are told apart, by their number; all others are the first.
const ERRORS: [ErrorKind; 5] = [
    ErrorKind::Other,
    ErrorKind::UnexpectedEof,
    ErrorKind::InvalidData,
    ErrorKind::InvalidInput,
    ErrorKind::OutOfMemory,
];

/// What comes from the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is ready, and fully walled in; how.
    Ready,
    /// It is ready, and not fully walled in; how, and why not.
    HalfReady,
    /// What the payload decodes to.
    Data,
    /// That was all.
    End,
    /// It cannot be decoded: a number of [`ERRORS`], and why.
    Error,
}

const KINDS: [Kind; 5] = [Kind::Ready, Kind::HalfReady, Kind::Data, Kind::End, Kind::Error];

/// The number of `one` among `all`.
fn number<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let position = all.iter().position(|it| it == one);
    position.and_then(|position| u8::try_from(position).ok()).unwrap_or(0)
}

/// The byte that stands for a compression.
pub(super) fn code(compression: Compression) -> u8 {
    number(&COMPRESSIONS, &compression)
}

/// The compression that a byte stands for.
pub(super) fn compression(code: u8) -> Option<Compression> {
    COMPRESSIONS.get(usize::from(code)).copied()
}

/// Writes the head of what has `length` bytes into the beginning of `piece`.
pub(super) fn put_head(piece: &mut [u8], kind: Kind, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    for (to, from) in piece.iter_mut().zip([number(&KINDS, &kind)].into_iter().chain(length)) {
        *to = from;
    }
}

/// The kind and the length that a head names; none where no process of this program's wrote it.
pub(super) fn head([kind, length @ ..]: [u8; HEAD]) -> Option<(Kind, usize)> {
    let kind = *KINDS.get(usize::from(kind))?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    let most = match kind {
        Kind::Data => PIECE,
        Kind::End => 0,
        Kind::Ready | Kind::HalfReady | Kind::Error => LONGEST + 1,
    };
    (length <= most).then_some((kind, length))
}

/// Writes something short.
pub(super) fn write(output: &mut impl Write, kind: Kind, text: &[u8]) -> io::Result<()> {
    let text = text.get(..LONGEST).unwrap_or(text);
    let mut piece = vec![0; HEAD];
    put_head(&mut piece, kind, text.len());
    piece.extend_from_slice(text);
    output.write_all(&piece)
}

/// An error, as it is sent.
pub(super) fn error_bytes(error: &io::Error) -> Vec<u8> {
    let mut bytes = vec![number(&ERRORS, &error.kind())];
    bytes.extend_from_slice(error.to_string().as_bytes());
    bytes
}

/// The error that was sent.
pub(super) fn error_from(bytes: &[u8]) -> io::Error {
    let (kind, text) = bytes.split_first().unwrap_or((&0, &[]));
    let kind = ERRORS.get(usize::from(*kind)).copied().unwrap_or(ErrorKind::Other);
    io::Error::new(kind, text_from(text))
}

/// A text that was sent. Who sent it may have been fed with anything.
pub(super) fn text_from(bytes: &[u8]) -> String {
    escape(&String::from_utf8_lossy(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for one in COMPRESSIONS {
            assert_eq!(compression(code(one)), Some(one));
        }
        assert_eq!(compression(6), None);
        let mut piece = Vec::new();
        write(&mut piece, Kind::HalfReady, b"text").unwrap();
        let (start, text) = piece.split_at(HEAD);
        assert_eq!(head(start.try_into().unwrap()), Some((Kind::HalfReady, 4)));
        assert_eq!(text, b"text");
        let error = error_from(&error_bytes(&ErrorKind::UnexpectedEof.into()));
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(error.to_string(), "unexpected end of file");
        assert_eq!(error_from(&[200, b'\x1b']).to_string(), "\\u{1b}");
    }

    #[test]
    fn what_no_process_of_ours_writes_is_not_read() {
        assert_eq!(head([5, 0, 0, 0, 0]), None);
        assert_eq!(head([number(&KINDS, &Kind::End), 1, 0, 0, 0]), None);
        assert_eq!(head([number(&KINDS, &Kind::Data), 1, 0, 4, 0]), None);
        assert_eq!(head([number(&KINDS, &Kind::Data), 0, 0, 4, 0]), Some((Kind::Data, PIECE)));
        assert_eq!(head([number(&KINDS, &Kind::Error), 0, 0, 1, 0]), None);
    }
}
