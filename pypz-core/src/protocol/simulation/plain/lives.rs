//! The two lives of a pipeline with plain members.

use super::super::super::MemberId;
use super::super::world::{Event, World};
use super::process::Role;

/// When plain members are started again: behind the run that ours open on what is there.
const LATER: u64 = 20_000;

impl World {
    /// The first life: everything that the plan wants goes wrong.
    pub(super) fn run_with_plain_faults(&mut self) {
        for slot in 0..self.plan.slots.len() {
            self.at(self.plan.starts[slot], Event::Start { slot, fresh: false });
            self.troubled_until = self.troubled_until.max(self.plan.starts[slot]);
        }
        for (at, fault) in self.plan.faults.clone() {
            self.at(at, Event::Strike(fault));
            self.troubled_until = self.troubled_until.max(at);
        }
        self.run_to_the_end();
        if self.plan.benign && !self.watch.excused {
            self.must_have_completed(0);
        }
    }

    /// The second life: all is started again, and nothing goes wrong. Where records or words were lost for good only a fresh
    /// run completes.
    pub(super) fn run_plain_again(&mut self) {
        self.now = self.now.max(self.broker.down_until);
        let completed = self.oracle.has_completed_run(&self.plan, 0);
        let (since, first) = (self.now, self.processes.len());
        // There is nothing to give up where no run was ever opened. Where writers of ours repeat what they sent, nobody could tell
        // what those of others have lost.
        let repeats = self.plan.plain.loses && !self.oracle.have_finished(&self.layout);
        self.plan.fresh_again = (self.plan.fresh_again || repeats) && self.oracle.has_heard_the_principal();
        let is_over = self.oracle.is_last_run_complete(&self.plan);
        for process in self.plain.iter_mut().flatten() {
            if !std::mem::replace(&mut process.gone, true) {
                self.watch.on_end(process.life, since);
            }
            if is_over {
                self.watch.make_old(process.life);
            }
        }
        let plain_readers = self.plan.has_plain_readers();
        // Whoever finds something unread in a run that is closed has to look after it.
        let is_unread = completed && self.broker.unread() > 0;
        if plain_readers || is_unread || (completed && self.plan.plain.deletes) {
            self.wipe();
        }
        let excused = std::mem::take(&mut self.watch.excused) || self.plan.plain.loses;
        self.plan.plain.loses = false;
        self.note(|| "the pipeline is started again".to_owned());
        for slot in 0..self.plan.slots.len() {
            let late = self.rng.below(3000);
            let waits = !plain_readers && self.is_plain_slot(slot);
            let fresh = self.plan.fresh_again;
            self.after(late + if waits { LATER } else { 0 }, Event::Start { slot, fresh });
        }
        self.troubled_until = self.now + LATER;
        self.run_to_the_end();
        let resumes = !(plain_readers || completed || self.plan.fresh_again);
        if !(resumes && (excused || self.watch.excused)) {
            self.must_have_completed(first);
        }
    }

    /// All of ours ended well, and all was read.
    fn must_have_completed(&mut self, first: usize) {
        if !self.plan.has_plain_readers() {
            let since = self.processes[first]
                .as_ref()
                .map_or(0, |process| process.started);
            let completed = self.oracle.has_completed_run(&self.plan, since);
            self.oracle.must(completed, || {
                "nothing was lost for good, but no run is complete".to_owned()
            });
        }
        for process in self.plain.iter().flatten() {
            // Who comes when the channel is gone waits for another one.
            let is_there = self.broker.exists && matches!(process.role(), Some(Role::Reader(_)));
            let ended = process.gone || !is_there;
            let member: MemberId = process.member;
            self.oracle
                .must(ended, || format!("plain {member:?} does not end"));
        }
        if !self.plan.has_duplicates() || first > 0 {
            self.must_have_ended_well(first);
        }
    }
}
