//! The part of a process that decodes: this program, started again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;

use super::ahead::fill;
use super::codec;
use super::frame::{self, HEAD, Kind, LENGTH, PIECE};
use crate::model::Compression;
use crate::sandbox;

/// The one word of such a process's command line: no command of users'.
pub(crate) const COMMAND: &str = "decoder";

/// Walls this process in, which must have one thread, and decodes what comes on its standard input to
/// `output`, until that ends.
///
/// # Errors
/// When the other end of a pipe is gone, or breaks the rules.
pub(crate) fn serve(mut output: File) -> io::Result<()> {
    // Without the small buffer of the standard library's own.
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let walls = sandbox::wall_in();
    let kind = if walls.is_full() { Kind::Ready } else { Kind::HalfReady };
    // Whoever waits for this word knows then that memory can be had within the walls.
    let mut piece = vec![1; HEAD + PIECE];
    frame::write(&mut output, kind, walls.to_string().as_bytes())?;
    let mut input = BufReader::with_capacity(PIECE, input);
    while let Some(compression) = next(&mut input)? {
        let mut payload = Payload { input: &mut input, left: 0, is_over: false };
        decode(compression, &mut payload, &mut output, &mut piece)?;
        payload.skip()?;
    }
    Ok(())
}

/// How the next payload is compressed; none where there is none.
fn next(input: &mut impl Read) -> io::Result<Option<Compression>> {
    let mut code = [0];
    match fill(input, &mut code)? {
        0 => Ok(None),
        _ => {
            frame::compression(code[0]).map(Some).ok_or_else(|| io::ErrorKind::InvalidInput.into())
        }
    }
}

/// Sends what a payload decodes to.
fn decode(
    compression: Compression,
    payload: &mut Payload<impl BufRead>,
    output: &mut File,
    piece: &mut [u8],
) -> io::Result<()> {
    let mut decoder = match codec::decode(compression, payload) {
        Ok(decoder) => decoder,
        Err(error) => return frame::write(output, Kind::Error, &frame::error_bytes(&error)),
    };
    loop {
        let room = piece.get_mut(HEAD..).unwrap_or_default();
        match fill(&mut decoder, room) {
            Ok(0) => return frame::write(output, Kind::End, &[]),
            Ok(length) => {
                frame::put_head(piece, Kind::Data, length);
                io::Write::write_all(output, piece.get(..HEAD + length).unwrap_or_default())?;
            }
            Err(error) => return frame::write(output, Kind::Error, &frame::error_bytes(&error)),
        }
    }
}

/// The compressed bytes of one payload.
struct Payload<'i, I> {
    input: &'i mut I,
    /// Bytes that are left of a piece.
    left: usize,
    is_over: bool,
}

impl<I: BufRead> Payload<'_, I> {
    /// Passes over what nobody read.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            match self.fill_buf()?.len() {
                0 => return Ok(()),
                length => self.consume(length),
            }
        }
    }
}

impl<I: BufRead> BufRead for Payload<'_, I> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 && !self.is_over {
            let mut length = [0; LENGTH];
            self.input.read_exact(&mut length)?;
            self.left = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
            self.is_over = self.left == 0;
        }
        if self.is_over {
            return Ok(&[]);
        }
        let there = self.input.fill_buf()?;
        if there.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(there.get(..self.left).unwrap_or(there))
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.input.consume(amount);
    }
}

impl<I: BufRead> Read for Payload<'_, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_ends_where_it_says_so_and_the_next_begins() {
        let bytes = b"\x01\x03\0\0\0abc\x02\0\0\0de\0\0\0\0\x05";
        let mut input = BufReader::with_capacity(4, &bytes[..]);
        assert_eq!(next(&mut input).unwrap(), Some(Compression::Gzip));
        let mut payload = Payload { input: &mut input, left: 0, is_over: false };
        let mut text = String::new();
        payload.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcde");
        payload.skip().unwrap();
        assert_eq!(next(&mut input).unwrap(), Some(Compression::Zstd));
        assert_eq!(next(&mut input).unwrap(), None);
        assert!(next(&mut &b"\x06"[..]).is_err());
        let mut cut = Payload { input: &mut &b"\x03\0\0\0ab"[..], left: 0, is_over: false };
        assert!(cut.skip().is_err());
    }
}
