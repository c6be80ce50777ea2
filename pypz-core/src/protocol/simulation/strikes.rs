//! Starts of simulated processes, and how faults strike them.

use super::super::{MemberId, RunPolicy, Side};
use super::exit::Exit;
use super::faults::{Fault, PATIENCE};
use super::process::SimProcess;
use super::world::{Event, World};

impl World {
    pub(super) fn start(&mut self, slot: usize, fresh: bool) {
        let policy = if fresh {
            RunPolicy::Fresh
        } else {
            RunPolicy::Resume
        };
        let members = self.plan.slots[slot].clone();
        let policy = self.policy_of(policy, &members);
        if self.is_plain_slot(slot) {
            return self.start_plain(slot, members[0]);
        }
        self.start_with(slot, policy, &members);
    }

    fn start_with(&mut self, slot: usize, policy: RunPolicy, members: &[MemberId]) {
        let process = SimProcess::new(self, slot, policy, members);
        let index = process.index;
        self.note(|| format!("#{index} starts with {members:?}, {policy:?}"));
        self.processes.push(Some(Box::new(process)));
        let delay = self.rng.between(1, 300);
        self.after(delay, Event::Boot { process: index });
    }

    /// A process that was stopped finds all that has happened, in any order; each log keeps its own.
    pub(super) fn go_on(&mut self, index: usize) {
        let Some(process) = &mut self.processes[index] else {
            return;
        };
        (process.paused, process.withholds) = (false, false);
        for event in std::mem::take(&mut process.inbox) {
            let delay = self.rng.below(100);
            self.after(delay, event);
        }
        self.note(|| format!("#{index} continues"));
    }

    /// What the broker does to everybody.
    fn strike_broker(&mut self, fault: Fault) {
        match fault {
            Fault::Outage { length } | Fault::Crash { length } => {
                self.note(|| format!("the broker is away for {length}: {fault:?}"));
                self.broker.down_until = self.broker.down_until.max(self.now + length);
                self.expect_trouble_until(self.broker.down_until);
                if matches!(fault, Fault::Crash { .. }) {
                    self.lose_and_repeat();
                }
            }
            Fault::Retention { of } => {
                self.note(|| format!("the status log forgets: {of:?}"));
                for side in Side::BOTH
                    .into_iter()
                    .filter(|side| of.is_none_or(|of| of == *side))
                {
                    let moment = self.now.saturating_sub(4 * PATIENCE);
                    self.broker.forget_before(side, moment);
                }
                self.oracle.on_retention(&self.broker);
            }
            _ => {}
        }
    }

    /// Of what is on its way to a status log some is lost; of what has arrived there the newest may come again.
    fn lose_and_repeat(&mut self) {
        for index in 0..self.processes.len() {
            for side in Side::BOTH {
                let losses = self.rng.below(3);
                let repeats = self.rng.below(3);
                let Some(process) = &mut self.processes[index] else {
                    continue;
                };
                let kept = process.outbox[side as usize]
                    .len()
                    .saturating_sub(usize::try_from(losses).unwrap_or_default());
                process.outbox[side as usize].truncate(kept);
                if process.exit.is_none() && repeats > 0 {
                    let at = self.broker.down_until + self.rng.below(200);
                    let count = usize::try_from(repeats).unwrap_or_default();
                    self.at(
                        at,
                        Event::Repeat {
                            process: index,
                            side,
                            count,
                        },
                    );
                }
            }
        }
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        let slot = match fault {
            Fault::Outage { .. } | Fault::Crash { .. } | Fault::Retention { .. } => {
                return self.strike_broker(fault);
            }
            Fault::Duplicate { slot, fresh } => return self.start(slot, fresh),
            Fault::Kill { slot, .. }
            | Fault::Pause { slot, .. }
            | Fault::Zombie { slot, .. }
            | Fault::Terminate { slot, .. }
            | Fault::Fail { slot } => slot,
        };
        if self.is_plain_slot(slot) {
            return self.strike_plain(slot, fault);
        }
        let running = |process: &&mut Box<SimProcess>| {
            process.slot == slot && process.exit.is_none() && !process.paused
        };
        let Some(victim) = self
            .processes
            .iter_mut()
            .flatten()
            .find(running)
            .map(|process| process.index)
        else {
            return;
        };
        let Some(mut process) = self.processes[victim].take() else {
            return;
        };
        self.note(|| format!("#{victim} suffers {fault:?}"));
        match fault {
            Fault::Kill { back, .. } => {
                process.exit = Some(Exit::new(137, "killed"));
                self.restart(slot, victim, back);
            }
            Fault::Pause { length, .. } => {
                process.paused = true;
                self.after(length, Event::Continue { process: victim });
                self.expect_trouble_until(self.now + length);
            }
            Fault::Zombie { length, .. } => {
                (process.paused, process.withholds) = (true, true);
                self.after(length, Event::Continue { process: victim });
                self.expect_trouble_until(self.now + length);
                let members: Vec<MemberId> = process.members().collect();
                for member in members {
                    self.start_with(slot, RunPolicy::Resume, &[member]);
                }
            }
            Fault::Terminate { back, .. } => {
                process.leave(self, Exit::quiet(143, "terminated"));
                self.restart(slot, victim, Some(back));
            }
            Fault::Fail { .. } => process.leave(self, Exit::new(115, "boom")),
            Fault::Duplicate { .. }
            | Fault::Outage { .. }
            | Fault::Crash { .. }
            | Fault::Retention { .. } => {}
        }
        self.processes[victim] = Some(process);
    }

    fn restart(&mut self, slot: usize, after: usize, back: Option<u64>) {
        if let Some(back) = back {
            self.after(back, Event::Restart { slot, after });
            self.expect_trouble_until(self.now + back);
        }
    }

    /// Starts a process when the one before is gone.
    pub(super) fn start_after(&mut self, slot: usize, after: usize) {
        let is_there = !self.is_plain_slot(slot)
            && self.processes[after]
                .as_ref()
                .is_some_and(|process| process.exit.is_none());
        if is_there {
            self.after(500, Event::Restart { slot, after });
        } else {
            self.start(slot, false);
        }
    }

    pub(super) fn expect_trouble_until(&mut self, at: u64) {
        self.troubled_until = self.troubled_until.max(at);
    }
}
