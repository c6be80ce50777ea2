//! A simulated process of pypz-python: one plain member, its words on their way, and what strikes it.

use std::collections::VecDeque;
use std::rc::Rc;

use super::super::super::{MemberId, PlainStatus, PlainWord, Side};
use super::super::broker::{Said, Spoken};
use super::super::faults::Fault;
use super::super::world::{Event, World};
use super::reader::PlainReader;
use super::writer::PlainWriter;

/// Something that happens to a process of pypz-python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum PlainEvent {
    /// Its operator works.
    Work,
    /// Its heartbeat thread gives a sign of life, and reads status.
    Beat,
    /// The first word on its way reaches the log.
    Say,
    /// A record on its way reaches the log.
    Append(u32),
    /// SIGCONT.
    Continue,
}

#[derive(Debug)]
pub(super) enum Role {
    Writer(PlainWriter),
    Reader(PlainReader),
}

#[derive(Debug)]
pub(in super::super) struct PlainProcess {
    pub(super) index: usize,
    pub(super) member: MemberId,
    /// Which life of which member it is, for those who know everything.
    pub(super) life: usize,
    pub(super) gone: bool,
    slot: usize,
    paused: bool,
    inbox: Vec<PlainEvent>,
    words: VecDeque<Spoken>,
    role: Option<Role>,
}

impl PlainProcess {
    /// Says a word, with how many records it has handled so far.
    pub(super) fn say(&mut self, world: &mut World, status: PlainStatus, count: u32) {
        let count = Some(u64::from(count)).filter(|count| *count > 0 && status == PlainStatus::HealthCheck);
        let is_writer = self.member.side == Side::Writers;
        let word = PlainWord {
            sent: count.filter(|_| is_writer),
            received: count.filter(|_| !is_writer),
            ..PlainWord::bare(self.member, status)
        };
        self.words.push_back(Spoken {
            word,
            stamp: world.now,
            life: Some(self.life),
        });
        let delay = 1 + world.rng.below(world.plan.delay / 2 + 1);
        self.after(world, delay, PlainEvent::Say);
    }

    pub(super) fn after(&self, world: &mut World, delay: u64, what: PlainEvent) {
        let process = self.index;
        world.after(delay, Event::Plain { process, what });
    }

    /// It has gone by itself, having flushed what it said.
    pub(super) fn leave(&mut self, world: &mut World) {
        self.gone = true;
        world.watch.on_end(self.life, world.now);
        world.note(|| format!("plain {:?} exits", self.member));
    }

    pub(super) fn die(&mut self, world: &mut World) {
        self.gone = true;
        world.watch.on_end(self.life, world.now);
        // What its client had not sent yet is gone.
        let kept = world.rng.below(self.words.len() as u64 + 1);
        self.words.truncate(usize::try_from(kept).unwrap_or_default());
    }

    pub(super) const fn role(&self) -> Option<&Role> {
        self.role.as_ref()
    }
}

impl World {
    pub(in super::super) fn start_plain(&mut self, slot: usize, member: MemberId) {
        let (index, life) = (self.plain.len(), self.watch.on_start(member));
        let role = match member.side {
            Side::Writers => Role::Writer(PlainWriter::default()),
            Side::Readers => Role::Reader(PlainReader::default()),
        };
        let process = PlainProcess {
            index,
            member,
            life,
            gone: false,
            slot,
            paused: false,
            inbox: Vec::new(),
            words: VecDeque::new(),
            role: Some(role),
        };
        self.note(|| format!("plain {member:?} starts its life {life}"));
        let delay = self.rng.between(1, 300);
        process.after(self, delay, PlainEvent::Work);
        self.plain.push(Some(Box::new(process)));
    }

