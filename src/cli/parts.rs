//! Prefixes of several dists: every command works on all that is in one, or on the dist that is named.

use std::path::Path;

use clap::Args;

use crate::error::Error;
use crate::lifecycle;
use crate::model::{Receipt, escape, shell_word};

/// A path as a word of a command that the user may type.
pub(super) fn typed(path: &Path) -> String {
    shell_word(&escape(&path.to_string_lossy())).into_owned()
}

/// A comment that was signed, as words of a sentence.
pub(super) fn comment(comment: &str) -> String {
    comment.split('\t').collect::<Vec<_>>().join(", ")
}

/// Which part is meant.
#[derive(Debug, Default, Args)]
pub(super) struct PartOf {
    /// In a prefix of several dists: this one only [default: all]
    #[arg(short, long, value_name = "DIST")]
    dist: Option<String>,
}

impl PartOf {
    /// The dist that is named.
    pub(super) fn dist(&self) -> Option<&str> {
        self.dist.as_deref()
    }

    /// Refuses a tree of another dist than the one that is named, if one is.
    ///
    /// # Errors
    /// When it is of another one.
    pub(super) fn check(&self, receipt: &Receipt) -> Result<(), Error> {
        match self.dist.as_ref().filter(|wanted| **wanted != receipt.dist) {
            None => Ok(()),
            Some(wanted) => Err(lifecycle::nothing_of(wanted, &receipt.dist)),
        }
    }
}
