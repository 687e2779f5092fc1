//! Bytes that are proved while they are read: somebody may have changed a file since it was digested.

use std::io::{self, ErrorKind, Read};

use crate::model::{Checksum, Digester};
use crate::tools::excerpt::Excerpt;

/// Reads a file to its end, and fails there if that was not what it should be. What was made of it before
/// counts only after [`Proving::finish`].
#[derive(Debug)]
pub(crate) struct Proving {
    file: Excerpt,
    expected: Checksum,
    digester: Digester,
}

impl Proving {
    pub(super) fn new(file: Excerpt, expected: Checksum) -> Self {
        let digester = Digester::new(expected.algorithm());
        Self { file, expected, digester }
    }

    /// Reads what is left, and compares the digest.
    ///
    /// # Errors
    /// When it cannot be read, or was other bytes.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink())?;
        match self.digester.finish() == self.expected {
            true => Ok(()),
            false => {
                Err(io::Error::new(ErrorKind::InvalidData, "it was changed while it was read"))
            }
        }
    }
}

impl Read for Proving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.digester.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
