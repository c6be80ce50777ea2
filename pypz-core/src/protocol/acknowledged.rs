//! What readers have acknowledged to writers: records that the operators behind them have processed.
//!
//! On a log a reader says up to which offset; a writer knows the offset behind its last record in each partition. In a queue,
//! which has no offsets and whose readers compete, a reader says which of each writer's own numbers. Both are facts that stay
//! true, so they are said again with every report, and whoever hears of a number says it, too: what one reader processed joins
//! with what the others did, and the ranges stay few.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::identity::{MemberId, RunId, Side};
use super::machine::Machine;
use super::report::{End, Report};

/// The most ranges of numbers that a process keeps for a channel.
const MAX_RANGES: usize = 4_096;

/// The least time between two reports because of an acknowledgement.
const PAUSE: Duration = Duration::from_millis(10);

/// What readers of one process have acknowledged, as a report has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgements {
    /// Index and offset of readers of a log: all before the offset is processed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offsets: Vec<(u32, u64)>,
    /// Numbers of writers, in queues.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<Numbers>,
}

impl Acknowledgements {
    /// Whether nothing is acknowledged.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.offsets.is_empty() && self.numbers.is_empty()
    }
}

/// Which records of one writer are acknowledged, by its own numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// By which reader, where each gets everything; else by whichever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<u32>,
    /// Who counts: an execution of a writer.
    pub counter: String,
    /// First number, and the one behind the last.
    pub ranges: Vec<(u64, u64)>,
}

/// What a reader acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledgement {
    /// All before this offset of its partition.
    UpTo(u64),
    /// These records.
    Each(Numbers),
    /// Nothing that has a number: for plain writers, who are told without any.
    Bare,
}

/// What a writer has sent.
#[derive(Debug, Clone, Copy)]
pub struct SentRecords<'a> {
    /// How many records.
    pub records: u64,
    /// On a log: the ends by partition.
    pub ends: &'a [End],
    /// In a queue: who counts, from 0.
    pub counter: Option<&'a str>,
    /// Whether every reader gets all of it.
    pub to_all: bool,
}

/// Disjoint ranges that do not touch: from the first number to the one behind the last.
#[derive(Debug, Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds a range, joined with those that it touches. Returns whether it was not in there; one more than `most` is not kept.
    fn add(&mut self, first: u64, end: u64, most: usize) -> bool {
        let (mut from, mut to) = (first, end);
        if let Some((&start, &until)) = self.0.range(..=first).next_back()
            && until >= first
        {
            if until >= end {
                return false;
            }
            from = start;
        }
        let touched: Vec<u64> = self.0.range(from..=end).map(|(start, _)| *start).collect();
        if touched.is_empty() && self.0.len() >= most {
            return false;
        }
        for start in touched {
            to = to.max(self.0.remove(&start).unwrap_or(to));
        }
        self.0.insert(from, to);
        true
    }

    /// How many of the first `records` numbers are in there.
    fn covered(&self, records: u64) -> u64 {
        let within = self.0.range(..records);
        within.map(|(start, end)| (*end).min(records) - start).sum()
    }
}

/// What is known of acknowledgements, from whatever reader. Bounded by the layout and [`MAX_RANGES`].
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    offsets: HashMap<u32, (RunId, u64)>,
    /// The writers that are here, and those whose records a reader here has acknowledged.
    counters: BTreeSet<String>,
    numbers: BTreeMap<(Option<u32>, String), Ranges>,
    /// The readers here that acknowledge.
    here: BTreeMap<u32, u64>,
    /// Whether every reader gets everything; unknown as long as nobody acknowledges.
    to_all: Option<bool>,
    said_at: Option<Duration>,
    revision: u64,
}

impl Acknowledged {
    fn len(&self) -> usize {
        self.numbers.values().map(|ranges| ranges.0.len()).sum()
    }

