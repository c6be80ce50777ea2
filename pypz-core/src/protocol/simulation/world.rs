//! The simulated world: its clock, its broker, its processes, and what happens when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::super::{Layout, MemberId, ProcessId, Side};
use super::broker::{Broker, Record, Said};
use super::faults::{BrokenRule, Fault, Plan};
use super::oracle::{Oracle, Rank};
use super::plain::{PlainEvent, PlainProcess, Watch};
use super::process::SimProcess;
use super::rng::Rng;

/// Something that happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Start {
        slot: usize,
        fresh: bool,
    },
    Restart {
        slot: usize,
        after: usize,
    },
    Boot {
        process: usize,
    },
    Wake {
        process: usize,
    },
    Work {
        process: usize,
        member: MemberId,
    },
    Deliver {
        process: usize,
        side: Side,
    },
    /// `late` if the broker was away when it was tried first: then only a living process tries again.
    Publish {
        process: usize,
        side: Side,
        late: bool,
    },
    /// The newest reports of a process in a log come again: the broker was away before it could say that it had them.
    Repeat {
        process: usize,
        side: Side,
        count: usize,
    },
    Append {
        process: usize,
        record: Record,
    },
    Acknowledge {
        process: usize,
        record: Record,
        offset: u64,
    },
    Continue {
        process: usize,
    },
    Strike(Fault),
    Plain {
        process: usize,
        what: PlainEvent,
    },
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: u64,
    pub(super) rng: Rng,
    pub(super) plan: Plan,
    pub(super) layout: Arc<Layout>,
    pub(super) broker: Broker,
    pub(super) oracle: Oracle,
    pub(super) processes: Vec<Option<Box<SimProcess>>>,
    /// Processes of pypz-python.
    pub(super) plain: Vec<Option<Box<PlainProcess>>>,
    pub(super) watch: Watch,
    /// All that happened, if somebody wants to read it.
    pub(super) trace: Option<Vec<String>>,
    pub(super) queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    tickets: u64,
    /// Until when something may go wrong.
    pub(super) troubled_until: u64,
}

impl World {
    pub(super) fn new(seed: u64, broken: Option<BrokenRule>, traced: bool) -> Self {
        Self::of(Plan::draw(seed, broken), traced)
    }

    pub(super) fn of((plan, rng): (Plan, Rng), traced: bool) -> Self {
        let name = |port: &str, n: u32| format!("pl.{port}_{n}.{port}");
        let layout = Layout {
            channel: name("in", 0).into(),
            readers: (0..plan.readers).map(|n| name("in", n)).collect(),
            writers: (0..plan.writers).map(|n| name("out", n)).collect(),
            foreign: plan.foreign.clone(),
            ..Layout::default()
        };
        let mut world = Self {
            now: 0,
            rng,
            layout: Arc::new(layout),
            broker: Broker::new(plan.readers),
            plan,
            oracle: Oracle::default(),
            processes: Vec::new(),
            plain: Vec::new(),
            watch: Watch::default(),
            trace: traced.then(Vec::new),
            queue: BinaryHeap::new(),
            tickets: 0,
            troubled_until: 0,
        };
        world.note(|| "the plan".to_owned());
        super::history::write_old_runs(&mut world);
        world
    }

