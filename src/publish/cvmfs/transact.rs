//! One transaction, from its opening to what came of it.

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::journal::{Entry, Journal, Step};
use super::revision::Revision;
use super::server::{Said, Until};
use super::state::{self, Flag};
use super::tags::{Tagged, Tags};
use super::waiting::Waiting;
use super::{CvmfsRepository, Expected, Words};
use crate::error::{CvmfsError, Error};
use crate::model::RelPath;
use crate::report::Reporter;
use crate::tools::programs::Listen;

/// What the server says where a publication must wait for others.
pub(super) const HELD: [&str; 5] = [
    "Open writable file descriptors on",
    "open read-only file descriptors in",
    "open file descriptors in",
    "Another publish process is active",
    "Could not acquire lock",
];

/// What it says where a transaction cannot be opened because of others.
pub(super) const TAKEN: [&str; 5] = [
    "another transaction is already open",
    "lease path busy",
    "repository busy",
    // While somebody else's is published, or was killed.
    "is not mounted read/write",
    // And after a crash of the machine.
    "is in a transaction and cannot be repaired",
];

/// And what, where one is open although it says that it failed.
pub(super) const HOOK: &str = "post transaction hook failed";

/// How often what was killed while it published is done again.
const KILLS: u32 = 1;

/// How often it is looked whether what was published is there: a gateway's may take its time.
const LOOKS: u32 = 5;

/// A transaction that is open, for who writes in it.
#[derive(Debug)]
pub struct OpenTransaction {
    root: PathBuf,
    touched: RefCell<Vec<RelPath>>,
}

impl OpenTransaction {
    /// The root of the repository.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Says that `path` below the root is made, changed or removed: once it is published, it is looked whether it is
    /// there as it is now, with all that is in it, or gone.
    pub fn touch(&self, path: RelPath) {
        self.touched.borrow_mut().push(path);
    }
}

impl CvmfsRepository {
    /// Does `work` in a transaction, and publishes what it did as `words` say; throws it away where something fails, a
    /// signal included. What was killed while it published is done once more. `work` leaves no file open in the
    /// repository.
    ///
    /// # Errors
    /// Those of `work`; when the repository is busy for too long, the server refuses, or what was published is not
    /// there.
    pub fn transact<T>(
        &self,
        words: &Words,
        reporter: &dyn Reporter,
        work: &mut dyn FnMut(&OpenTransaction) -> Result<T, Error>,
    ) -> Result<(T, Revision), Error> {
        let began = Instant::now();
        let mut run = Run::begin(self, &words.tag, reporter)?;
        for tried in 0.. {
            let opened = run.open()?;
            let root = self.configuration.union.clone();
            let open = OpenTransaction { root, touched: RefCell::default() };
            // What fails is thrown away with the run.
            let value = work(&open)?;
            if reporter.is_cancelled() {
                return Err(CvmfsError::Cancelled.into());
            }
            let touched = open.touched.into_inner();
            self.check_lease(&touched)?;
            let expected = Expected::of(&self.configuration.union, &touched)?;
            match run.publish(words, &opened)? {
                Some((now, said)) => {
                    self.check(&expected)?;
                    let (tag, took) = (Some(&*run.entry.tag), began.elapsed());
                    let published = Revision::of(&opened.before, &now, tag, &said.output, took);
                    return Ok((value, published));
                }
                None if tried < KILLS => reporter.warning(format!(
                    "{}: `cvmfs_server publish` was killed: what it had is thrown away, and done again",
                    self.name
                )),
                None => break,
            }
        }
        let said = "`cvmfs_server publish` was killed, time and again".to_owned();
        Err(CvmfsError::Refused { repository: self.name.clone(), said }.into())
    }

    /// Clears what a run of ours left that was killed, so that what is mounted is what is published; where nothing is
    /// mounted, as after a crash of the machine, that is put right.
    ///
    /// # Errors
    /// When it cannot be cleared, or another run works on it for too long.
    pub fn settle(&self, reporter: &dyn Reporter) -> Result<(), CvmfsError> {
        let mut run = Run::begin(self, "", reporter)?;
        let is_first = |tags: &Tags| tags.trunk.revision <= 1;
        if self.configuration.is_bare() && !is_first(&self.tags()?) {
            reporter.note(format!(
                "{}: it is not mounted: a transaction is opened and thrown away, by which the server mounts it",
                self.name
            ));
            // It is thrown away with the run.
            run.open()?;
        }
        Ok(())
    }