    fn add(&mut self, reader: Option<u32>, counter: &str, ranges: &[(u64, u64)]) {
        let mut room = MAX_RANGES.saturating_sub(self.len());
        let known = self.numbers.entry((reader, counter.to_owned())).or_default();
        for (first, end) in ranges.iter().filter(|(first, end)| first < end) {
            let before = known.0.len();
            if known.add(*first, *end, before + room) {
                self.revision += 1;
            }
            room = (room + before).saturating_sub(known.0.len());
        }
    }

    /// Takes in what a report says.
    pub(super) fn hear(&mut self, report: &Report, readers: usize) {
        let said = &report.acknowledged;
        let expected = |index: u32| (index as usize) < readers;
        for &(index, offset) in said.offsets.iter().filter(|(index, _)| expected(*index)) {
            let known = self.offsets.entry(index).or_insert((report.run, 0));
            let is_newer = known.0.number < report.run.number;
            if is_newer || (known.0 == report.run && known.1 < offset) {
                *known = (report.run, offset);
                self.revision += 1;
            }
        }
        for numbers in &said.numbers {
            if self.counters.contains(&numbers.counter) && numbers.reader.is_none_or(expected) {
                self.add(numbers.reader, &numbers.counter, &numbers.ranges);
            }
        }
    }

    pub(super) const fn to_all(&self) -> Option<bool> {
        self.to_all
    }

    fn note(&mut self) {
        self.revision += 1;
    }
}

impl Machine {
    /// Notes under which name a writer here counts its records: acknowledgements of them are kept.
    pub fn count_as(&mut self, counter: &str) {
        self.acknowledged.counters.insert(counter.to_owned());
    }

    /// Notes what a reader here acknowledges. Returns whether it can be kept: not if more ranges are open than anybody keeps.
    #[must_use]
    pub fn acknowledge(&mut self, reader: u32, what: Acknowledgement, to_all: bool) -> bool {
        let acknowledged = &mut self.acknowledged;
        acknowledged.to_all = Some(to_all);
        let known = acknowledged.here.entry(reader).or_default();
        match what {
            Acknowledgement::UpTo(offset) => *known = offset.max(*known),
            Acknowledgement::Bare => {}
            Acknowledgement::Each(numbers) => {
                acknowledged.counters.insert(numbers.counter.clone());
                acknowledged.add(numbers.reader, &numbers.counter, &numbers.ranges);
            }
        }
        let fits = acknowledged.len() < MAX_RANGES;
        let now = self.clock.now();
        let at = acknowledged.said_at.map_or(now, |said| now.max(said + PAUSE));
        let due = self.due.entry(Side::Readers).or_insert(at);
        *due = at.min(*due);
        if let Some(local) = self.local.get_mut(&MemberId::reader(reader)) {
            local.processed = local.count;
        }
        self.changed();
        fits
    }

    /// Grows whenever something was acknowledged that was not before.
    #[must_use]
    pub const fn acknowledged_revision(&self) -> u64 {
        self.acknowledged.revision
    }

    /// Which readers have not acknowledged all that a writer sent, each with how far it is; empty if all have.
    ///
    /// A reader that has finished the run has processed all. One that is plain pypz-python has acknowledged if it said so
    /// since the last record was sent, and has received as many as were sent.
    #[must_use]
    pub fn unacknowledged(&self, sent: SentRecords<'_>) -> Vec<String> {
        let run = self.current_run();
        let readers: Vec<MemberId> = self.layout.members(Side::Readers).collect();
        let finished = |member: &MemberId| run.is_some_and(|run| self.peers.has_finished(*member, run));
        let (plain, ours): (Vec<MemberId>, Vec<MemberId>) = readers
            .into_iter()
            .filter(|member| !finished(member))
            .partition(|member| self.plain.in_run(*member, run).is_some());
        let mut missing = self.unacknowledged_by_plain(&plain, sent);
        if sent.records == 0 {
            return Vec::new();
        }
        match sent.counter {
            None => missing.extend(
                ours.into_iter()
                    .filter_map(|member| self.behind(member, run, sent)),
            ),
            Some(_) if ours.is_empty() => {}
            Some(counter) if sent.to_all => {
                for member in ours {
                    let key = (Some(member.index), counter.to_owned());
                    missing.extend(self.uncovered(&key, self.layout.name(member), sent.records));
                }
            }
            Some(counter) => {
                let key = (None, counter.to_owned());
                missing.extend(self.uncovered(&key, &self.layout.channel, sent.records));
            }
        }
        missing
    }

