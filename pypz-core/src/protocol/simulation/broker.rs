//! The simulated broker: two status logs and a data log.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::super::{Report, RunId, Side};

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

/// All that outlives a process.
#[derive(Debug)]
pub(super) struct Broker {
    status: [Vec<Rc<Report>>; 2],
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
}

impl Broker {
    pub(super) fn new(partitions: u32) -> Self {
        let partitions = partitions as usize;
        Self {
            status: [Vec::new(), Vec::new()],
            partitions: vec![Vec::new(); partitions],
            committed: vec![0; partitions],
            furthest: vec![0; partitions],
            read: BTreeSet::new(),
            inputs: BTreeMap::new(),
            down_until: 0,
        }
    }

    pub(super) const fn status(&self, side: Side) -> &Vec<Rc<Report>> {
        &self.status[side as usize]
    }

    pub(super) fn publish(&mut self, side: Side, report: Rc<Report>) {
        self.status[side as usize].push(report);
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

    pub(super) fn is_written(&self, partition: usize, record: Record) -> bool {
        self.partitions[partition].contains(&record)
    }
}
