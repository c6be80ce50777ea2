//! A simulated process: a machine and the drivers of its members, as the real one will be.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::super::{
    Heard, LocalEvent, Machine, MemberId, Membership, Process, ProcessId, Report, RunPolicy, Side, Timing,
    wire,
};
use super::broker::{Broker, Record, Said, Spoken};
use super::driver::{Driver, Step};
use super::exit::Exit;
use super::faults::{BrokenRule, PATIENCE, TIMING};
use super::world::{Event, World};

/// How long a process that has to go waits for its last words to come back, in milliseconds.
const LAST_WORDS: u64 = 8000;

#[derive(Debug)]
pub(super) struct SimProcess {
    pub(super) index: usize,
    pub(super) slot: usize,
    pub(super) exit: Option<Exit>,
    pub(super) paused: bool,
    /// While it is paused, what it has said stays with it.
    pub(super) withholds: bool,
    /// What happens to it while it is paused.
    pub(super) inbox: Vec<Event>,
    pub(super) outbox: [VecDeque<Said>; 2],
    pub(super) booted: bool,
    identity: Process,
    machine: Machine,
    pub(super) started: u64,
    cursors: [usize; 2],
    history: [usize; 2],
    history_read: bool,
    drivers: Vec<Driver>,
    leaving: Option<(Exit, u64)>,
    /// Since when it is done, if it only waits for plain writers to leave.
    done_since: Option<u64>,
    wakes_at: u64,
}

impl SimProcess {
    pub(super) fn new(world: &mut World, slot: usize, policy: RunPolicy, members: &[MemberId]) -> Self {
        let (index, now) = (world.processes.len(), world.now);
        let id = Uuid::from_u64_pair(world.rng.next(), world.rng.next());
        let pid = u32::try_from(index).unwrap_or(0);
        let identity = Process {
            id,
            host: format!("slot{slot}"),
            pid,
        };
        let challenge = if world.breaks(BrokenRule::TakesWithoutChallenge) {
            Duration::ZERO
        } else {
            TIMING.challenge
        };
        let timing = Timing { challenge, ..TIMING };
        let drivers = members.iter().map(|member| Driver::new(*member, now));
        Self {
            index,
            slot,
            exit: None,
            paused: false,
            withholds: false,
            inbox: Vec::new(),
            outbox: [VecDeque::new(), VecDeque::new()],
            booted: false,
            machine: Machine::new(Arc::clone(&world.layout), identity.clone(), timing, policy),
            identity,
            started: now,
            cursors: [0; 2],
            history: [0; 2],
            history_read: false,
            drivers: drivers.collect(),
            leaving: None,
            done_since: None,
            wakes_at: 0,
        }
    }

    pub(super) const fn id(&self) -> ProcessId {
        self.identity.id
    }

    /// Whether a member is at work here, and nothing keeps it from that.
    pub(super) fn is_at_work(&self, member: MemberId) -> bool {
        let works = |driver: &Driver| driver.member() == member && driver.rank().is_some();
        self.exit.is_none() && self.leaving.is_none() && self.drivers.iter().any(works)
    }

    pub(super) fn members(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.drivers.iter().map(Driver::member)
    }

    /// Reads the ends that the logs have now: the history ends there.
    pub(super) fn boot(&mut self, world: &mut World) {
        self.booted = true;
        let members: Vec<MemberId> = self.members().collect();
        for member in members {
            self.machine.on_local(member, LocalEvent::Join);
        }
        for side in Side::BOTH {
            let end = world.broker.status(side).len();
            self.cursors[side as usize] = world.broker.start(side);
            self.history[side as usize] = if world.breaks(BrokenRule::DecidesBeforeHistory) {
                0
            } else {
                end
            };
            let mut delay = world.rng.below(world.plan.delay);
            for _ in world.broker.start(side)..end {
                delay += world.rng.below(3);
                world.after(
                    delay,
                    Event::Deliver {
                        process: self.index,
                        side,
                    },
                );
            }
        }
        self.look(world, None);
    }