    /// How far a reader of a log is behind what was sent to its partition.
    fn behind(&self, member: MemberId, run: Option<RunId>, sent: SentRecords<'_>) -> Option<String> {
        let partition = if sent.to_all { 0 } else { member.index };
        let mut ends = sent.ends.iter().filter(|end| end.records > 0);
        let end = ends.find(|end| end.partition == partition)?.offset;
        let known = self.acknowledged.offsets.get(&member.index);
        let known = known
            .filter(|(of, _)| Some(*of) == run)
            .map_or(0, |(_, offset)| *offset);
        let name = self.layout.name(member);
        (known < end).then(|| format!("{name} (up to offset {known} of {end})"))
    }

    /// How many numbers of a counter are not acknowledged.
    fn uncovered(&self, key: &(Option<u32>, String), name: &str, records: u64) -> Option<String> {
        let known = self.acknowledged.numbers.get(key);
        let covered = known.map_or(0, |ranges| ranges.covered(records));
        (covered < records).then(|| format!("{name} ({covered} of {records} records)"))
    }

    /// What the readers here have acknowledged in a run.
    pub(super) fn acknowledgements(&self, run: RunId) -> Acknowledgements {
        let here = &self.acknowledged.here;
        if here.is_empty() {
            return Acknowledgements::default();
        }
        let is_of_run = |index: &u32| {
            let local = self.local.get(&MemberId::reader(*index));
            local.is_some_and(|local| local.run == Some(run))
        };
        let offsets = here
            .iter()
            .filter(|(index, offset)| **offset > 0 && is_of_run(index));
        let numbers = self.acknowledged.numbers.iter();
        let numbers = numbers.filter(|(_, ranges)| !ranges.0.is_empty());
        Acknowledgements {
            offsets: offsets.map(|(index, offset)| (*index, *offset)).collect(),
            numbers: numbers
                .map(|((reader, counter), ranges)| Numbers {
                    reader: *reader,
                    counter: counter.clone(),
                    ranges: ranges.0.iter().map(|(first, end)| (*first, *end)).collect(),
                })
                .collect(),
        }
    }

    /// Notes that the readers here have spoken now.
    pub(super) fn acknowledgements_said(&mut self) {
        if !self.acknowledged.here.is_empty() {
            self.acknowledged.said_at = Some(self.clock.now());
        }
    }

    /// Notes that what a plain reader says may have changed an answer.
    pub(super) fn heard_plain_reader(&mut self) {
        self.acknowledged.note();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_in_whatever_order_they_come() {
        let mut ranges = Ranges::default();
        for (first, end) in [(5, 7), (0, 2), (9, 12), (7, 9), (1, 3), (3, 5), (20, 21)] {
            assert!(ranges.add(first, end, 100), "{first}..{end}");
        }
        assert_eq!(ranges.0.into_iter().collect::<Vec<_>>(), [(0, 12), (20, 21)]);
    }

    #[test]
    fn what_is_known_is_nothing_new_and_what_overlaps_is_counted_once() {
        let mut ranges = Ranges::default();
        assert!(ranges.add(0, 10, 100));
        assert!(!ranges.add(3, 7, 100));
        assert!(ranges.add(8, 15, 100) && ranges.add(30, 40, 100));
        assert_eq!(
            [15, 15, 20, 25],
            [15, 20, 35, 40].map(|records| ranges.covered(records))
        );
    }

    #[test]
    fn ranges_beyond_the_limit_are_not_kept_but_what_joins_is() {
        let mut ranges = Ranges::default();
        for first in [0, 10, 20] {
            ranges.add(first, first + 1, 2);
        }
        assert_eq!(ranges.0.len(), 2);
        assert!(ranges.add(1, 10, 2));
        assert_eq!(ranges.0.into_iter().collect::<Vec<_>>(), [(0, 11)]);
    }
}
