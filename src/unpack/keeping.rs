//! Keeping what is unpacked, in passing. Nothing depends on that: where it fails, it is left.

use std::fs::File;
use std::io::{self, Write};

use crate::model::Checksum;
use crate::store::NewStoredPackage;

/// A package on its way into the store, or nothing.
#[derive(Debug)]
pub(super) struct Keeping<'s> {
    entry: Option<NewStoredPackage<'s>>,
    /// The file that is being written.
    file: Option<File>,
    problem: Option<io::Error>,
}

impl<'s> Keeping<'s> {
    /// Keeps what comes in `entry`.
    pub(super) fn new(entry: io::Result<Option<NewStoredPackage<'s>>>) -> Self {
        match entry {
            Ok(entry) => Self { entry, file: None, problem: None },
            Err(problem) => Self { entry: None, file: None, problem: Some(problem) },
        }
    }

    /// Keeps nothing.
    pub(super) fn nothing() -> Self {
        Self::new(Ok(None))
    }

    /// What comes now has this digest, as will be proven.
    pub(super) fn begin(&mut self, digest: &Checksum, is_kept: bool) {
        self.file = None;
        if let Some(entry) = self.entry.as_ref().filter(|_| is_kept) {
            match entry.create(digest) {
                Ok(file) => self.file = file,
                Err(error) => self.give_up(error),
            }
        }
    }

    /// Keeps a piece.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Some(mut file) = self.file.as_ref()
            && let Err(error) = file.write_all(bytes)
        {
            self.give_up(error);
        }
    }

    /// All has come, and is proven. Why it could not be kept, where it could not.
    pub(super) fn finish(mut self) -> Result<(), io::Error> {
        self.file = None;
        if let Some(entry) = self.entry.take() {
            entry.put()?;
        }
        self.problem.map_or(Ok(()), Err)
    }

    /// Makes room at once.
    fn give_up(&mut self, error: io::Error) {
        (self.entry, self.file, self.problem) = (None, None, Some(error));
    }
}
