//! Random lives of a prefix, killed at any step, with journals and links damaged afterwards.

use super::*;
use crate::prefix::journal::{parse, text};

/// A generator of numbers that are random enough, and the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn pick(&mut self, from: &[u32]) -> Option<u32> {
        let position = self.below(from.len().max(1) as u64);
        from.get(usize::try_from(position).unwrap()).copied()
    }
}

/// The run was killed.
struct Killed;

/// A prefix of one architecture, and the truth about it.
struct World {
    random: Random,
    journal: Vec<u8>,
    there: There,
    clock: u64,
    /// Steps until the run is killed.
    steps: u64,
    /// What was live and is whole.
    lived: BTreeSet<u32>,
    /// What is live by the link alone: a run was killed at the very step that was to note it, or to take it
    /// back.
    fresh: Option<u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            journal: Vec::new(),
            there: There::default(),
            clock: 1,
            steps: 0,
            lived: BTreeSet::new(),
            fresh: None,
        }
    }

    fn settled(&self) -> Settled {
        let (lines, _) = parse(&self.journal).unwrap();
        replay(&lines, &self.there, self.clock)
    }

    fn numbers(&self) -> Vec<u32> {
        self.there.generations.keys().copied().collect()
    }

    /// One step of a run, at which it may be killed.
    fn step(&mut self) -> Result<(), Killed> {
        self.clock += 1;
        self.steps = self.steps.checked_sub(1).ok_or(Killed)?;
        Ok(())
    }

    /// Adds a line, or a part of it.
    fn add(&mut self, records: &[Record]) -> Result<(), Killed> {
        let (_, end) = parse(&self.journal).unwrap();
        self.journal.truncate(usize::try_from(end).unwrap());
        for record in records {
            let line = text(std::iter::once(record));
            if self.step().is_err() {
                let part = usize::try_from(self.random.below(line.len() as u64)).unwrap();
                self.journal.extend(&line[..part]);
                return Err(Killed);
            }
            self.journal.extend(line);
        }
        Ok(())
    }

    /// As `Locked::note` does.
    fn note(&mut self, event: Option<Event>) -> Result<(), Killed> {
        let settled = self.settled();
        let mut records = settled.missing;
        records.extend(event.map(|event| Record::new(event, self.clock, settled.highest)));
        self.add(&records)
    }

    fn turn(&mut self, to: Option<u32>) -> Result<(), Killed> {
        self.step()?;
        self.there.linked = to;
        Ok(())
    }

    /// As `Locked::clean` does. Before it, what is there must be just what the killed run left.
    fn clean(&mut self) -> Result<(), Killed> {
        let settled = self.settled();
        assert!(!settled.is_doubtful, "a killed run leaves nothing in doubt: {self}");
        let expected = self.there.linked.map_or(Live::Nothing, Live::Linked);
        assert_eq!(settled.live, expected, "{self}");
        if let Some(live) = self.there.linked {
            self.step()?;
            self.witness(live);
        }
        self.note(None)?;
        for number in settled.deletable {
            self.step()?;
            assert!(!self.lived.contains(&number), "{number}: {self}");
            self.there.generations.remove(&number);
        }
        // Nothing else is left over.
        let left: Vec<u32> = self.numbers();
        assert!(left.iter().all(|it| self.lived.contains(it)), "{left:?} {self}");
        Ok(())
    }

    fn witness(&mut self, live: u32) {
        self.there.generations.insert(live, true);
        self.lived.insert(live);
        self.fresh = None;
    }

    fn activate(&mut self, generation: u32) -> Result<(), Killed> {
        if self.there.linked == Some(generation) {
            return Ok(());
        }
        self.note(Some(Event::Begun { generation }))?;
        self.turn(Some(generation))?;
        self.fresh = Some(generation).filter(|it| !self.lived.contains(it));
        self.step()?;
        self.witness(generation);
        self.note(None)
    }

    fn commit(&mut self) -> Result<u32, Killed> {
        self.step()?;
        let number = self.settled().highest + 1;
        assert!(self.lived.iter().all(|it| *it != number), "{number} is given again: {self}");
        self.there.generations.insert(number, false);
        Ok(number)
    }

    /// One run of some command.
    fn run(&mut self) -> Result<(), Killed> {
        self.clean()?;
        match self.random.below(6) {
            0 | 1 => {
                let new = self.commit()?;
                self.activate(new)
            }
            2 => self.fail(),
            3 => match self.random.pick(&self.numbers()) {
                Some(number) if self.there.linked.is_some() => self.activate(number),
                _ => Ok(()),
            },
            4 => {
                if self.there.linked.is_some() {
                    self.note(Some(Event::Removed))?;
                    self.turn(None)?;
                }
                Ok(())
            }
            _ => self.discard(),
        }
    }

    /// An install whose launchers do not work.
    fn fail(&mut self) -> Result<(), Killed> {
        let before = self.there.linked;
        let generation = self.commit()?;
        self.activate(generation)?;
        self.note(Some(Event::Withdrawn { generation, to: before }))?;
        // It is not to have been live; only the link says that it still is.
        self.lived.remove(&generation);
        self.fresh = Some(generation);
        self.step()?;
        self.there.generations.insert(generation, false);
        self.turn(before)?;
        self.fresh = None;
        self.step()?;
        self.there.generations.remove(&generation);
        Ok(())
    }

    /// Deletes an old generation: in one step, or where it lies.
    fn discard(&mut self) -> Result<(), Killed> {
        let old = self.random.pick(&self.numbers()).filter(|it| self.there.linked != Some(*it));
        let Some(generation) = old else { return Ok(()) };
        if self.random.below(2) == 0 {
            self.note(Some(Event::Leaving { generation }))?;
            self.lived.remove(&generation);
            self.step()?;
        }
        self.lived.remove(&generation);
        self.there.generations.remove(&generation);
        Ok(())
    }

    /// A life of some runs, each of which may be killed.
    fn live(&mut self) {
        for _ in 0..self.random.below(12) {
            self.steps = self.random.below(16);
            let _ = self.run();
        }
    }

    /// Nothing that lived may be deleted, and what is added to the journal settles it.
    fn check(&self, journal: &[u8], there: &There) {
        let (lines, _) = parse(journal).unwrap();
        let settled = replay(&lines, there, self.clock);
        let gone = settled.deletable.iter().find(|it| self.lived.contains(it));
        assert_eq!(gone, None, "{there:?} {}\n{self}", String::from_utf8_lossy(journal));
        let added = settled.missing.iter().cloned().map(Some);
        let lines: Vec<_> = lines.into_iter().chain(added).collect();
        let again = replay(&lines, there, self.clock + 1);
        let expected = Settled { is_doubtful: false, missing: Vec::new(), ..settled };
        assert_eq!(again, expected, "{there:?} {}\n{self}", String::from_utf8_lossy(journal));
    }

    /// Every state that the link may be in, by whomever.
    fn links(&self) -> Vec<There> {
        let mut links: Vec<Option<u32>> = self.numbers().into_iter().map(Some).collect();
        links.extend([None, Some(99)]);
        // Who turned the link in that very moment too, leaves nothing that tells of it.
        links.retain(|link| self.fresh.is_none() || *link == self.there.linked);
        links.into_iter().map(|linked| There { linked, ..self.there.clone() }).collect()
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let journal = String::from_utf8_lossy(&self.journal);
        write!(f, "lived {:?} of {:?}\n{journal}", self.lived, self.there)
    }
}

