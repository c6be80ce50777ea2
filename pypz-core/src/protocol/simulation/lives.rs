//! The two lives of a simulated pipeline: one in which everything goes wrong, and one after it in which nothing does.

use std::cmp::Reverse;

use super::super::Side;
use super::faults::PATIENCE;
use super::world::{Event, World};

impl World {
    /// The first life of the pipeline: everything that the plan wants goes wrong.
    pub(super) fn run_with_faults(&mut self) {
        for slot in 0..self.plan.slots.len() {
            self.at(self.plan.starts[slot], Event::Start { slot, fresh: false });
            self.troubled_until = self.troubled_until.max(self.plan.starts[slot]);
        }
        for (at, fault) in self.plan.faults.clone() {
            self.at(at, Event::Strike(fault));
            self.troubled_until = self.troubled_until.max(at);
        }
        self.run_to_the_end();
        if self.plan.benign {
            let completed = self.oracle.has_completed_run(&self.plan, 0);
            self.oracle.must(completed, || {
                "nothing was lost for good, but no run is complete".to_owned()
            });
            if !self.plan.has_duplicates() {
                self.must_have_ended_well(0);
            }
        }
    }

    /// The second life: the whole pipeline is started again, and nothing goes wrong. It goes on with what was left, or
    /// does it all anew, and completes.
    pub(super) fn run_again(&mut self) {
        self.now = self.now.max(self.broker.down_until);
        let (since, first) = (self.now, self.processes.len());
        if let Some(of) = self.plan.forgets {
            for side in Side::BOTH
                .into_iter()
                .filter(|side| of.is_none_or(|of| of == *side))
            {
                let reports = self.broker.status(side).len() as u64;
                let gone = usize::try_from(self.rng.below(reports + 1)).unwrap_or_default();
                self.broker.forget(side, gone);
            }
            self.oracle.on_oblivion(&self.broker);
            self.note(|| format!("the status log forgets: {of:?}"));
        }
        self.note(|| "the pipeline is started again".to_owned());
        for slot in 0..self.plan.slots.len() {
            let late = self.rng.below(3000);
            self.after(
                late,
                Event::Start {
                    slot,
                    fresh: self.plan.fresh_again,
                },
            );
        }
        self.troubled_until = self.now;
        self.run_to_the_end();
        let completed = self.oracle.has_completed_run(&self.plan, since);
        self.oracle.must(completed, || {
            "started again without faults, but no run is complete".to_owned()
        });
        self.must_have_ended_well(first);
    }

    /// All processes from this one on ended well, unless they were struck or came when their work was done.
    pub(super) fn must_have_ended_well(&mut self, first: usize) {
        for process in self.processes.iter().flatten().skip(first) {
            let code = process.exit.as_ref().map_or(0, |exit| exit.code);
            let late = process.members().any(|member| self.oracle.has_finished(member));
            let well = matches!(code, 0 | 137 | 143) || late;
            self.oracle.must(well, || {
                format!("#{} ended with {:?}", process.index, process.exit)
            });
        }
    }

    pub(super) fn run_to_the_end(&mut self) {
        while self.oracle.violation.is_none() {
            let Some(Reverse((at, _, event))) = self.queue.pop() else {
                break;
            };
            self.now = at;
            self.handle(event);
            let overdue = self.now > self.troubled_until + 10 * PATIENCE;
            if overdue {
                let mut left = self
                    .processes
                    .iter()
                    .flatten()
                    .filter(|process| process.exit.is_none());
                let names: Vec<usize> = left.by_ref().map(|process| process.index).collect();
                self.oracle
                    .must(names.is_empty(), || format!("processes {names:?} do not end"));
                break;
            }
        }
        self.queue.clear();
    }
}
