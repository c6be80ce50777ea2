//! What the log has told of each member and process.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::identity::{Layout, MemberId, Process, ProcessId, RunId, Side};
use super::report::{Covering, End, MemberRange, MemberState, Report, join};

/// How many processes are remembered with their members.
const MAX_COVERINGS: usize = 16_384;

/// The longest position of a source, in bytes.
pub const MAX_SOURCE_BYTES: usize = 500;

/// The newest word on a member.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) run: RunId,
    pub(super) epoch: u32,
    pub(super) process: Process,
    pub(super) state: MemberState,
    pub(super) cause: Option<String>,
    /// Observed time of the last change of state.
    pub(super) since: Duration,
    /// Whether it was said after this process had read the history.
    pub(super) live: bool,
}

#[derive(Debug, Default)]
struct Signs {
    seen: Duration,
    ends: Vec<End>,
}

/// Everybody that was heard of. Bounded by the layout: a member or process outside it is not kept.
#[derive(Debug, Default)]
pub(super) struct Peers {
    members: HashMap<MemberId, Known>,
    processes: HashMap<ProcessId, Signs>,
    positions: HashMap<u32, (RunId, u64)>,
    /// How many records each reader has been given, and its position then.
    received: HashMap<u32, (RunId, u64, u64)>,
    /// The newest position of each source, in the order of the log.
    sources: HashMap<u32, (RunId, String)>,
    /// Of each process all members that it ever named, in whatever run.
    coverings: BTreeMap<(Side, ProcessId), Covering>,
    /// In which run each member finished last, and in which process. What comes after does not undo it.
    finished: HashMap<MemberId, (RunId, ProcessId)>,
    /// In which run each member last said that its work is done.
    settled: HashMap<MemberId, RunId>,
}

impl Peers {
    pub(super) fn get(&self, member: MemberId) -> Option<&Known> {
        self.members.get(&member)
    }

    /// The newest word on a member, if it was said in this run.
    pub(super) fn in_run(&self, member: MemberId, run: RunId) -> Option<&Known> {
        self.get(member).filter(|known| known.run == run)
    }

    /// The greatest number of a run that the history told of whose members have said nothing since, other than claims; 0 if
    /// there is none.
    pub(super) fn newest_run_of_history(&self) -> u64 {
        let history = self.members.values().filter(|known| !known.live);
        history.map(|known| known.run.number).max().unwrap_or(0)
    }

    /// Takes a word in and says whether it is the newest: of the newest run and epoch, and of one process no step back.
    pub(super) fn hear(
        &mut self,
        member: MemberId,
        report: &Report,
        word: &MemberRange,
        observed: Duration,
        live: bool,
    ) -> bool {
        let known = self.members.get_mut(&member);
        if let Some(known) = known
            && (known.run, known.process.id) == (report.run, report.process.id)
            && (known.epoch, known.state, &known.cause) == (word.epoch, word.state, &word.cause)
        {
            // A sign of life: of thousands of members every two seconds.
            known.live = live;
            return true;
        }
        let known = self.members.get(&member);
        let newest = known.is_none_or(|known| {
            let (ours, theirs) = ((known.run.number, known.epoch), (report.run.number, word.epoch));
            let same = known.run == report.run && known.process.id == report.process.id;
            theirs > ours || (theirs == ours && same && word.state >= known.state)
        });
        if newest {
            let since = known
                .filter(|known| known.process.id == report.process.id && known.state == word.state)
                .map_or(observed, |known| known.since);
            let known = Known {
                run: report.run,
                epoch: word.epoch,
                process: report.process.clone(),
                state: word.state,
                cause: word.cause.clone(),
                since,
                live,
            };
            // Whoever comes back to an end that was said before adds nothing to it, and states no ends.
            if known.state.is_finished() && self.finisher(member, known.run).is_none() {
                self.finished.insert(member, (known.run, known.process.id));
            }
            if known.state.is_settled() {
                self.settled.insert(member, known.run);
            }
            self.members.insert(member, known);
        }
        newest
    }

    /// The process in which an incarnation of the member finished the run.
    fn finisher(&self, member: MemberId, run: RunId) -> Option<ProcessId> {
        self.finished
            .get(&member)
            .filter(|(of, _)| *of == run)
            .map(|(_, process)| *process)
    }

    /// Whether an incarnation of the member has done all that was expected of the member in this run.
    pub(super) fn has_finished(&self, member: MemberId, run: RunId) -> bool {
        self.finisher(member, run).is_some()
    }

    /// Whether an incarnation of the member has said in this run that the work of its replica is done.
    pub(super) fn has_settled(&self, member: MemberId, run: RunId) -> bool {
        self.settled.get(&member) == Some(&run)
    }

