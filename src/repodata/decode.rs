//! Decompression by magic number, whatever the file's name says, and the measure of what comes out.

use std::io::{self, Read};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::model::{Checksum, Digester};

/// Memory that an xz decoder may take: twice what `xz -9` needs.
const XZ_MEMORY: u64 = 128 << 20;

/// The decompressed form of `reader`: gzip, xz, zstd, bzip2, or plain. The memory that a decoder
/// takes is bounded by its window: 128 MiB at the very most.
pub(super) fn decompress<'r>(mut reader: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let mut magic = Vec::new();
    reader.by_ref().take(6).read_to_end(&mut magic)?;
    let all = io::Cursor::new(magic.clone()).chain(reader);
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(all)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(all, stream))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::new(all)?),
        [b'B', b'Z', b'h', ..] => Box::new(MultiBzDecoder::new(all)),
        _ => Box::new(all),
    })
}

/// Counts what passes, and refuses more than was declared: a bomb ends here.
pub(super) struct Measured<R> {
    inner: R,
    left: u64,
    limit: u64,
    lines: usize,
    digester: Option<Digester>,
}

impl<R: Read> Measured<R> {
    /// At most `limit` bytes of `inner`, digested if `like` says by which algorithm.
    pub(super) fn new(inner: R, limit: u64, like: Option<&Checksum>) -> Self {
        let digester = like.map(|checksum| Digester::new(checksum.algorithm()));
        Self { inner, left: limit, limit, lines: 0, digester }
    }

    /// How many lines have ended in what has passed.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// The digest of what has passed.
    pub(super) fn digest(self) -> Option<Checksum> {
        self.digester.map(Digester::finish)
    }
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or_else(|| {
            io::Error::other(format!("it unpacks to more than {} bytes", self.limit))
        })?;
        let bytes = buffer.get(..length).unwrap_or_default();
        self.lines += newlines(bytes);
        if let Some(digester) = &mut self.digester {
            digester.update(bytes);
        }
        Ok(length)
    }
}

/// How many lines end in `bytes`.
pub(super) fn newlines(bytes: &[u8]) -> usize {
    // Few enough at a time that they are counted in bytes, many at once.
    let count = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum + u8::from(*byte == b'\n'));
    bytes.chunks(usize::from(u8::MAX)).map(|bytes| usize::from(count(bytes))).sum()
}