    /// Hears the next message of a status log.
    pub(super) fn deliver(&mut self, world: &mut World, side: Side) {
        let at = self.cursors[side as usize].max(world.broker.start(side));
        let Some(said) = world.broker.status(side).get(at).cloned() else {
            return self.look(world, None);
        };
        self.cursors[side as usize] = at + 1;
        match said {
            Said::Report(report) => self.hear(world, side, report),
            Said::Word(spoken) => self.hear_word(world, &spoken),
        }
    }

    fn hear(&mut self, world: &mut World, side: Side, mut report: Rc<Report>) {
        if world.plan.wire {
            let bytes = wire::encode(&world.layout, side, (*report).clone(), 0).bytes;
            match wire::decode(&world.layout, side, &bytes) {
                Ok(Heard::Report(decoded)) => report = Rc::new(decoded),
                other => world
                    .oracle
                    .must(false, || format!("own report is not readable: {other:?}")),
            }
        }
        if world.rng.one_in(2) {
            self.machine
                .on_tick(Duration::from_millis(world.now - self.started));
        }
        self.machine.on_report(side, &report);
        self.look(world, None);
        if report.process.id != self.identity.id && self.exit.is_none() && self.leaving.is_none() {
            let rank = |member| {
                self.drivers
                    .iter()
                    .find(|driver| driver.member() == member)
                    .and_then(Driver::rank)
            };
            world.oracle.on_heard(&report, side, rank);
        }
    }

    /// Hears a word of pypz-python's wire: of a plain member, or of one of ours, whose process only signs of life tell.
    fn hear_word(&mut self, world: &mut World, spoken: &Spoken) {
        if world.is_unheard(spoken) {
            return self.look(world, None);
        }
        let bytes = wire::encode_word(&world.layout, &spoken.word, 0).bytes;
        match wire::decode(&world.layout, spoken.word.member.side, &bytes) {
            Ok(Heard::Word(word)) => self.machine.on_plain(&word),
            other => world
                .oracle
                .must(false, || format!("a word is not readable: {other:?}")),
        }
        self.look(world, None);
    }

    pub(super) fn on_acknowledged(&mut self, world: &mut World, record: Record, offset: u64) {
        for driver in &mut self.drivers {
            match driver {
                Driver::Writer(writer) if writer.member.index == record.writer => {
                    if let Some(position) = writer.on_acknowledged(world, record, offset) {
                        self.machine
                            .on_local(writer.member, LocalEvent::Source(position.to_string()));
                    }
                }
                _ => {}
            }
        }
        self.look(world, None);
    }

    /// Says that it goes, for this reason, and goes when it was heard.
    pub(super) fn leave(&mut self, world: &mut World, exit: Exit) {
        if self.leaving.is_some() || self.exit.is_some() {
            return;
        }
        for driver in self.drivers.iter().filter(|driver| !driver.is_done()) {
            let ends = driver.ends();
            let word = if exit.quiet {
                LocalEvent::Left(ends)
            } else {
                LocalEvent::Failed(exit.cause.clone(), ends)
            };
            self.machine.on_local(driver.member(), word);
        }
        world.note(|| format!("#{} leaves: {exit:?}", self.index));
        self.leaving = Some((exit, world.now + LAST_WORDS));
        self.look(world, None);
    }

    /// Looks around after anything has happened, lets one member work, and says what there is to say.
    pub(super) fn look(&mut self, world: &mut World, worker: Option<MemberId>) {
        if self.exit.is_some() || !self.booted {
            return;
        }
        self.machine
            .on_tick(Duration::from_millis(world.now - self.started));
        if !self.history_read
            && Side::BOTH
                .iter()
                .all(|side| self.cursors[*side as usize] >= self.history[*side as usize])
        {
            self.history_read = true;
            self.machine.on_history_read();
        }
        if self.leaving.is_none()
            && let Err(exit) = self.act(world, worker)
        {
            return self.leave(world, exit);
        }
        self.speak(world);
        self.maybe_exit(world);
        let next = self.started + u64::try_from(self.machine.next_tick().as_millis()).unwrap_or(u64::MAX);
        let next = next.max(world.now + 1);
        if self.exit.is_none() && (self.wakes_at <= world.now || next < self.wakes_at) {
            self.wakes_at = next;
            world.at(next, Event::Wake { process: self.index });
        }
    }