    pub(super) fn breaks(&self, rule: BrokenRule) -> bool {
        self.plan.broken == Some(rule)
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9} {}", self.now, line()));
        }
    }

    pub(super) const fn is_down(&self) -> bool {
        self.now < self.broker.down_until
    }

    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.tickets += 1;
        self.queue.push(Reverse((at, self.tickets, event)));
    }

    pub(super) fn after(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    pub(super) fn work_soon(&mut self, process: usize, member: MemberId) {
        let lag = if member.side == Side::Readers {
            self.plan.lag
        } else {
            1
        };
        let delay = 1 + self.rng.below(self.plan.pace * lag);
        self.after(delay, Event::Work { process, member });
    }

    pub(super) fn work_later(&mut self, process: usize, member: MemberId) {
        let delay = 1 + self.rng.below(self.plan.pace + 700);
        self.after(delay, Event::Work { process, member });
    }

    /// Rule 5: each incarnation of a member has a rank of its own, and none is at work where everybody answers in time
    /// but another lives.
    pub(super) fn on_established(&mut self, member: MemberId, rank: Rank, identity: ProcessId) {
        self.oracle.on_established(member, rank, identity);
        let other = self
            .processes
            .iter()
            .flatten()
            .find(|process| process.is_at_work(member));
        let calm = self.plan.calm;
        self.oracle.must(!calm || other.is_none(), || {
            format!("{member:?} was established twice at a time")
        });
    }

    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Start { slot, fresh } => self.start(slot, fresh),
            Event::Restart { slot, after } => self.start_after(slot, after),
            Event::Strike(fault) => self.strike(fault),
            Event::Continue { process } => self.go_on(process),
            Event::Publish { process, side, late } => self.publish(process, side, late),
            Event::Repeat { process, side, count } => self.repeat(process, side, count),
            Event::Append { process, record } => self.append(process, record),
            Event::Plain { process, what } => self.on_plain_event(process, what),
            Event::Boot { process }
            | Event::Wake { process }
            | Event::Work { process, .. }
            | Event::Deliver { process, .. }
            | Event::Acknowledge { process, .. } => self.happen(process, event),
        }
    }

    /// Lets something happen to a process that runs; a process that is stopped finds it later.
    fn happen(&mut self, index: usize, event: Event) {
        let remote = matches!(
            event,
            Event::Boot { .. } | Event::Deliver { .. } | Event::Acknowledge { .. }
        );
        if remote && self.is_down() {
            return self.when_back(event);
        }
        if matches!(event, Event::Boot { .. }) && !self.finds_the_channel(index) {
            return;
        }
        let Some(mut process) = self.processes[index].take() else {
            return;
        };
        if process.exit.is_some() {
            // Nobody is there.
        } else if process.paused {
            process.inbox.push(event);
        } else {
            match event {
                Event::Boot { .. } => process.boot(self),
                Event::Deliver { side, .. } => process.deliver(self, side),
                Event::Acknowledge { record, offset, .. } => process.on_acknowledged(self, record, offset),
                Event::Work { member, .. } => process.look(self, Some(member)),
                _ => process.look(self, None),
            }
        }
        self.processes[index] = Some(process);
    }

    fn when_back(&mut self, event: Event) {
        let at = self.broker.down_until + self.rng.below(500);
        self.at(at, event);
    }

    fn publish(&mut self, index: usize, side: Side, late: bool) {
        let is_down = self.is_down();
        let Some(process) = &mut self.processes[index] else {
            return;
        };
        let (is_gone, is_killed) = (
            process.exit.is_some(),
            process.exit.as_ref().is_some_and(|exit| exit.code == 137),
        );
        if process.paused && process.withholds && !is_gone {
            let wait = 1 + self.rng.below(300);
            return self.after(
                wait,
                Event::Publish {
                    process: index,
                    side,
                    late: true,
                },
            );
        }
        if is_down && !is_gone && !(self.plan.lossy && self.rng.one_in(2)) {
            return self.when_back(Event::Publish {
                process: index,
                side,
                late: true,
            });
        }
        let Some(said) = process.outbox[side as usize].pop_front() else {
            return;
        };
        if is_down || (is_gone && late) || (is_killed && self.rng.one_in(2)) {
            return;
        }
        self.take_in(index, side, said);
    }

    fn repeat(&mut self, index: usize, side: Side, count: usize) {
        let Some(process) = &self.processes[index] else {
            return;
        };
        if process.exit.is_some() || self.is_down() {
            return;
        }
        for said in self.broker.last_of(side, process.id(), count) {
            self.take_in(index, side, said);
        }
    }

    /// A message of a process reaches a log, and from there everybody.
    fn take_in(&mut self, index: usize, side: Side, said: Said) {
        match &said {
            Said::Report(report) => {
                self.note(|| {
                    format!(
                        "#{index} says to {side:?} in run {}: {:?}",
                        report.run.number, report.members
                    )
                });
                self.oracle.on_status(self.now, side, report);
                self.hear_mark(index, side, report);
            }
            Said::Word(spoken) => self.hear_native_word(index, spoken),
        }
        self.log(side, said);
    }

    /// A message is in a log, and on its way to everybody.
    pub(super) fn log(&mut self, side: Side, said: Said) {
        self.broker.publish(self.now.max(1), side, said);
        for listener in 0..self.processes.len() {
            if self.processes[listener]
                .as_ref()
                .is_some_and(|process| process.exit.is_none() && process.booted)
            {
                let delay = 1 + self.rng.below(self.plan.delay);
                self.after(
                    delay,
                    Event::Deliver {
                        process: listener,
                        side,
                    },
                );
            }
        }
    }

    fn append(&mut self, index: usize, record: Record) {
        let is_gone = self.processes[index]
            .as_ref()
            .is_none_or(|process| process.exit.is_some());
        if is_gone && (self.is_down() || self.rng.one_in(2)) {
            return;
        }
        if self.is_down() {
            return self.when_back(Event::Append {
                process: index,
                record,
            });
        }
        let partition = record.partition(self.plan.readers);
        let offset = self.broker.partitions[partition].len() as u64;
        self.broker.partitions[partition].push(record);
        let delay = 1 + self.rng.below(60);
        self.after(
            delay,
            Event::Acknowledge {
                process: index,
                record,
                offset,
            },
        );
    }
}