    pub(in super::super) fn strike_plain(&mut self, slot: usize, fault: Fault) {
        let lives =
            |process: &&mut Box<PlainProcess>| process.slot == slot && !process.gone && !process.paused;
        let found = self.plain.iter_mut().flatten().find(lives);
        let Some(index) = found.map(|process| process.index) else {
            return;
        };
        let Some(mut process) = self.plain[index].take() else {
            return;
        };
        self.note(|| format!("plain {:?} suffers {fault:?}", process.member));
        match fault {
            Fault::Kill { back, .. } => {
                process.die(self);
                if let Some(back) = back {
                    self.after(back, Event::Restart { slot, after: index });
                    self.expect_trouble_until(self.now + back);
                }
            }
            Fault::Pause { length, .. } => {
                process.paused = true;
                process.after(self, length, PlainEvent::Continue);
                self.expect_trouble_until(self.now + length);
            }
            Fault::Fail { .. } => {
                if let Some(Role::Writer(writer)) = &mut process.role {
                    writer.fails = true;
                }
            }
            _ => {}
        }
        self.plain[index] = Some(process);
    }

    pub(in super::super) fn on_plain_event(&mut self, index: usize, what: PlainEvent) {
        let Some(mut process) = self.plain[index].take() else {
            return;
        };
        match what {
            PlainEvent::Continue => {
                process.paused = false;
                for what in std::mem::take(&mut process.inbox) {
                    let delay = self.rng.below(100);
                    process.after(self, delay, what);
                }
            }
            _ if process.paused && !process.gone => process.inbox.push(what),
            PlainEvent::Say => self.plain_says(&mut process),
            PlainEvent::Append(number) => self.plain_appends(&mut process, number),
            PlainEvent::Work | PlainEvent::Beat if process.gone => {}
            PlainEvent::Work | PlainEvent::Beat => {
                let mut role = process.role.take();
                match &mut role {
                    Some(Role::Writer(writer)) => writer.step(&mut process, self, what),
                    Some(Role::Reader(reader)) => reader.step(&mut process, self, what),
                    None => {}
                }
                process.role = role;
            }
        }
        self.plain[index] = Some(process);
    }

    /// The first word of a process reaches its log, unless the broker is away: then it may be lost.
    fn plain_says(&mut self, process: &mut PlainProcess) {
        // Who loses records loses no counts of them: nothing would tell that they are missing.
        let waits = process.words.front();
        let is_count = waits.is_some_and(|spoken| spoken.word.status == PlainStatus::HealthCheck);
        let counts = self.plan.plain.loses || (self.plan.plain.leftovers && is_count);
        let loses = self.plan.lossy && !counts;
        if self.is_down() && !(loses && self.rng.one_in(2)) {
            let wait = self.broker.down_until - self.now + self.rng.below(500);
            return process.after(self, wait, PlainEvent::Say);
        }
        let Some(spoken) = process.words.pop_front() else {
            return;
        };
        self.note(|| format!("plain {:?} says {:?}", process.member, spoken.word.status));
        if process.member.side == Side::Readers && spoken.word.status == PlainStatus::Started {
            self.oracle.plain_positioned.insert(process.member.index);
        }
        if self.is_down() || !self.broker.exists {
            self.note(|| "which is lost".to_owned());
            return self.watch.excuse();
        }
        self.watch.on_word(self.now, &spoken);
        self.log(process.member.side, Said::Word(Rc::new(spoken)));
    }

    /// A record of a process reaches the log, or is lost without a word.
    fn plain_appends(&mut self, process: &mut PlainProcess, number: u32) {
        let loses = self.plan.plain.loses && self.rng.one_in(if self.is_down() { 2 } else { 8 });
        if self.is_down() && !loses && !process.gone {
            let wait = self.broker.down_until - self.now + self.rng.below(500);
            return process.after(self, wait, PlainEvent::Append(number));
        }
        if let Some(Role::Writer(writer)) = &mut process.role {
            writer.in_flight -= 1;
        }
        let is_late = self.is_down() || self.watch.is_long_gone(process.life, self.now);
        let dies = process.gone && (is_late || self.rng.one_in(2));
        if loses || dies || !self.broker.exists {
            self.note(|| format!("record {number} of plain {:?} is lost", process.member));
            return self.watch.excuse();
        }
        let record = super::watch::record(process.life, process.member.index, number);
        self.note(|| format!("record {number} of plain {:?} is there", process.member));
        let partition = record.partition(self.plan.readers);
        self.broker.partitions[partition].push(record);
    }
}
