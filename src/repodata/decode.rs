//! Decompression by magic number, whatever the file's name says, and the measure of what comes out.

use std::io::{self, Read};

use super::RepodataError;
use crate::decoding::Decoder;
use crate::model::{Checksum, Compression, Digester};

/// Does `work` with the decompressed form of `reader`: gzip, xz, zstd, bzip2, or plain.
pub(super) fn decompressed<T>(
    decoder: &mut Decoder,
    mut reader: impl Read + Send,
    work: impl FnOnce(&mut dyn Read) -> Result<T, RepodataError>,
) -> Result<T, RepodataError> {
    let mut magic = Vec::new();
    reader.by_ref().take(6).read_to_end(&mut magic)?;
    let compression = match magic.as_slice() {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Compression::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', ..] => Compression::Bzip2,
        _ => Compression::None,
    };
    decoder.decode(compression, io::Cursor::new(magic).chain(reader), work)
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
