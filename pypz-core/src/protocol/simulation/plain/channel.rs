//! The channel of a world with plain members: what was left there, who finds it, what must hold, and its end.

use std::rc::Rc;

use super::super::super::{Machine, MemberId, PlainStatus, PlainWord, Report, RunId, RunPolicy, Side};
use super::super::broker::{Record, Said, Spoken};
use super::super::exit::Exit;
use super::super::faults::{BrokenRule, PATIENCE, Plan};
use super::super::world::{Event, World};
use super::watch::record;

impl World {
    pub(super) fn with_plain_members(seed: u64, broken: Option<BrokenRule>, traced: bool) -> Self {
        let mut world = Self::of(Plan::draw_plain(seed, broken), traced);
        world.broker.exists = world.plan.plain.leftovers || world.plan.old_runs.count > 0;
        if world.plan.plain.leftovers {
            world.watch.leftovers = true;
            world.leave_over();
        } else if world.plan.old_runs.count > 0 && world.plan.old_runs.closed {
            for writer in world.plain_writers() {
                let sent = u32::try_from(world.rng.below(4)).unwrap_or(0);
                world.say_long_ago(writer, sent);
            }
        }
        world
    }

    pub(in super::super) fn is_plain(&self) -> bool {
        !self.plan.foreign.is_empty()
    }

    pub(in super::super) fn is_plain_slot(&self, slot: usize) -> bool {
        self.is_plain() && self.plan.is_plain_slot(slot)
    }

    /// Puts words and records of an earlier run of pypz-python on the channel. Plain readers take old words of writers for
    /// new ones, whatever anybody does, so there are none where readers are plain.
    fn leave_over(&mut self) {
        let readers: Vec<MemberId> = (0..self.plan.readers).map(MemberId::reader).collect();
        for member in &readers {
            self.say_long_ago(*member, 0);
        }
        if self.plan.has_plain_readers() {
            return;
        }
        for writer in 0..self.plan.writers {
            let sent = u32::try_from(self.rng.below(4)).unwrap_or(0);
            let life = self.say_long_ago(MemberId::writer(writer), sent);
            for number in 0..sent {
                let record = record(life, writer, number);
                let partition = record.partition(self.plan.readers);
                self.broker.partitions[partition].push(record);
            }
        }
    }

    /// The words of a life that may have been cut short.
    fn say_long_ago(&mut self, member: MemberId, sent: u32) -> usize {
        use PlainStatus::{Closed, Error, HealthCheck, Opened, Started, Stopped};
        let life = self.watch.on_start(member);
        self.watch.make_old(life);
        let failed = [Opened, HealthCheck, Started, Error, Stopped, Closed];
        let whole = [Opened, HealthCheck, Started, HealthCheck, Stopped, Closed];
        let words = if self.rng.one_in(4) { failed } else { whole };
        let cut = self.rng.pick(&[3, 4, 6, 6, 6]);
        for status in words.into_iter().take(cut) {
            let is_count = status == HealthCheck && member.side == Side::Writers && sent > 0;
            let word = PlainWord {
                sent: is_count.then_some(u64::from(sent)),
                ..PlainWord::bare(member, status)
            };
            self.note(|| format!("long ago plain {member:?} said {status:?}"));
            let spoken = Spoken {
                word,
                stamp: 0,
                life: Some(life),
            };
            self.broker.publish(0, member.side, Said::Word(Rc::new(spoken)));
        }
        life
    }

    /// Whoever is told to give a run up waits for whom it belongs to, unless that is a writer, which may be gone before.
    pub(in super::super) fn policy_of(&self, policy: RunPolicy, members: &[MemberId]) -> RunPolicy {
        let keeper = self.layout.keeper();
        match keeper.side == Side::Readers || members.contains(&keeper) {
            true => policy,
            false => RunPolicy::Resume,
        }
    }

    /// Whether a process of ours that starts finds the channel, which its principal makes.
    pub(in super::super) fn finds_the_channel(&mut self, index: usize) -> bool {
        let Some(process) = self.processes[index]
            .as_mut()
            .filter(|_| !self.plan.foreign.is_empty())
        else {
            return true;
        };
        self.broker.exists |= process.members().any(|member| member == MemberId::PRINCIPAL);
        if !self.broker.exists && process.exit.is_none() {
            if self.now > process.started + PATIENCE * 2 {
                process.exit = Some(Exit::deadline("the channel"));
            } else {
                self.after(250, Event::Boot { process: index });
            }
        }
        self.broker.exists
    }

    /// Whether a process does not hear a word because it breaks a rule.
    pub(in super::super) fn is_unheard(&self, spoken: &Spoken) -> bool {
        let is_old = spoken.life.is_some_and(|life| self.watch.is_old(life, 0));
        let of_reader = spoken.word.member.side == Side::Readers;
        self.breaks(BrokenRule::OverhearsLeftovers) && is_old && of_reader
    }

    /// A writer of ours tells plain readers that it has stopped only when all of its records are there.
    pub(in super::super) fn hear_native_word(&mut self, index: usize, spoken: &Spoken) {
        let (member, status) = (spoken.word.member, spoken.word.status);
        self.note(|| format!("#{index} says for {member:?}: {status:?}"));
        if status != PlainStatus::Stopped || member.side != Side::Writers {
            return;
        }
        self.watch.told.insert(member);
        for number in 0..self.plan.records {
            let is_it = |record: &Record| is_of_ours(record, member.index, number);
            let written = self.broker.partitions.iter().flatten().any(is_it);
            self.oracle.must(written, || {
                format!("{member:?} said that it had stopped before record {number} was there")
            });
        }
    }

