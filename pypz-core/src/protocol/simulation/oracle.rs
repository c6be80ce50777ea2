//! What must hold in every world, whatever goes wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Layout, MemberId, MemberState, ProcessId, Report, RunId, Side};
use super::broker::{Broker, Record};
use super::faults::Plan;

/// Run number and epoch: what orders the incarnations of a member.
pub(super) type Rank = (u64, u32);

/// Watches a world. It knows everything, and keeps the first promise that was broken.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) violation: Option<String>,
    holders: BTreeMap<(MemberId, Rank), ProcessId>,
    /// The newest incarnation of each member that has spoken: what an older one says does not count.
    newest: BTreeMap<MemberId, Rank>,
    /// Readers that were positioned in a run, from the log.
    positioned: BTreeSet<(RunId, u32)>,
    /// Plain readers that were positioned in this life of the channel, from the log.
    pub(super) plain_positioned: BTreeSet<u32>,
    /// Members that said in the log that they are finished.
    said_finished: BTreeSet<(RunId, MemberId)>,
    /// Members that said in the log that their work is done.
    said_settled: BTreeSet<(RunId, MemberId)>,
    /// Members that ended well.
    ended: BTreeSet<(RunId, MemberId)>,
    closed: BTreeMap<RunId, u64>,
}

impl Oracle {
    pub(super) fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            self.violation = Some(otherwise());
        }
    }

    /// Hears what reached a status log.
    pub(super) fn on_status(&mut self, now: u64, side: Side, report: &Report) {
        for (index, word) in report.expanded() {
            let (member, rank) = (MemberId { side, index }, (report.run.number, word.epoch));
            let newest = *self.newest.get(&member).unwrap_or(&rank);
            if word.state == MemberState::Claimed || rank < newest {
                continue;
            }
            self.newest.insert(member, rank);
            if side == Side::Readers && (word.state == MemberState::Started || word.state.is_settled()) {
                self.positioned.insert((report.run, index));
            }
            if word.state.is_settled() {
                self.said_settled.insert((report.run, member));
            }
            if word.state.is_finished() {
                self.said_finished.insert((report.run, member));
            }
            if member == MemberId::PRINCIPAL && word.state == MemberState::Closed {
                self.closed.entry(report.run).or_insert(now);
            }
        }
    }

    /// Each incarnation of a member has a rank of its own.
    pub(super) fn on_established(&mut self, member: MemberId, rank: Rank, process: ProcessId) {
        let holder = *self.holders.entry((member, rank)).or_insert(process);
        self.must(holder == process, || {
            format!("{member:?} was established twice with {rank:?}")
        });
    }

    /// What nobody can read any more orders nobody.
    pub(super) fn on_retention(&mut self, broker: &Broker) {
        self.newest.clear();
        for side in Side::BOTH {
            for report in broker.reports(side) {
                for (index, word) in report.expanded() {
                    let rank = (report.run.number, word.epoch);
                    if word.state != MemberState::Claimed {
                        let newest = self.newest.entry(MemberId { side, index }).or_insert(rank);
                        *newest = rank.max(*newest);
                    }
                }
            }
        }
    }

    /// As [`Oracle::on_retention`], when nobody lives who remembers.
    pub(super) fn on_oblivion(&mut self, broker: &Broker) {
        self.on_retention(broker);
        self.holders.clear();
        // A run of which the end is forgotten, but not what a zombie said of it, is closed once more.
        self.closed.clear();
    }

    /// In transactions: whoever commits a position goes on from the one that is committed, so nobody else has committed
    /// since it was read.
    pub(super) fn on_commit(&mut self, member: MemberId, known: usize, committed: usize) {
        self.must(known == committed, || {
            format!(
                "{member:?} goes on from {known} and commits over what another has committed, {committed}"
            )
        });
    }

    /// Rule 1: no record before all readers are positioned.
    pub(super) fn on_send(&mut self, plan: &Plan, run: RunId) {
        for reader in 0..plan.readers {
            let positioned =
                self.positioned.contains(&(run, reader)) || self.plain_positioned.contains(&reader);
            self.must(positioned, || {
                format!("a record was sent before reader {reader} was positioned")
            });
        }
    }

    /// Rule 2: a reader that ends well has read every record that any writer of the run has for it, all of them are in
    /// the log, and every writer has said so.
    pub(super) fn on_reader_end(&mut self, plan: &Plan, broker: &Broker, run: RunId, reader: u32) {
        let is_ours = |writer: &u32| !plan.foreign.contains(&MemberId::writer(*writer));
        for writer in (0..plan.writers).filter(is_ours) {
            let proven = self.said_finished.contains(&(run, MemberId::writer(writer)));
            self.must(proven, || {
                format!("reader {reader} ended without a word of writer {writer}")
            });
            for number in 0..plan.records {
                let record = Record { run, writer, number };
                let partition = record.partition(plan.readers);
                let written = broker.is_written(partition, record);
                self.must(written, || {
                    format!("reader {reader} ended before record {number} of writer {writer} was there")
                });
                let read = partition != reader as usize || broker.read.contains(&record);
                self.must(read, || {
                    format!("reader {reader} ended without record {number} of writer {writer}")
                });
            }
        }
        self.ended.insert((run, MemberId::reader(reader)));
    }

    pub(super) fn on_writer_end(&mut self, run: RunId, writer: u32) {
        self.ended.insert((run, MemberId::writer(writer)));
    }

    /// Whether all readers have said in the log that their work is done.
    pub(super) fn have_settled(&self, plan: &Plan, run: RunId) -> bool {
        let mut readers = (1..plan.readers).map(MemberId::reader);
        readers.all(|reader| self.said_settled.contains(&(run, reader)))
    }

    /// Rule 3: nothing unread is deleted, and nothing before each replica has said its last word.
    pub(super) fn on_delete(&mut self, plan: &Plan, broker: &Broker, run: RunId) {
        for (partition, records) in broker.partitions.iter().enumerate() {
            for record in records.iter().filter(|record| record.run == run) {
                let consumed = broker.is_consumed(partition, *record);
                self.must(consumed, || {
                    format!("{record:?} was deleted before it was committed")
                });
            }
        }
        for reader in 1..plan.readers {
            let said = self.said_finished.contains(&(run, MemberId::reader(reader)));
            self.must(said, || {
                format!("the run was deleted before reader {reader} had said its last word")
            });
        }
    }

    /// Rule 5: who has heard a newer incarnation of its member stops.
    pub(super) fn on_heard(&mut self, report: &Report, side: Side, holds: impl Fn(MemberId) -> Option<Rank>) {
        for (index, word) in report
            .expanded()
            .filter(|(_, word)| word.state != MemberState::Claimed)
        {
            let (member, theirs) = (MemberId { side, index }, (report.run.number, word.epoch));
            let ours = holds(member).filter(|ours| *ours < theirs);
            self.must(ours.is_none(), || {
                format!("{member:?} goes on with {ours:?} after it has heard {theirs:?}")
            });
        }
    }

    /// Nobody ends well whose last word does not count.
    pub(super) fn on_good_end(&mut self, member: MemberId, run: RunId) {
        let given_up = self
            .newest
            .get(&MemberId::PRINCIPAL)
            .is_some_and(|(number, _)| *number > run.number);
        let said = self.said_finished.contains(&(run, member));
        self.must(said || given_up, || {
            format!("{member:?} ended well, but nobody knows")
        });
    }

    /// Whether a member had finished in a run that was not given up, so that another incarnation has nothing to do.
    pub(super) fn has_finished(&self, member: MemberId) -> bool {
        self.said_finished.iter().any(|(_, finished)| *finished == member)
    }

    pub(super) fn has_heard_the_principal(&self) -> bool {
        self.newest.contains_key(&MemberId::PRINCIPAL)
    }

    /// Whether all writers of ours have finished in some run.
    pub(super) fn have_finished(&self, layout: &Layout) -> bool {
        let ours = layout
            .members(Side::Writers)
            .filter(|member| !layout.foreign.contains(member));
        ours.into_iter().all(|member| self.has_finished(member))
    }

    /// A run that was closed after this moment with every member of it ended well.
    pub(super) fn has_completed_run(&self, plan: &Plan, since: u64) -> bool {
        let closed = self.closed.iter().filter(|(_, at)| **at >= since);
        closed.into_iter().any(|(run, _)| self.is_complete(plan, *run))
    }

    /// Whether no run was opened after one that is complete.
    pub(super) fn is_last_run_complete(&self, plan: &Plan) -> bool {
        let last = self
            .newest
            .get(&MemberId::PRINCIPAL)
            .map_or(0, |(number, _)| *number);
        let closed = self.closed.keys().filter(|run| run.number == last);
        closed.into_iter().any(|run| self.is_complete(plan, *run))
    }

    fn is_complete(&self, plan: &Plan, run: RunId) -> bool {
        let readers = (0..plan.readers).map(MemberId::reader);
        let members: Vec<MemberId> = readers
            .chain((0..plan.writers).map(MemberId::writer))
            .filter(|member| !plan.foreign.contains(member))
            .collect();
        members.iter().all(|member| self.ended.contains(&(run, *member)))
    }
}
