//! What a journal says, held against what is there: one answer to which generation is live, which ones
//! ever were, and what may be deleted. Pure.
//!
//! The link decides what is live. What the journal says differs from it in one line at most where a run was
//! killed, and that line is told apart by the link. Whatever else differs is in doubt: then everything that
//! may have been live counts as if it had been until now, and no link is guessed.
//!
//! The configuration of a generation is put beside it once the link led there (`config-N.json`): it
//! witnesses that it was live where a journal lost its end.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Event, Record};

/// A generation became live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Its number.
    pub generation: u32,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// What is there of one architecture.
#[derive(Clone, Debug, Default)]
pub(super) struct There {
    /// The number that the link names, whether or not that generation is there.
    pub(super) linked: Option<u32>,
    /// The generations, and whether the configuration of each lies beside it.
    pub(super) generations: BTreeMap<u32, bool>,
}

/// What is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Live {
    /// Nothing.
    Nothing,
    /// The link leads to this generation.
    Linked(u32),
    /// The link is lost, and led to this generation.
    Lost(u32),
    /// The link is lost, and nobody knows where it led, if there was any.
    Unknown,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// Every activation that is known, oldest first.
    pub(super) activations: Vec<Activation>,
    /// The highest number that was ever given, as far as is known.
    pub(super) highest: u32,
    /// What is live.
    pub(super) live: Live,
    /// Generations that are there and never were live, or are not whole.
    pub(super) deletable: Vec<u32>,
    /// Those of them that are not whole.
    pub(super) leaving: Vec<u32>,
    /// Whether something is in doubt that was not before.
    pub(super) is_doubtful: bool,
    /// What the journal lacks to say all this by itself.
    pub(super) missing: Vec<Record>,
    /// When each generation that ever was live ceased to be so; `None` for the last one.
    lived: BTreeMap<u32, Option<u64>>,
}

impl Settled {
    /// When `generation` ceased to be live for the last time. `None` when it never was live, or is.
    pub(super) fn retired_at(&self, generation: u32) -> Option<u64> {
        *self.lived.get(&generation)?
    }
}

/// Settles what `lines` say with what is `there`, at the time `now`, in seconds since 1970.
pub(super) fn replay(lines: &[Option<Record>], there: &There, now: u64) -> Settled {
    let mut state = State::default();
    for line in lines {
        match line {
            Some(record) => state.apply(record),
            None => state.lose(),
        }
    }
    let given = there.generations.keys().copied().chain(there.linked);
    state.highest = state.highest.max(given.max().unwrap_or(0));
    let mut missing = Vec::new();
    let mut add = |state: &mut State, event: Event| {
        let record = Record::new(event, now, state.highest);
        state.apply(&record);
        missing.push(record);
    };
    let linked = there.linked.filter(|number| there.generations.contains_key(number));
    let is_doubtful = state.is_doubtful(there, linked);
    if is_doubtful {
        let generations = state.may_have_lived(there, linked);
        add(&mut state, Event::Assumed { generations });
    }
    match (linked, state.begun) {
        (Some(live), _) if state.says != Says::Live(live) => {
            add(&mut state, Event::Activated { generation: live });
        }
        // It is told apart by the link that the run was killed before it turned it.
        (to, Some(generation)) => add(&mut state, Event::Withdrawn { generation, to }),
        _ => {}
    }
    let live = match (linked, state.says) {
        (Some(live), _) => Live::Linked(live),
        (None, Says::Nothing) => Live::Nothing,
        (None, _) if there.generations.is_empty() => Live::Nothing,
        (None, Says::Live(lost)) if there.generations.contains_key(&lost) => Live::Lost(lost),
        (None, _) => Live::Unknown,
    };
    let leaving: Vec<u32> =
        state.leaving.into_iter().filter(|it| there.generations.contains_key(it)).collect();
    let may_go =
        |it: &u32| Some(*it) != linked && (leaving.contains(it) || !state.lived.contains_key(it));
    let deletable = there.generations.keys().copied().filter(may_go).collect();
    let State { activations, highest, lived, .. } = state;
    Settled { activations, highest, live, deletable, leaving, is_doubtful, missing, lived }
}

/// Which generation the journal calls live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Says {
    #[default]
    Nothing,
    Live(u32),
    Unknown,
}

