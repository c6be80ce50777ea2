//! The simulated broker: two status logs and a data log.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::super::{Covering, MemberId, PlainWord, ProcessId, Report, RunId, Side};

/// A record by what it is, wherever and however often it is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) run: RunId,
    pub(super) writer: u32,
    pub(super) number: u32,
}

impl Record {
    /// The partition of a record never depends on who sends it.
    pub(super) const fn partition(self, partitions: u32) -> usize {
        ((self.writer + self.number * self.number / 2) % partitions) as usize
    }
}

/// A message of a status log.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Report(Rc<Report>),
    Word(Rc<Spoken>),
}

/// A word of pypz-python's wire.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) word: PlainWord,
    /// When it was made, by the clock of who says it.
    pub(super) stamp: u64,
    /// The life of a plain member in which it was said; `None` if one of ours says it.
    pub(super) life: Option<usize>,
}

impl Said {
    /// The process of ours that says it.
    fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Report(report) => Some(report.process.id),
            Self::Word(spoken) => spoken.word.process,
        }
    }

    pub(super) const fn report(&self) -> Option<&Rc<Report>> {
        match self {
            Self::Report(report) => Some(report),
            Self::Word(_) => None,
        }
    }
}

/// All that outlives a process.
#[derive(Debug)]
pub(super) struct Broker {
    status: [Vec<Said>; 2],
    /// When each message was published; 0 for those of old runs.
    published: [Vec<u64>; 2],
    /// Where each status log begins: what stood before it is gone.
    starts: [usize; 2],
    /// Who initialised the transactional producer of each covering last.
    producers: BTreeMap<(Side, Covering), ProcessId>,
    initialised: BTreeSet<(Side, ProcessId)>,
    pub(super) partitions: Vec<Vec<Record>>,
    /// Where the next incarnation of each reader goes on.
    pub(super) committed: Vec<usize>,
    /// The greatest offset that was ever committed.
    pub(super) furthest: Vec<usize>,
    /// Records that some incarnation of the partition's reader has read.
    pub(super) read: BTreeSet<Record>,
    /// From where each writer goes on in a run.
    pub(super) inputs: BTreeMap<(RunId, u32), u32>,
    pub(super) down_until: u64,
    /// Whether somebody has made the logs, where members are plain: before, nobody finds them.
    pub(super) exists: bool,
}

impl Broker {
    pub(super) fn new(partitions: u32) -> Self {
        let partitions = partitions as usize;
        Self {
            status: [Vec::new(), Vec::new()],
            published: [Vec::new(), Vec::new()],
            starts: [0; 2],
            producers: BTreeMap::new(),
            initialised: BTreeSet::new(),
            partitions: vec![Vec::new(); partitions],
            committed: vec![0; partitions],
            furthest: vec![0; partitions],
            read: BTreeSet::new(),
            inputs: BTreeMap::new(),
            down_until: 0,
            exists: false,
        }
    }

    pub(super) const fn status(&self, side: Side) -> &Vec<Said> {
        &self.status[side as usize]
    }

    pub(super) fn publish(&mut self, now: u64, side: Side, said: Said) {
        self.status[side as usize].push(said);
        self.published[side as usize].push(now);
    }

    /// When a message of a status log was published.
    pub(super) fn published(&self, side: Side, at: usize) -> u64 {
        self.published[side as usize][at]
    }

    /// Where a status log begins.
    pub(super) const fn start(&self, side: Side) -> usize {
        self.starts[side as usize]
    }

    /// The reports of old runs, and those before this moment, are gone from the head of a status log.
    pub(super) fn forget_before(&mut self, side: Side, moment: u64) {
        let old = |at: &u64| *at == 0 || *at < moment;
        let start = self.published[side as usize]
            .iter()
            .take_while(|at| old(at))
            .count();
        self.starts[side as usize] = start.max(self.start(side));
    }

    /// So many reports at the head of a status log are gone.
    pub(super) fn forget(&mut self, side: Side, reports: usize) {
        let start = reports.min(self.status(side).len());
        self.starts[side as usize] = start.max(self.start(side));
    }

    /// The messages that are still there.
    fn remembered(&self, side: Side) -> &[Said] {
        &self.status(side)[self.start(side)..]
    }

    /// The reports that are still there.
    pub(super) fn reports(&self, side: Side) -> impl Iterator<Item = &Rc<Report>> {
        self.remembered(side).iter().filter_map(Said::report)
    }

    /// The last messages of a process that are still there, in their order.
    pub(super) fn last_of(&self, side: Side, process: ProcessId, count: usize) -> Vec<Said> {
        let of_process = self
            .remembered(side)
            .iter()
            .filter(|said| said.process() == Some(process));
        let mut last: Vec<Said> = of_process.rev().take(count).cloned().collect();
        last.reverse();
        last
    }

    /// Whether a process has not initialised its producer yet; notes that it does.
    pub(super) fn initialises(&mut self, side: Side, process: ProcessId) -> bool {
        self.initialised.insert((side, process))
    }

    /// Fences whoever had these members as its transaction's, and makes them another's.
    pub(super) fn initialise(&mut self, side: Side, covering: Covering, by: ProcessId) {
        self.producers.insert((side, covering), by);
    }

    /// Whether a process may still commit for these members.
    pub(super) fn may_commit(&self, side: Side, covering: &Covering, process: ProcessId) -> bool {
        let key = (side, covering.clone());
        self.producers.get(&key) == Some(&process)
    }

    /// Marks all that is there as read, for every reader.
    pub(super) fn skip_to_end(&mut self) {
        for partition in 0..self.partitions.len() {
            self.committed[partition] = self.partitions[partition].len();
        }
    }

    /// How many records no reader has committed.
    pub(super) fn unread(&self) -> usize {
        let ends = self.partitions.iter().map(Vec::len);
        ends.zip(&self.committed)
            .map(|(end, committed)| end.saturating_sub(*committed))
            .sum()
    }

    /// Deletes the channel with all that is in it.
    pub(super) fn wipe(&mut self) {
        let partitions = u32::try_from(self.partitions.len()).unwrap_or(1);
        let (inputs, down_until) = (std::mem::take(&mut self.inputs), self.down_until);
        *self = Self {
            inputs,
            down_until,
            ..Self::new(partitions)
        };
    }

    pub(super) fn commit(&mut self, partition: usize, offset: usize) {
        self.committed[partition] = offset;
        self.furthest[partition] = self.furthest[partition].max(offset);
    }

    /// Whether the record is below a committed offset and was read.
    pub(super) fn is_consumed(&self, partition: usize, record: Record) -> bool {
        let committed = &self.partitions[partition][..self.furthest[partition]];
        self.read.contains(&record) && committed.contains(&record)
    }

    /// The members of a side as the ranges that name a transactional producer.
    pub(super) fn covering(members: impl Iterator<Item = MemberId>, side: Side) -> Covering {
        let mut covering: Covering = Vec::new();
        for member in members.filter(|member| member.side == side) {
            match covering.last_mut() {
                Some(range) if range.1 + 1 == member.index => range.1 = member.index,
                _ => covering.push((member.index, member.index)),
            }
        }
        covering
    }

    pub(super) fn is_written(&self, partition: usize, record: Record) -> bool {
        self.partitions[partition].contains(&record)
    }
}
