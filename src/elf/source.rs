//! Bytes at positions: a file, or a file as it will be after some patches.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::ElfError;

/// Something that holds bytes at positions.
pub(crate) trait ByteSource {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Fills `buffer` with the bytes at `offset`.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// `size` bytes at `offset`, when they are within the source and `limit`.
    fn bytes(&self, offset: u64, size: u64, limit: u64) -> Result<Vec<u8>, ElfError> {
        let end = offset.checked_add(size).ok_or(ElfError::Malformed("a range overflows"))?;
        if size > limit {
            return Err(ElfError::Malformed("a table is larger than any real one"));
        }
        if end > self.len() {
            return Err(ElfError::Malformed("a range lies beyond the end of the file"));
        }
        let size = usize::try_from(size).map_err(|_| ElfError::Malformed("a range overflows"))?;
        let mut bytes = vec![0; size];
        self.read_exact_at(offset, &mut bytes)?;
        Ok(bytes)
    }
}

impl ByteSource for File {
    fn len(&self) -> u64 {
        self.metadata().map_or(0, |metadata| metadata.len())
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }
}

impl ByteSource for [u8] {
    fn len(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.saturating_add(buffer.len());
        let bytes = self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// Bytes to be written at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Where, in bytes from the start of the file.
    pub(crate) offset: u64,
    /// What.
    pub(crate) bytes: Vec<u8>,
}

impl Patch {
    /// The position after the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }
}

/// A source as it will be when patches are written to it, later ones over earlier ones.
pub(crate) struct Overlay<'a, S: ByteSource + ?Sized> {
    base: &'a S,
    patches: &'a [Patch],
}

impl<'a, S: ByteSource + ?Sized> Overlay<'a, S> {
    /// `base` with `patches`.
    pub(crate) fn new(base: &'a S, patches: &'a [Patch]) -> Self {
        Self { base, patches }
    }
}

impl<S: ByteSource + ?Sized> ByteSource for Overlay<'_, S> {
    fn len(&self) -> u64 {
        self.patches.iter().map(Patch::end).max().unwrap_or(0).max(self.base.len())
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        let below = self.base.len().saturating_sub(offset).min(buffer.len() as u64);
        if let Some(part) = buffer.get_mut(..usize::try_from(below).unwrap_or(0)) {
            self.base.read_exact_at(offset, part)?;
        }
        let end = offset.saturating_add(buffer.len() as u64);
        for patch in self.patches {
            let (start, stop) = (patch.offset.max(offset), patch.end().min(end));
            if start < stop {
                copy(patch, start, stop, offset, buffer);
            }
        }
        Ok(())
    }
}

/// Copies the bytes of `patch` at file positions `start..stop` into `buffer`, which begins at
/// position `offset`.
fn copy(patch: &Patch, start: u64, stop: u64, offset: u64, buffer: &mut [u8]) {
    let index = |position: u64, base: u64| usize::try_from(position - base).unwrap_or(usize::MAX);
    let from = patch.bytes.get(index(start, patch.offset)..index(stop, patch.offset));
    let to = buffer.get_mut(index(start, offset)..index(stop, offset));
    if let (Some(from), Some(to)) = (from, to) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_reads_like_the_patched_file() {
        let patches =
            [Patch { offset: 1, bytes: b"XY".to_vec() }, Patch { offset: 5, bytes: b"Z".to_vec() }];
        let overlay = Overlay::new(b"abcd".as_slice(), &patches);
        assert_eq!(overlay.bytes(0, 6, 100).unwrap(), b"aXYd\0Z");
        assert_eq!(overlay.bytes(2, 2, 100).unwrap(), b"Yd");
        assert!(overlay.bytes(2, 5, 100).is_err());
    }

    #[test]
    fn ranges_are_bounded_before_memory_is_taken() {
        let source = b"abcd".as_slice();
        assert!(source.bytes(u64::MAX, 2, u64::MAX).is_err());
        assert!(source.bytes(0, u64::MAX, u64::MAX).is_err());
        assert!(source.bytes(0, 4, 3).is_err());
    }
}