    /// Notes a sign of life, and on the writers' side the ends that the process states.
    pub(super) fn sign(&mut self, side: Side, report: &Report, observed: Duration, layout: &Layout) {
        let limit = layout.readers.len() + layout.writers.len() + 64;
        if self.processes.len() >= limit && !self.processes.contains_key(&report.process.id) {
            let holders = self.members.values().map(|known| known.process.id);
            let held: HashSet<ProcessId> = holders.chain(self.finished.values().map(|(_, id)| *id)).collect();
            self.processes.retain(|id, _| held.contains(id));
        }
        let signs = self.processes.entry(report.process.id).or_default();
        signs.seen = observed;
        if side == Side::Writers {
            signs.ends.clone_from(&report.ends);
        }
        let key = (side, report.process.id);
        if self.coverings.len() < MAX_COVERINGS || self.coverings.contains_key(&key) {
            let covering = self.coverings.entry(key).or_default();
            covering.extend(report.covering());
            join(covering);
        }
        self.hear_sources(side, report, layout);
        let expected = |index: u32| side == Side::Readers && (index as usize) < layout.readers.len();
        for &(index, count, position) in report.received.iter().filter(|(index, ..)| expected(*index)) {
            if !self.speaks_for(MemberId::reader(index), report) {
                continue;
            }
            let known = self.received.entry(index).or_insert((report.run, 0, 0));
            if known.0.number <= report.run.number {
                *known = (report.run, count, position);
            }
        }
        for &(index, offset) in report.positions.iter().filter(|(index, _)| expected(*index)) {
            let position = self.positions.entry(index).or_insert((report.run, offset));
            if position.0.number < report.run.number {
                *position = (report.run, offset);
            } else if position.0 == report.run {
                position.1 = position.1.max(offset);
            }
        }
    }

    /// Whether a report is of the newest incarnation of a member. A process that was replaced says nothing that counts: only who
    /// holds the member does.
    fn speaks_for(&self, member: MemberId, report: &Report) -> bool {
        let rank = |epoch: u32| (report.run.number, epoch);
        let known = self.get(member).map(|known| (known.run.number, known.epoch));
        report.members.iter().any(|range| {
            let newest = known.is_none_or(|known| rank(range.epoch) >= known);
            let of = range.first..=range.last;
            of.contains(&member.index) && newest && range.state != MemberState::Claimed
        })
    }

    /// Takes in where sources are.
    fn hear_sources(&mut self, side: Side, report: &Report, layout: &Layout) {
        let expected = |index: u32| side == Side::Writers && (index as usize) < layout.writers.len();
        for (index, text) in report.sources.iter().filter(|(index, _)| expected(*index)) {
            if text.len() <= MAX_SOURCE_BYTES && self.speaks_for(MemberId::writer(*index), report) {
                self.sources.insert(*index, (report.run, text.clone()));
            }
        }
    }

    /// Where a source goes on in a run.
    pub(super) fn source(&self, writer: u32, run: RunId) -> Option<String> {
        let found = self.sources.get(&writer).filter(|(of, _)| *of == run);
        found.map(|(_, text)| text.clone())
    }

    /// Which members of a side ever lived together in a process; `None` if there were too many to know them all.
    pub(super) fn coverings(&self, side: Side) -> Option<BTreeSet<Covering>> {
        let of_side = self.coverings.iter().filter(|((of, _), _)| *of == side);
        (self.coverings.len() < MAX_COVERINGS)
            .then(|| of_side.map(|(_, covering)| covering.clone()).collect())
    }

    pub(super) fn position(&self, reader: u32, run: RunId) -> Option<u64> {
        self.positions
            .get(&reader)
            .filter(|(of, _)| *of == run)
            .map(|(_, offset)| *offset)
    }

    /// How many records of a run a reader has been given, and its position then.
    pub(super) fn received(&self, reader: u32, run: RunId) -> Option<(u64, u64)> {
        let found = self.received.get(&reader).filter(|(of, ..)| *of == run);
        found.map(|(_, count, position)| (*count, *position))
    }

    /// How long, in observed time, a process has been silent.
    pub(super) fn silence(&self, process: ProcessId, observed: Duration) -> Duration {
        let seen = self
            .processes
            .get(&process)
            .map_or(Duration::ZERO, |signs| signs.seen);
        observed.saturating_sub(seen)
    }

    /// The ends that all processes have stated in which a writer finished the run, by partition.
    pub(super) fn ends(&self, run: RunId, layout: &Layout) -> BTreeMap<u32, End> {
        let finishers = layout
            .members(Side::Writers)
            .filter_map(|member| self.finisher(member, run));
        let finishers: BTreeSet<ProcessId> = finishers.collect();
        merge_ends(
            finishers
                .iter()
                .filter_map(|id| self.processes.get(id))
                .flat_map(|signs| &signs.ends),
        )
    }
}

/// Sums what several writers put into each partition.
pub(super) fn merge_ends<'a>(stated: impl Iterator<Item = &'a End>) -> BTreeMap<u32, End> {
    let mut merged: BTreeMap<u32, End> = BTreeMap::new();
    for end in stated {
        merged
            .entry(end.partition)
            .and_modify(|sum| {
                sum.offset = sum.offset.max(end.offset);
                sum.records = sum.records.saturating_add(end.records);
            })
            .or_insert(*end);
    }
    merged
}
