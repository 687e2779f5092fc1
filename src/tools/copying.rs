//! Copies whose bytes are proved: what is digested is what the copy has, read through the copy's own handle
//! or on its way there, and never what the original has by then. By reflink where the file system can, else
//! by the kernel, else by hand.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::files::is_full;
use crate::model::{Algorithm, Checksum, Digester};

/// Bytes that are copied, and then digested, at a time.
const PIECE: usize = 256 << 10;

/// Copies files, and remembers what their file systems do not have.
#[derive(Debug, Default)]
pub(crate) struct Copier {
    cannot_clone: AtomicBool,
    cannot_move: AtomicBool,
}

impl Copier {
    /// Copies `from` into `to`, which is empty, open for reading too, and nobody else's. The digest of what
    /// `to` has then; `None` where that is not `size` bytes.
    ///
    /// # Errors
    /// When one of them cannot be read or written.
    pub(crate) fn copy(
        &self,
        from: &File,
        to: &File,
        size: u64,
        algorithm: Algorithm,
    ) -> io::Result<Option<Checksum>> {
        if from.metadata()?.len() != size {
            return Ok(None);
        }
        let mut copied = Copied { to, digester: Digester::new(algorithm), length: 0 };
        if size > 0 && !self.cannot_clone.load(Ordering::Relaxed) {
            match rustix::fs::ioctl_ficlone(to, from).map_err(io::Error::from) {
                // It may have grown since it was looked at.
                Ok(()) if to.metadata()?.len() != size => return Ok(None),
                Ok(()) => {
                    copied.take_in(size)?;
                    return copied.finish(size);
                }
                Err(error) if is_full(&error) => return Err(error),
                Err(_) => self.cannot_clone.store(true, Ordering::Relaxed),
            }
        }
        if !self.cannot_move.load(Ordering::Relaxed) {
            self.let_kernel_copy(from, &mut copied, size)?;
        }
        copied.copy(from, size)?;
        copied.finish(size)
    }

    /// Copies as much as the kernel does by itself.
    fn let_kernel_copy(&self, from: &File, copied: &mut Copied<'_>, size: u64) -> io::Result<()> {
        while copied.length < size {
            let (mut read, mut written) = (copied.length, copied.length);
            let (left, to) = (piece(size - copied.length), copied.to);
            match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), left) {
                // It was cut; or it is of a kind that the kernel takes for empty.
                Ok(0) => return Ok(()),
                Ok(count) => copied.take_in(copied.length + count as u64)?,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) if is_full(&error.into()) => return Err(error.into()),
                Err(_) => {
                    self.cannot_move.store(true, Ordering::Relaxed);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A copy in the making.
struct Copied<'a> {
    to: &'a File,
    digester: Digester,
    /// Bytes that are there, and were digested.
    length: u64,
}

impl Copied<'_> {
    /// Digests what is there up to `end`.
    fn take_in(&mut self, end: u64) -> io::Result<()> {
        let mut buffer = vec![0; piece(end - self.length)];
        while self.length < end {
            let room = buffer.get_mut(..piece(end - self.length)).unwrap_or_default();
            self.to.read_exact_at(room, self.length)?;
            self.digester.update(room);
            self.length += room.len() as u64;
        }
        Ok(())
    }

    /// Copies what is left, and digests it on its way.
    fn copy(&mut self, from: &File, size: u64) -> io::Result<()> {
        let mut buffer = vec![0; piece(size - self.length)];
        while self.length < size {
            let room = buffer.get_mut(..piece(size - self.length)).unwrap_or_default();
            let count = match from.read_at(room, self.length) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            let bytes = room.get(..count).unwrap_or_default();
            self.to.write_all_at(bytes, self.length)?;
            self.digester.update(bytes);
            self.length += count as u64;
        }
        Ok(())
    }

    fn finish(self, size: u64) -> io::Result<Option<Checksum>> {
        let is_whole = self.length == size && self.to.metadata()?.len() == size;
        Ok(is_whole.then(|| self.digester.finish()))
    }
}

/// As much of so many bytes as is handled at once.
fn piece(left: u64) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(PIECE)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::path::{Path, PathBuf};

    use super::*;

    fn place(name: &str) -> PathBuf {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp").join(name);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        place
    }

    fn copy(copier: &Copier, place: &Path, size: u64) -> (Option<Checksum>, Vec<u8>) {
        let to = place.join("to");
        let _ = fs::remove_file(&to);
        let new = OpenOptions::new().read(true).write(true).create_new(true).open(&to).unwrap();
        let from = File::open(place.join("from")).unwrap();
        (copier.copy(&from, &new, size, Algorithm::Sha256).unwrap(), fs::read(to).unwrap())
    }

    #[test]
    fn a_copy_is_digested_in_every_way() {
        let place = place("copying");
        for size in [0, 1, PIECE, PIECE + 1, 3 * PIECE - 7] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            fs::write(place.join("from"), &bytes).unwrap();
            for (cannot_clone, cannot_move) in [(false, false), (true, false), (true, true)] {
                let copier = Copier {
                    cannot_clone: AtomicBool::new(cannot_clone),
                    cannot_move: AtomicBool::new(cannot_move),
                };
                let (digest, copied) = copy(&copier, &place, size as u64);
                assert_eq!(
                    digest,
                    Some(Checksum::of(&bytes)),
                    "{size} {cannot_clone} {cannot_move}"
                );
                assert!(copied == bytes);
                for other in [size as u64 + 1, (size as u64).saturating_sub(1)] {
                    if other != size as u64 {
                        assert_eq!(copy(&copier, &place, other).0, None, "{size} {other}");
                    }
                }
            }
        }
        fs::remove_dir_all(place).unwrap();
    }
}