#[test]
fn whatever_is_killed_cut_or_turned_nothing_that_lived_is_deleted() {
    for seed in 0..120 {
        let mut world = World::new(seed);
        world.live();
        for there in world.links() {
            for end in 0..=world.journal.len() {
                // Every byte of the last lines, and a sample of those before.
                if end + 250 > world.journal.len() || end % 7 == 0 {
                    world.check(&world.journal[..end], &there);
                }
            }
        }
    }
}

#[test]
fn a_line_that_makes_no_sense_deletes_nothing_even_without_a_witness() {
    for seed in 0..120 {
        let mut world = World::new(seed);
        world.live();
        let lines: Vec<&[u8]> = world.journal.split_inclusive(|&byte| byte == b'\n').collect();
        for damaged in 0..lines.len() {
            let mut journal = lines.clone();
            journal[damaged] = b"{\"format\":1,\"event\":\"act\0\n";
            for mut there in world.links() {
                let journal = journal.concat();
                world.check(&journal, &there);
                there.generations.values_mut().for_each(|has_config| *has_config = false);
                world.check(&journal, &there);
            }
        }
    }
}

#[test]
fn a_lost_link_comes_back_where_the_journal_says_where_it_led_and_is_not_guessed_elsewhere() {
    let record = |event| Some(Record::new(event, 1, 2));
    let activated = |generation| record(Event::Activated { generation });
    let begun = |generation| record(Event::Begun { generation });
    let generations = BTreeMap::from([(1, true), (2, false)]);
    let there = There { linked: None, generations };
    let live = |lines: &[Option<Record>]| replay(lines, &there, 2).live;
    assert_eq!(live(&[activated(1)]), Live::Lost(1));
    assert_eq!(live(&[activated(1), record(Event::Removed)]), Live::Nothing);
    assert_eq!(live(&[activated(1), record(Event::Removed), begun(2)]), Live::Nothing);
    // It may have led to either.
    let either = replay(&[activated(1), begun(2)], &there, 2);
    assert_eq!((either.live, either.deletable.len()), (Live::Unknown, 0));
    assert_eq!(live(&[activated(1), None]), Live::Unknown);
    assert_eq!(live(&[None, activated(1)]), Live::Unknown);
    assert_eq!(live(&[]), Live::Unknown);
}

/// Whatever a journal says, what runs by the link stays.
#[test]
fn what_the_link_leads_to_is_never_deleted() {
    let record = |event| Some(Record::new(event, 1, 2));
    let leaving = record(Event::Leaving { generation: 1 });
    let there = There { linked: Some(1), generations: BTreeMap::from([(1, true), (2, false)]) };
    for lines in [
        vec![record(Event::Activated { generation: 1 }), leaving.clone()],
        vec![leaving.clone()],
        vec![leaving, None],
    ] {
        assert!(!replay(&lines, &there, 2).deletable.contains(&1), "{lines:?}");
    }
}