    /// The error for others' transactions, or whoever's, that were open for too long.
    pub(super) fn taken(&self, why: &str) -> CvmfsError {
        self.busy(match self.configuration.is_marked() {
            false => why.to_owned(),
            true => format!(
                "{why}\na run of elsewhere opened it, and this user's journal on this machine does not know that: if none \
                 is at work, throw it away (cvmfs_server abort -f {})",
                self.name
            ),
        })
    }

    /// Looks whether what was published is there.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn check(&self, expected: &Expected) -> Result<(), CvmfsError> {
        let union = &self.configuration.union;
        for tried in 0..LOOKS {
            let missing = expected.missing(union);
            if missing.is_empty() {
                return Ok(());
            }
            let is_last = !self.configuration.is_gateway || tried + 1 == LOOKS;
            if is_last {
                return Err(CvmfsError::Dropped { repository: self.name.clone(), missing });
            }
            std::thread::sleep(self.options.pause * (1 << tried));
        }
        Ok(())
    }
}

/// The transaction that a run has open.
#[derive(Clone)]
struct Opened {
    flag: Flag,
    /// What was published before it.
    before: Tagged,
}

/// A run that has the repository's journal.
struct Run<'r> {
    repository: &'r CvmfsRepository,
    journal: Journal,
    entry: Entry,
    reporter: &'r dyn Reporter,
    /// The flag of the transaction that is open now, and this run's.
    opened: Option<Flag>,
}

impl<'r> Run<'r> {
    /// Begins one, alone, and after what an earlier one left was cleared.
    fn begin(
        repository: &'r CvmfsRepository,
        tag: &str,
        reporter: &'r dyn Reporter,
    ) -> Result<Self, CvmfsError> {
        let journal = repository.begin(reporter)?;
        Ok(Self { repository, entry: Journal::entry(tag), journal, reporter, opened: None })
    }

    /// Opens a transaction, and marks it.
    fn open(&mut self) -> Result<Opened, CvmfsError> {
        let repository = self.repository;
        let configuration = &repository.configuration;
        let name = match &repository.options.lease {
            Some(lease) if configuration.is_gateway => format!("{}/{lease}", repository.name),
            _ => repository.name.clone(),
        };
        let mut waiting = Waiting::on(repository, self.reporter);
        loop {
            self.entry.flag = None;
            self.entry.others = configuration.flag()?;
            self.journal.write(&mut self.entry, Step::Opening)?;
            let words = ["transaction", &name];
            let said =
                repository.server.run(&words, Listen::Both, Until::Cancelled(self.reporter))?;
            let flag = configuration.flag()?;
            // It may be open although it says otherwise: a hook failed, or it was ended a moment after.
            let is_new = |flag: &Flag| {
                let is_known = said.is_well() || said.says(&[HOOK]);
                let may_be = said.was_killed() || said.was_ended();
                !said.says(&TAKEN)
                    && self.entry.others != Some(*flag)
                    && (is_known || may_be && configuration.is_untouched())
            };
            match flag.filter(is_new) {
                Some(flag) if said.is_well() => return self.take(flag),
                Some(flag) => {
                    self.opened = Some(flag);
                    self.abandon();
                    return Err(self.ended_or(repository.refused(&said)));
                }
                None => {}
            }
            self.journal.write(&mut self.entry, Step::Waiting)?;
            let is_taken = flag.is_some() || said.says(&TAKEN);
            if said.was_ended() || !is_taken {
                self.journal.clear()?;
                return Err(self.ended_or(repository.refused(&said)));
            }
            if !waiting.again("another transaction is open")? {
                self.journal.clear()?;
                return Err(repository.taken(&said.shown()));
            }
        }
    }

    /// Makes the transaction that was opened this run's own, for the next run to see.
    fn take(&mut self, flag: Flag) -> Result<Opened, CvmfsError> {
        self.opened = Some(flag);
        self.entry.flag = Some(flag);
        self.journal.write(&mut self.entry, Step::Open)?;
        let marker = self.marker();
        let made = OpenOptions::new().write(true).create_new(true).open(&marker);
        made.map_err(|source| CvmfsError::Io { path: marker, source })?;
        let tags = self.repository.tags()?;
        self.entry.tag = free(&tags, &self.entry.tag);
        Ok(Opened { flag, before: tags.trunk })
    }