    /// A report without members is the mark of a run.
    pub(in super::super) fn hear_mark(&mut self, index: usize, side: Side, report: &Report) {
        let is_mark = side == Side::Writers && report.members.is_empty();
        if let Some(process) = self.processes[index].as_ref().filter(|_| is_mark) {
            let named: Vec<u32> = report.received.iter().map(|(writer, ..)| *writer).collect();
            self.watch.on_mark(report.run, process.started, &named);
        }
    }

    /// Nothing that is known to be of an earlier run is read in this one.
    pub(in super::super) fn read_of_plain(&mut self, record: Record, held: Option<(RunId, u32)>) {
        if !self.is_plain() || record.run.number > 0 {
            return;
        }
        let life = usize::try_from(record.run.id.as_u64_pair().1).unwrap_or_default();
        // Whoever was there before its run is missed by name, whether or not its records are read.
        let is_old =
            held.is_some_and(|(run, _)| self.watch.is_marked(run) && self.watch.is_old(life, run.number));
        self.oracle.must(!is_old, || {
            format!(
                "record {} of plain writer {} of an earlier run was read",
                record.number, record.writer
            )
        });
    }

    /// A reader of ours ends well only if every plain writer of the run has said that it has stopped.
    pub(in super::super) fn on_end_of_plain_writers(&mut self, run: RunId, reader: u32) {
        for writer in self.plain_writers() {
            let said = self
                .watch
                .lives_of(writer, run)
                .any(|(_, life)| life.stopped.is_some() || life.closed);
            self.oracle.must(said, || {
                format!(
                    "reader {reader} ended without a word of plain writer {}",
                    writer.index
                )
            });
        }
    }

    /// A plain reader that ends because a writer of ours has told it to has all of its records.
    pub(super) fn on_plain_reader_end(&mut self, partition: usize, writer: MemberId) {
        if writer.side == Side::Readers || self.plan.foreign.contains(&writer) {
            return;
        }
        for number in 0..self.plan.records {
            let is_here = record(0, writer.index, number).partition(self.plan.readers) == partition;
            let is_it = |record: &Record| is_of_ours(record, writer.index, number);
            let read = self.broker.read.iter().any(is_it);
            self.oracle.must(!is_here || read, || {
                format!(
                    "plain reader {partition} ended without record {number} of writer {}",
                    writer.index
                )
            });
        }
    }

    fn plain_writers(&self) -> Vec<MemberId> {
        let writers = self.plan.foreign.iter().copied();
        writers.filter(|member| member.side == Side::Writers).collect()
    }

    /// The principal of ours deletes the channel, unless something there is unread.
    pub(in super::super) fn delete(&mut self, run: RunId) -> Exit {
        let unread = self.broker.unread();
        if unread > 0 {
            return Exit::new(113, &format!("{unread} records are unread"));
        }
        // Whoever opens the next run before this one is deleted finds itself without a channel, plain members or not.
        let is_newest = self.watch.is_newest(run);
        for writer in self.plain_writers() {
            let lives = self
                .watch
                .lives_of(writer, run)
                .filter(|(_, life)| !life.is_early);
            let sent = lives.map(|(_, life)| life.sent).max();
            for number in 0..sent.unwrap_or(0) {
                let is_read =
                    |(life, _): (usize, _)| self.broker.read.contains(&record(life, writer.index, number));
                let read = self.watch.lives_of(writer, run).any(is_read);
                self.oracle.must(read, || {
                    format!(
                        "the run ended well, but record {number} of plain writer {} was never read",
                        writer.index
                    )
                });
            }
            let mut lives = self.watch.lives_of(writer, run);
            let first = lives
                .next()
                .filter(|(_, life)| !life.closed && life.until.is_none());
            let at_it = first.filter(|_| is_newest).and_then(|(_, life)| life.stopped);
            let waited = at_it.is_none_or(|stopped| stopped + PATIENCE < self.now);
            self.oracle.must(waited, || {
                format!("the channel was deleted under plain writer {}", writer.index)
            });
        }
        Exit::new(0, "done")
    }

    /// A plain principal deletes the channel, whatever is in it and whoever is at it.
    pub(super) fn delete_as_plain(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            if process.exit.is_none() {
                // Plain readers wait for nobody who comes back, nor for anybody to hear its own words.
                self.watch.excused |= process.members().all(|member| self.watch.told.contains(&member));
                process.exit = Some(Exit::new(123, "the channel was deleted by someone else"));
            }
            process
                .outbox
                .iter_mut()
                .for_each(std::collections::VecDeque::clear);
        }
        for process in self.plain.iter_mut().flatten() {
            process.gone |= process.member.side == Side::Readers;
        }
        self.wipe();
    }

    /// The channel is not there any more.
    pub(super) fn wipe(&mut self) {
        self.note(|| "the channel is deleted".to_owned());
        self.broker.wipe();
        self.watch.on_wipe();
        self.oracle.on_oblivion(&self.broker);
        self.oracle.plain_positioned.clear();
    }

    /// Whether a principal that enters a run passes over what is there.
    pub(in super::super) fn passes_over(&self, machine: &Machine, fresh: bool) -> bool {
        (fresh || machine.has_leftovers()) && !self.breaks(BrokenRule::ReadsLeftovers)
    }
}

/// Whether a record is this one of a writer of ours, in whatever run.
const fn is_of_ours(record: &Record, writer: u32, number: u32) -> bool {
    record.run.number > 0 && record.writer == writer && record.number == number
}