/// What the lines so far say.
#[derive(Debug, Default)]
struct State {
    activations: Vec<Activation>,
    highest: u32,
    says: Says,
    /// The one that the link is about to be turned to.
    begun: Option<u32>,
    lived: BTreeMap<u32, Option<u64>>,
    /// Those of which it was assumed.
    assumed: BTreeSet<u32>,
    leaving: BTreeSet<u32>,
    /// Whether a line makes no sense, and nothing was assumed since.
    is_damaged: bool,
    /// The highest number by the first line after that one: what has a higher one is told of by lines that
    /// make sense.
    sure_above: Option<u32>,
}

impl State {
    fn apply(&mut self, record: &Record) {
        self.highest = self.highest.max(record.highest);
        if self.is_damaged {
            self.sure_above.get_or_insert(record.highest);
        }
        match &record.event {
            &Event::Begun { generation } => self.begun = Some(generation),
            &Event::Activated { generation } => self.activate(generation, record.at),
            &Event::Withdrawn { generation, to } => self.withdraw(generation, to, record.at),
            Event::Removed => {
                self.retire(record.at);
                (self.begun, self.says) = (None, Says::Nothing);
            }
            Event::Leaving { generation } => drop(self.leaving.insert(*generation)),
            Event::Assumed { generations } => {
                self.retire(record.at);
                for generation in generations {
                    self.lived.insert(*generation, Some(record.at));
                }
                self.assumed.extend(generations);
                (self.begun, self.says) = (None, Says::Unknown);
                (self.is_damaged, self.sure_above) = (false, None);
            }
        }
    }

    /// A line that makes no sense may have said anything.
    fn lose(&mut self) {
        (self.begun, self.says) = (None, Says::Unknown);
        (self.is_damaged, self.sure_above) = (true, None);
    }

    fn activate(&mut self, generation: u32, at: u64) {
        if self.says != Says::Live(generation) {
            self.retire(at);
        }
        (self.begun, self.says) = (None, Says::Live(generation));
        self.highest = self.highest.max(generation);
        self.lived.insert(generation, None);
        self.leaving.remove(&generation);
        if self.activations.last().is_none_or(|last| last.generation != generation) {
            self.activations.push(Activation { generation, at });
        }
    }

    fn withdraw(&mut self, generation: u32, to: Option<u32>, at: u64) {
        if self.begun.take() == Some(generation) {
            return;
        }
        if self.activations.last().is_some_and(|last| last.generation == generation) {
            self.activations.pop();
        }
        let was_live = self.activations.iter().any(|it| it.generation == generation);
        match was_live || self.assumed.contains(&generation) {
            true => drop(self.lived.insert(generation, Some(at))),
            false => drop(self.lived.remove(&generation)),
        }
        self.says = to.map_or(Says::Nothing, Says::Live);
        if let Some(to) = to {
            self.lived.insert(to, None);
        }
    }

    /// What was live is so no more.
    fn retire(&mut self, at: u64) {
        if let Says::Live(before) = self.says {
            self.lived.insert(before, Some(at));
        }
    }

    /// Whether what is there cannot have come from these lines, whenever the last run was killed.
    fn is_doubtful(&self, there: &There, linked: Option<u32>) -> bool {
        let is_as_said = match self.says {
            Says::Nothing => linked.is_none(),
            Says::Live(live) => linked == Some(live),
            Says::Unknown => linked.is_none(),
        };
        let is_odd = self.begun.is_some_and(|begun| linked != Some(begun) && !is_as_said);
        self.is_damaged || is_odd || self.forgotten(there, linked).next().is_some()
    }

    /// Generations that were live, by the configuration beside them, and of which the lines do not tell it.
    fn forgotten<'t>(
        &'t self,
        there: &'t There,
        linked: Option<u32>,
    ) -> impl Iterator<Item = u32> + 't {
        let witnessed = there.generations.iter().filter(|(_, has_config)| **has_config);
        witnessed.map(|(number, _)| *number).filter(move |number| {
            let is_known = self.lived.contains_key(number) || self.leaving.contains(number);
            !is_known && linked != Some(*number)
        })
    }

    /// Every generation there that may have been live, for all that is known.
    fn may_have_lived(&self, there: &There, linked: Option<u32>) -> Vec<u32> {
        let forgotten: Vec<u32> = self.forgotten(there, linked).collect();
        let is_sure = |number: u32| {
            let is_told = !self.is_damaged || self.sure_above.is_some_and(|it| number > it);
            let is_known = self.lived.contains_key(&number) || self.begun == Some(number);
            is_told && !is_known && !forgotten.contains(&number)
        };
        let there = there.generations.keys().copied();
        there.filter(|it| !is_sure(*it) && !self.leaving.contains(it)).collect()
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
