//! Publishes without writing to the mounted repository: a directory is streamed to the server, which unpacks and publishes
//! it in a transaction of its own. What is there and not in the directory stays.

use std::path::Path;
use std::process::ChildStdin;
use std::time::Instant;

use super::journal::{Entry, Journal, Step};
use super::revision::Revision;
use super::server::{Said, Until};
use super::state;
use super::tags::Tagged;
use super::tar::{Archive, Manner};
use super::transact::{HELD, HOOK, TAKEN, free};
use super::waiting::Waiting;
use super::words::word;
use super::{CvmfsRepository, Expected, Words};
use crate::error::CvmfsError;
use crate::model::RelPath;
use crate::report::Reporter;
use crate::tools::programs::Listen;

/// What the server says where it cannot begin.
const UNOPENED: &str = "Impossible to start a transaction";

/// What it says where a tag cannot be made right now.
const LATER: [&str; 2] =
    ["Cannot change repository tags while in a transaction", "is currently publishing"];

/// What is published by streaming it.
#[derive(Clone, Copy, Debug)]
pub struct Ingest<'a> {
    /// A directory, with what is to be at `base`.
    pub tree: &'a Path,
    /// Where in the repository.
    pub base: &'a RelPath,
    /// The latest time that a file may have, in seconds since 1970.
    pub time: u64,
}

