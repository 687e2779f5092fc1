//! The repository of CernVM-FS that a wishlist is for.

use std::cell::RefCell;
use std::fmt::Write;

use clap::ValueEnum;
use indicatif::HumanBytes;
use serde_json::json;

use super::options::Sources;
use crate::error::Error;
use crate::host::{Host, timestamp};
use crate::model::escape;
use crate::publish::{Collecting, CvmfsPublisher, CvmfsRepository, CvmfsWish, Revision, Via};
use crate::terminal::Terminal;

/// How a repository is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ViaArg {
    /// In a transaction: the mounted repository is written to.
    Transaction,
    /// By archives that are streamed to the server, and deletions.
    Ingest,
}

/// A repository, and what the list says of it.
pub(super) struct OpenRepository<'a> {
    wish: &'a CvmfsWish,
    via: Via,
    repository: CvmfsRepository,
}

impl<'a> OpenRepository<'a> {
    /// Looks at the repository.
    ///
    /// # Errors
    /// When this machine does not publish it.
    pub(super) fn open(
        wish: &'a CvmfsWish,
        via: Option<ViaArg>,
        host: &Host,
    ) -> Result<Self, Error> {
        let options = wish.options(&host.search_path(), host.state_dir()?.join("cvmfs"))?;
        let repository = CvmfsRepository::open(&wish.repository, options)?;
        let via = match via {
            Some(ViaArg::Transaction) => Via::Transaction,
            Some(ViaArg::Ingest) => Via::Ingest,
            None => wish.via,
        };
        Ok(Self { wish, via, repository })
    }

    /// The destination. What a run left that was killed is cleared before anything is planned, unless nothing is to be
    /// changed.
    ///
    /// # Errors
    /// When it cannot be cleared.
    pub(super) fn destination<'t>(
        &'t self,
        host: &Host,
        sources: &Sources,
        terminal: &'t Terminal,
        is_dry: bool,
    ) -> Result<CvmfsPublisher<'t>, Error> {
        if !is_dry {
            self.repository.settle(terminal)?;
        }
        let now = host.now()?;
        let cache = || sources.cache_dir.clone().map_or_else(|| host.cache_dir(), Ok);
        let stages = match self.wish.stage() {
            Some(stages) => stages,
            None => host.absolute(&cache()?).join("publish").join(&self.wish.repository),
        };
        Ok(CvmfsPublisher {
            repository: &self.repository,
            via: self.via,
            tag: self.wish.tag(&timestamp(now)),
            stages,
            time: now,
            reporter: terminal,
            revisions: RefCell::default(),
        })
    }
}

/// What is said of a repository.
pub(super) struct Told {
    repository: String,
    revisions: Vec<Revision>,
    collecting: Option<Collecting>,
}

/// What was published, and, where versions were dropped, what keeps their storage.
pub(super) fn told(destination: &CvmfsPublisher<'_>, dropped: bool) -> Told {
    let collecting = if dropped { destination.collecting().ok() } else { None };
    let repository = destination.repository.name().to_owned();
    Told { repository, revisions: destination.revisions.take(), collecting }
}

impl Told {
    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let Self { repository, revisions, collecting } = self;
        json!({ "repository": repository, "revisions": revisions, "collecting": collecting })
    }

    /// For people.
    pub(super) fn tell(&self, terminal: &Terminal) {
        for revision in &self.revisions {
            terminal.output(sentence(revision));
        }
        let Some(collecting) = &self.collecting else { return };
        let mut text = match collecting.tags.len() {
            0 => "what was dropped keeps its storage until garbage is collected".to_owned(),
            count => {
                format!("what was dropped keeps its storage: {count} tags keep older revisions")
            }
        };
        if !collecting.is_allowed {
            text.push_str(
                "; the repository does not let garbage be collected (CVMFS_GARBAGE_COLLECTION)",
            );
        }
        for command in &collecting.commands {
            let _ = write!(text, "\n  {}", escape(command));
        }
        terminal.line(text);
    }
}

/// One line about a revision.
fn sentence(revision: &Revision) -> String {
    let mut text = format!("revision {}", revision.revision);
    if let Some(tag) = &revision.tag {
        let _ = write!(text, ", {}", escape(tag));
    }
    if let Some(objects) = revision.objects {
        let _ = write!(text, ", {objects} new objects");
    }
    if let Some(bytes) = revision.bytes {
        let _ = write!(text, " of {}", HumanBytes(bytes));
    }
    let _ = write!(text, ", in {:.1} s", revision.seconds);
    text
}