    /// Says what there is to say: words before reports, as a session does.
    fn speak(&mut self, world: &mut World) {
        let reports = self.machine.take_reports();
        let stamp = world.now;
        let word = |word| Spoken {
            word,
            stamp,
            life: None,
        };
        let words = self.machine.take_words().into_iter().map(word);
        let words = words.map(|spoken| (spoken.word.member.side, Said::Word(Rc::new(spoken))));
        let reports = reports
            .into_iter()
            .map(|(side, report)| (side, Said::Report(Rc::new(report))));
        for (side, said) in words.chain(reports) {
            self.outbox[side as usize].push_back(said);
            let delay = 1 + world.rng.below(world.plan.delay / 2 + 1);
            world.after(
                delay,
                Event::Publish {
                    process: self.index,
                    side,
                    late: false,
                },
            );
        }
    }

    fn act(&mut self, world: &mut World, worker: Option<MemberId>) -> Result<(), Exit> {
        if let Some(trouble) = self.machine.trouble() {
            return Err(Exit::of(&trouble));
        }
        for driver in &self.drivers {
            if let Membership::Refused(refusal) = self.machine.membership(driver.member())
                && !world.breaks(BrokenRule::IgnoresRefusal)
            {
                return Err(Exit::of(&refusal));
            }
        }
        let covering = Side::BOTH.map(|side| Broker::covering(self.members(), side));
        for driver in &mut self.drivers {
            let works = worker == Some(driver.member());
            let step = Step {
                process: self.index,
                identity: self.identity.id,
                works,
                covering: &covering[driver.member().side as usize],
            };
            driver.step(&mut self.machine, world, step)?;
        }
        Ok(())
    }

    /// Ends when there is nothing more to do and all was heard, or when nobody can hear any more.
    fn maybe_exit(&mut self, world: &mut World) {
        let settled = self.machine.is_settled() || world.breaks(BrokenRule::EndsUnheard);
        let exit = match &self.leaving {
            Some((exit, until)) if settled || world.now >= *until => exit.clone(),
            None if settled && self.drivers.iter().all(Driver::is_done) => match self.deletion(world) {
                Some(exit) => exit,
                None => return,
            },
            _ => return,
        };
        if exit.code == 0 {
            for driver in &self.drivers {
                if let Some(run) = driver.run() {
                    world.oracle.on_good_end(driver.member(), run);
                    if driver.member() == MemberId::PRINCIPAL {
                        world.oracle.on_delete(&world.plan, &world.broker, run);
                    }
                }
            }
        }
        world.note(|| format!("#{} exits: {exit:?}", self.index));
        let calm = world.plan.calm && world.plan.broken != Some(BrokenRule::DecidesBeforeHistory);
        world.oracle.must(!(calm && exit.code == 116), || {
            format!("#{} was fenced though it lived: {exit:?}", self.index)
        });
        self.exit = Some(exit);
    }

    /// How a process that is done ends: its principal deletes what is there, once plain writers have left it.
    fn deletion(&mut self, world: &mut World) -> Option<Exit> {
        let principal = self
            .drivers
            .iter()
            .find(|driver| driver.member() == MemberId::PRINCIPAL);
        let run = principal.and_then(Driver::run);
        let Some(run) = run.filter(|_| world.is_plain()) else {
            return Some(Exit::new(0, "done"));
        };
        let since = *self.done_since.get_or_insert(world.now);
        let left = self.machine.plain_writers_left() || world.now > since + PATIENCE;
        let skips = world.breaks(BrokenRule::DeletesUnderPlainWriters);
        if world.is_down() || !(left || skips) {
            return None;
        }
        Some(world.delete(run))
    }
}
