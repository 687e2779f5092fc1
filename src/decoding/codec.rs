//! Decompression of payloads and metadata, with bounded memory, wherever it is done.

use std::io::{self, BufRead, Cursor, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, IGNORE_CHECK, Stream};

use crate::model::Compression;

/// Memory that a decoder may use for what the stream says it needs: as much as `xz -9` asks for.
/// EL compresses with `xz -2` (2 MiB) and `zstd -19` (8 MiB).
const XZ_MEMORY: u64 = 80 << 20;
/// The largest window of a Zstandard stream, as a power of two: the 128 MiB of `zstd -22`, which is what
/// other programs take unasked.
const ZSTD_WINDOW_LOG: u32 = 27;

/// A reader of what `input` holds, decompressed.
pub(super) fn decode<'a>(
    compression: Compression,
    mut input: impl BufRead + 'a,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => {
            let mut start = Vec::new();
            input.by_ref().take(2).read_to_end(&mut start)?;
            let compressed = start == [0x1f, 0x8b];
            let whole = Cursor::new(start).chain(input);
            if compressed { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) }
        }
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(input)),
        // Every byte is held against the header's SHA-256: the stream's own check adds nothing.
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED | IGNORE_CHECK)?;
            Box::new(XzDecoder::new_stream(input, stream))
        }
        Compression::Lzma => {
            Box::new(XzDecoder::new_stream(input, Stream::new_lzma_decoder(XZ_MEMORY)?))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}