/// What one call of the server is to do.
enum Work<'a> {
    Add(&'a RelPath, Archive),
    Delete(&'a [RelPath]),
}

impl CvmfsRepository {
    /// Publishes what a directory holds: new names are added, the same replaced, others stay.
    ///
    /// # Errors
    /// When the directory holds what no archive may, the repository is busy for too long, the server refuses, or what
    /// was published is not there.
    pub fn ingest(
        &self,
        what: Ingest<'_>,
        words: &Words,
        reporter: &dyn Reporter,
    ) -> Result<Revision, CvmfsError> {
        word(what.base.as_str(), "a path for an archive")?;
        self.check_lease(std::slice::from_ref(what.base))?;
        let owner = self.configuration.owner()?;
        let manner = Manner { owner, time: what.time, depth: what.base.depth() };
        let archive = Archive::of(what.tree, manner)?;
        let expected = Expected::at(what.base, what.tree)?;
        self.hand(&Work::Add(what.base, archive), &expected, words, reporter)
    }

    /// Removes `paths`, and publishes that.
    ///
    /// # Errors
    /// As [`CvmfsRepository::ingest`].
    pub fn delete(
        &self,
        paths: &[RelPath],
        words: &Words,
        reporter: &dyn Reporter,
    ) -> Result<Revision, CvmfsError> {
        for path in paths {
            word(path.as_str(), "a path to delete")?;
            if path.as_str().contains(':') {
                // The server would take it for two.
                let what = "a path to delete";
                return Err(CvmfsError::Word { text: path.to_string(), what });
            }
        }
        self.check_lease(paths)?;
        // What is to be there is nothing.
        let nowhere = Path::new("/proc/self/none");
        // A gateway takes one at a time.
        let at_once = if self.configuration.is_gateway { 1 } else { paths.len().max(1) };
        let mut all: Option<Revision> = None;
        for paths in paths.chunks(at_once) {
            let expected = Expected::of(nowhere, paths)?;
            let next = self.hand(&Work::Delete(paths), &expected, words, reporter)?;
            all = Some(match all {
                None => next,
                Some(first) => {
                    Revision { before: first.before, seconds: first.seconds + next.seconds, ..next }
                }
            });
        }
        all.ok_or_else(|| CvmfsError::Word { text: String::new(), what: "a path to delete" })
    }

    /// Lets the server do `work`, as often as others are in the way.
    fn hand(
        &self,
        work: &Work<'_>,
        expected: &Expected,
        words: &Words,
        reporter: &dyn Reporter,
    ) -> Result<Revision, CvmfsError> {
        let began = Instant::now();
        let mut journal = self.begin(reporter)?;
        let mut entry = Journal::entry(&words.tag);
        let mut waiting = Waiting::on(self, reporter);
        loop {
            entry.others = self.configuration.flag()?;
            let why = match entry.others {
                Some(_) => "another transaction is open".to_owned(),
                None => match self.try_once(work, &mut entry, &journal, reporter)? {
                    Handed::Over { before, now, said } => {
                        journal.clear()?;
                        self.check(expected)?;
                        let tag = self.tag(&now, words, reporter);
                        let took = began.elapsed();
                        return Ok(Revision::of(&before, &now, tag.as_deref(), &said.output, took));
                    }
                    Handed::Later(why) => why,
                },
            };
            journal.write(&mut entry, Step::Waiting)?;
            if !waiting.again(&why)? {
                journal.clear()?;
                return Err(self.taken(&why));
            }
        }
    }

    fn try_once(
        &self,
        work: &Work<'_>,
        entry: &mut Entry,
        journal: &Journal,
        reporter: &dyn Reporter,
    ) -> Result<Handed, CvmfsError> {
        let before = self.tags()?.trunk;
        journal.write(entry, Step::Opening)?;
        let (said, filled) = self.call(work, reporter)?;
        let flag = self.configuration.flag()?;
        // It undoes what it refuses, but not where it was killed, or took the archive for an answer.
        let is_open = said.says(&[HOOK]) || !said.says(&[UNOPENED]);
        let left = flag.filter(|flag| entry.others != Some(*flag) && is_open);
        // Before it is undone: that takes the repository away from whoever is in it.
        let holders = match said.says(&HELD) {
            true => state::holders(&self.configuration.union),
            false => Vec::new(),
        };
        let undone = left.map_or(Ok(()), |flag| self.abort(flag));
        let now = self.tags();
        if let Ok(now) = &now
            && now.trunk.hash != before.hash
            && filled.is_ok()
        {
            if !said.is_well() {
                reporter.warning(format!("{}: published; after that, {}", self.name, said.shown()));
            }
            undone?;
            return Ok(Handed::Over { before, now: now.trunk.clone(), said });
        }
        undone?;
        let is_read = |error: &CvmfsError| !matches!(error, CvmfsError::Piped { .. });
        match filled {
            Err(error) if is_read(&error) => return Err(error),
            _ if reporter.is_cancelled() => return Err(CvmfsError::Cancelled),
            _ => {}
        }
        if said.says(&HELD) {
            return Ok(Handed::Later(match holders.is_empty() {
                true => said.shown(),
                false => holders.join("; "),
            }));
        }
        if said.says(&[UNOPENED]) && !is_open && (flag.is_some() || said.says(&TAKEN)) {
            return Ok(Handed::Later("another transaction is open".to_owned()));
        }
        Err(match now {
            Ok(_) => self.refused(&said),
            Err(_) => {
                let said = said.shown();
                CvmfsError::Unclear { repository: self.name.clone(), said }
            }
        })
    }

    fn call(
        &self,
        work: &Work<'_>,
        reporter: &dyn Reporter,
    ) -> Result<(Said, Result<(), CvmfsError>), CvmfsError> {
        match work {
            Work::Add(base, archive) => {
                let words = ["ingest", "-t", "-", "-b", base.as_str(), &self.name];
                let fill = |input: &mut ChildStdin| archive.write(input);
                self.server.feed(&words, reporter, fill)
            }
            Work::Delete(paths) => {
                let mut words = vec!["ingest"];
                words.extend(paths.iter().flat_map(|path| ["-d", path.as_str()]));
                words.push(&self.name);
                let until = Until::Cancelled(reporter);
                Ok((self.server.run(&words, Listen::Both, until)?, Ok(())))
            }
        }
    }

    /// Tags what is published now, which the server does not do by itself: its name, where that could be done.
    fn tag(&self, now: &Tagged, words: &Words, reporter: &dyn Reporter) -> Option<String> {
        if self.configuration.is_gateway {
            return None;
        }
        let mut waiting = Waiting::on(self, reporter);
        let said = loop {
            let tag = free(&self.tags().ok()?, &words.tag);
            let mut asked = vec!["tag", "-a", &tag, "-h", &now.hash];
            if !words.message.is_empty() {
                asked.extend(["-m", &words.message]);
            }
            asked.push(&self.name);
            let said = self.server.run(&asked, Listen::Both, Until::Cancelled(reporter)).ok()?;
            if said.is_well() || self.tags().is_ok_and(|tags| tags.find(&tag).is_some()) {
                return Some(tag);
            }
            let is_soon = said.says(&LATER)
                && waiting.again("another transaction is open").is_ok_and(|is_time| is_time);
            if !is_soon {
                break said;
            }
        };
        reporter.warning(format!("{}: published, and not tagged: {}", self.name, said.shown()));
        None
    }
}

/// What came of one try.
enum Handed {
    Over { before: Tagged, now: Tagged, said: Said },
    Later(String),
}
