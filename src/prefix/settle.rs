//! Holds the journal against what is there, and brings both together.

use std::collections::BTreeMap;

use super::config;
use super::error::{PrefixError, typed};
use super::event::{Event, Record};
use super::journal::Journal;
use super::replay::{Activation, Live, Settled, There, replay};
use super::{Generation, Locked, Prefix};
use crate::model::Arch;
use crate::report::Reporter;
use crate::tools::machine;

/// The link to a live generation is not there, and nobody removed it on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LostLink {
    /// It led to this generation.
    To(Generation),
    /// Nobody knows where it led, if there was any. The numbers of the generations that are there.
    Unknown(Vec<u32>),
}

impl Prefix {
    /// When which generation became live, oldest first.
    ///
    /// # Errors
    /// When the prefix cannot be read.
    pub fn history(&self, arch: Arch) -> Result<Vec<Activation>, PrefixError> {
        Ok(self.settled(arch)?.activations)
    }

    /// What launchers ran until its link was lost: not where [`Locked::remove`] took it out of use.
    ///
    /// # Errors
    /// When the prefix cannot be read.
    pub fn lost(&self, arch: Arch) -> Result<Option<LostLink>, PrefixError> {
        match self.settled(arch)?.live {
            Live::Nothing | Live::Linked(_) => Ok(None),
            Live::Lost(number) => Ok(Some(LostLink::To(self.generation(arch, number)))),
            Live::Unknown => {
                let there = self.generations(arch)?;
                Ok(Some(LostLink::Unknown(there.iter().map(|it| it.number).collect())))
            }
        }
    }

    /// What the journal of `arch` and what is there say together.
    pub(super) fn settled(&self, arch: Arch) -> Result<Settled, PrefixError> {
        Ok(self.replayed(arch)?.1)
    }

    fn replayed(&self, arch: Arch) -> Result<(Journal, Settled), PrefixError> {
        let journal = Journal::load(&self.layout, arch)?;
        let mut generations = BTreeMap::new();
        for Generation { number, .. } in self.generations(arch)? {
            generations.insert(number, self.layout.baseline(arch, number).exists());
        }
        let there = There { linked: self.layout.linked_number(arch)?, generations };
        let settled = replay(&journal.lines, &there, machine::seconds());
        Ok((journal, settled))
    }
}

impl Locked {
    /// Adds what the journal lacks, and puts a link back of which the journal says where it led. What is in
    /// doubt is told.
    pub(super) fn settle(
        &self,
        arch: Arch,
        reporter: &dyn Reporter,
    ) -> Result<Settled, PrefixError> {
        let settled = self.settled(arch)?;
        if settled.is_doubtful {
            reporter.warning(format!(
                "{arch}: the journal of its generations does not tell all: nothing is deleted that may have \
                 been live in the last seven days"
            ));
        }
        match settled.live {
            Live::Lost(number) => {
                self.point_to(&self.generation(arch, number))?;
                reporter
                    .warning(format!("{arch}: the link to generation {number} was lost; it is back"));
            }
            Live::Unknown => reporter.warning(format!(
                "{arch}: the link to the live generation is lost, and nobody knows which one that was; if you \
                 do: elsewhere rollback -a {arch} --to N {}",
                typed(&self.layout.root)
            )),
            Live::Linked(number) => {
                let generation = self.generation(arch, number);
                if !self.layout.baseline(arch, number).exists() {
                    config::stand_in(self, &generation)?;
                }
            }
            Live::Nothing => {}
        }
        self.catch_up(arch)?;
        Ok(settled)
    }

    /// Adds what the journal lacks to say by itself what is there.
    pub(super) fn catch_up(&self, arch: Arch) -> Result<(), PrefixError> {
        self.write_down(arch, None)
    }

    /// Adds `event`, which is about to be brought about, to the journal.
    pub(super) fn note(&self, arch: Arch, event: Event) -> Result<(), PrefixError> {
        self.write_down(arch, Some(event))
    }

    fn write_down(&self, arch: Arch, event: Option<Event>) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let (journal, settled) = self.replayed(arch)?;
        let mut records = settled.missing;
        records.extend(event.map(|event| Record::new(event, machine::seconds(), settled.highest)));
        match self.layout.arch(arch).exists() {
            true => journal.add(self, arch, &records),
            false => Ok(()),
        }
    }
}