    fn marker(&self) -> PathBuf {
        self.repository.configuration.union.join(self.entry.marker())
    }

    /// Publishes: what is published then, and what the server said. `None` where that was killed, and nothing is.
    fn publish(
        &mut self,
        words: &Words,
        opened: &Opened,
    ) -> Result<Option<(Tagged, Said)>, CvmfsError> {
        let repository = self.repository;
        self.journal.write(&mut self.entry, Step::Publishing)?;
        let marker = self.marker();
        match fs::remove_file(&marker) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CvmfsError::Io { path: marker, source: error });
            }
            _ => {}
        }
        let message = match repository.configuration.is_gateway {
            true => words.joined(),
            false => words.message.clone(),
        };
        let mut asked = vec!["publish", "-a", &self.entry.tag];
        if !message.is_empty() {
            asked.extend(["-m", &message]);
        }
        asked.push(&repository.name);
        let mut waiting = Waiting::on(repository, self.reporter);
        loop {
            let until = Until::Cancelled(self.reporter);
            let said = repository.server.run(&asked, Listen::Both, until)?;
            let tags = repository.tags();
            let is_open = repository.configuration.flag()? == Some(opened.flag);
            let now = match &tags {
                Ok(tags) => self.is_published(tags, opened),
                Err(_) => None,
            };
            if let Some(now) = now.cloned() {
                self.close(&said, is_open);
                return Ok(Some((now, said)));
            }
            if !is_open {
                // Nobody knows what became of it, or somebody else threw it away.
                self.opened = None;
                let name = repository.name.clone();
                let said = said.shown();
                return Err(match tags {
                    Ok(_) => CvmfsError::Gone { repository: name, said },
                    Err(_) => CvmfsError::Unclear { repository: name, said },
                });
            }
            if said.says(&HELD) && !said.was_ended() {
                if waiting.again("files are open in it")? {
                    continue;
                }
                let holders = state::holders(&repository.configuration.union);
                self.abandon();
                return Err(repository.busy(held(&said, &holders)));
            }
            if self.abandon() && said.was_killed() && !self.reporter.is_cancelled() {
                return Ok(None);
            }
            return Err(self.ended_or(repository.refused(&said)));
        }
    }

    /// What is published by this run, if anything is.
    fn is_published<'t>(&self, tags: &'t Tags, opened: &Opened) -> Option<&'t Tagged> {
        let by_hash = || {
            // Through a gateway, others publish at the same time.
            let is_alone = !self.repository.configuration.is_gateway;
            Some(&tags.trunk).filter(|trunk| is_alone && trunk.hash != opened.before.hash)
        };
        tags.find(&self.entry.tag).or_else(by_hash)
    }

    /// Tidies up after what is published, whatever failed later.
    fn close(&mut self, said: &Said, is_open: bool) {
        if !said.is_well() {
            let name = &self.repository.name;
            self.reporter.warning(format!("{name}: published; after that, {}", said.shown()));
        }
        if is_open {
            self.abandon();
        } else {
            self.opened = None;
            let _ = self.journal.clear();
        }
    }

    /// Throws away what is open. What cannot be is said, and left to the next run; false then.
    fn abandon(&mut self) -> bool {
        let Some(flag) = self.opened.take() else { return true };
        let aborted = self.repository.abort(flag);
        match &aborted {
            Ok(()) => drop(self.journal.clear()),
            Err(error) => {
                let hint = error.hint().unwrap_or_default();
                self.reporter.warning(format!("{error}; {hint}"));
            }
        }
        aborted.is_ok()
    }

    /// That the user ended it, where that is so; otherwise this error.
    fn ended_or(&self, error: CvmfsError) -> CvmfsError {
        match self.reporter.is_cancelled() {
            true => CvmfsError::Cancelled,
            false => error,
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// What keeps a publication waiting, for people.
fn held(said: &Said, holders: &[String]) -> String {
    match holders {
        [] => said.shown(),
        holders => holders.join("; "),
    }
}

/// `tag`, or the first free one like it.
pub(super) fn free(tags: &Tags, tag: &str) -> String {
    let numbered = |number: u32| match number {
        1 => tag.to_owned(),
        number => format!("{tag}-{number}"),
    };
    let is_free = |name: &String| tags.find(name).is_none();
    (1..).map(numbered).find(is_free).unwrap_or_default()
}
