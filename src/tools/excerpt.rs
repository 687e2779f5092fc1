//! Bytes from one place to another: of a file, or of several that follow each other as if they were one.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes that are read from their beginning. Clones are read each by itself.
#[derive(Clone, Debug)]
pub(crate) struct Excerpt {
    /// The files, and how many bytes of each count.
    files: Arc<[(File, u64)]>,
    start: u64,
    length: u64,
    position: u64,
}

impl From<File> for Excerpt {
    /// The whole of a file, which may grow.
    fn from(file: File) -> Self {
        Self::of(vec![(file, u64::MAX)])
    }
}

impl Excerpt {
    /// Files that follow each other, so many bytes of each.
    #[must_use]
    pub(crate) fn of(files: Vec<(File, u64)>) -> Self {
        let length = files.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
        Self { files: files.into(), start: 0, length, position: 0 }
    }

    /// How many bytes it has; of a whole file that may grow, as many as there can be.
    #[must_use]
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// So many of its bytes from `start` on, as far as it has them.
    #[must_use]
    pub(crate) fn cut(&self, start: u64, length: u64) -> Self {
        let start = start.min(self.length);
        let length = length.min(self.length - start);
        Self { files: Arc::clone(&self.files), start: self.start + start, length, position: 0 }
    }

    /// The same, to be read from its beginning.
    #[must_use]
    pub(crate) fn anew(&self) -> Self {
        Self { position: 0, ..self.clone() }
    }

    /// Reads bytes at `at`, at least one unless it ends there.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let room = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut place = self.start.saturating_add(at);
        for (file, size) in self.files.iter() {
            if place < *size {
                let there = usize::try_from(*size - place).unwrap_or(usize::MAX);
                let count = buffer.len().min(room).min(there);
                return file.read_at(buffer.get_mut(..count).unwrap_or_default(), place);
            }
            place -= size;
        }
        Ok(0)
    }
}

impl Read for Excerpt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(name: &str, text: &str) -> (File, u64) {
        let name = format!("elsewhere-excerpt-{name}-{}", std::process::id());
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name);
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (file, text.len() as u64)
    }

    fn text(mut excerpt: Excerpt) -> String {
        let mut text = String::new();
        excerpt.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn it_goes_on_from_file_to_file_and_no_further() {
        let all = Excerpt::of(vec![file("a", "abc"), file("none", ""), file("b", "defgh")]);
        assert_eq!((text(all.clone()).as_str(), all.length()), ("abcdefgh", 8));
        assert_eq!(text(all.cut(2, 4)), "cdef");
        assert_eq!(text(all.cut(2, 4).cut(1, 9)), "def");
        assert_eq!(text(all.cut(3, 5)), "defgh");
        assert_eq!((text(all.cut(8, 5)), text(all.cut(99, 1))), (String::new(), String::new()));
        assert_eq!(text(Excerpt::from(file("c", "xyz").0).cut(1, 9)), "yz");
        let mut read = all.clone();
        read.read_exact(&mut [0; 5]).unwrap();
        assert_eq!((text(read.anew()).len(), text(read)), (8, "fgh".to_owned()));
        // A file that was cut meanwhile ends there.
        let short = Excerpt::of(vec![(file("d", "ab").0, 5)]);
        assert_eq!(text(short), "ab");
    }
}
