//! The end of a bundle: where its index is. A transfer that changes line ends changes it.

use crate::model::Checksum;

/// Its size in bytes.
pub(super) const TRAILER_SIZE: usize = 256;

/// The first line, which the head looks for.
const HEADING: &str = "elsewhere bundle 1 end";
/// The last bytes: what transfers in text mode change, in either direction.
const ENDING: &[u8] = b"\r\n\x1a\n";

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Bytes of the whole bundle.
    pub(super) total: u64,
    /// Where the index begins.
    pub(super) index_at: u64,
    /// Bytes of the index.
    pub(super) index_size: u64,
    /// The index's digest.
    pub(super) index: Checksum,
}

impl Trailer {
    /// As it is written.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { total, index_at, index_size, index } = self;
        let said =
            format!("{HEADING}\nbytes {total}\nindex {index_at} {index_size} {}\n", index.hex());
        let mut bytes =
            format!("{said}sha256 {}\n", Checksum::of(said.as_bytes()).hex()).into_bytes();
        bytes.resize(TRAILER_SIZE - ENDING.len(), b' ');
        bytes.extend_from_slice(ENDING);
        bytes
    }

    /// What `bytes` say; none where they are not, to the last one, what is written.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.strip_prefix(HEADING)?.strip_prefix('\n')?.lines();
        let total = lines.next()?.strip_prefix("bytes ")?.parse().ok()?;
        let mut words = lines.next()?.strip_prefix("index ")?.split(' ');
        let mut number = || words.next()?.parse().ok();
        let (index_at, index_size) = (number()?, number()?);
        let index = Checksum::new("sha256", words.next()?).ok()?;
        let trailer = Self { total, index_at, index_size, index };
        (trailer.bytes() == bytes).then_some(trailer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailer_with_any_other_byte_is_none() {
        let index = Checksum::of(b"index");
        for (total, index_at, index_size) in [(1, 2, 3), (u64::MAX, u64::MAX, u64::MAX)] {
            let trailer = Trailer { total, index_at, index_size, index: index.clone() };
            let bytes = trailer.bytes();
            assert_eq!(bytes.len(), TRAILER_SIZE);
            assert_eq!(Trailer::read(&bytes), Some(trailer));
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 1;
                assert_eq!(Trailer::read(&other), None, "byte {at}");
                assert_eq!(Trailer::read(&bytes[..at]), None, "cut at {at}");
            }
        }
    }
}
