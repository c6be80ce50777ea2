//! Starts of simulated processes, and how faults strike them.

use super::super::RunPolicy;
use super::exit::Exit;
use super::faults::Fault;
use super::process::SimProcess;
use super::world::{Event, World};

impl World {
    pub(super) fn start(&mut self, slot: usize, fresh: bool) {
        let policy = if fresh {
            RunPolicy::Fresh
        } else {
            RunPolicy::Resume
        };
        let process = SimProcess::new(self, slot, policy);
        let (index, members) = (process.index, self.plan.slots[slot].clone());
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
        process.paused = false;
        for event in std::mem::take(&mut process.inbox) {
            let delay = self.rng.below(100);
            self.after(delay, event);
        }
        self.note(|| format!("#{index} continues"));
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        let slot = match fault {
            Fault::Outage { length } => {
                self.note(|| format!("the broker is away for {length}"));
                self.broker.down_until = self.broker.down_until.max(self.now + length);
                return self.expect_trouble_until(self.broker.down_until);
            }
            Fault::Duplicate { slot, fresh } => return self.start(slot, fresh),
            Fault::Kill { slot, .. }
            | Fault::Pause { slot, .. }
            | Fault::Terminate { slot, .. }
            | Fault::Fail { slot } => slot,
        };
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
            Fault::Terminate { back, .. } => {
                process.leave(self, Exit::quiet(143, "terminated"));
                self.restart(slot, victim, Some(back));
            }
            Fault::Fail { .. } => process.leave(self, Exit::new(115, "boom")),
            Fault::Duplicate { .. } | Fault::Outage { .. } => {}
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
        if self.processes[after]
            .as_ref()
            .is_some_and(|process| process.exit.is_none())
        {
            self.after(500, Event::Restart { slot, after });
        } else {
            self.start(slot, false);
        }
    }

    fn expect_trouble_until(&mut self, at: u64) {
        self.troubled_until = self.troubled_until.max(at);
    }
}
