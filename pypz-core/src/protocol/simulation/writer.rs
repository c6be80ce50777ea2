//! A simulated writer: sends its records, waits for the acknowledgements, says so.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{End, LocalEvent, Machine, MemberId, Membership, Readiness, RunId};
use super::broker::Record;
use super::driver::Step;
use super::exit::Exit;
use super::faults::{BrokenRule, PATIENCE};
use super::world::{Event, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Joining,
    Opening,
    Sending,
    /// Has said that its work is done.
    Settled,
    Stopped,
    Closed,
}

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) member: MemberId,
    phase: Phase,
    pub(super) held: Option<(RunId, u32)>,
    /// The next record to send, and all that were acknowledged.
    next: u32,
    acknowledged: BTreeSet<u32>,
    first: u32,
    ends: BTreeMap<u32, End>,
    ready: bool,
    waits_since: u64,
}

impl Writer {
    pub(super) const fn new(member: MemberId, now: u64) -> Self {
        Self {
            member,
            phase: Phase::Joining,
            held: None,
            next: 0,
            acknowledged: BTreeSet::new(),
            first: 0,
            ends: BTreeMap::new(),
            ready: false,
            waits_since: now,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// What it has written, for its last word.
    pub(super) fn ends(&self) -> Vec<End> {
        self.ends.values().copied().collect()
    }

    pub(super) fn step(
        &mut self,
        machine: &mut Machine,
        world: &mut World,
        step: Step<'_>,
    ) -> Result<(), Exit> {
        match self.phase {
            Phase::Joining => self.join(machine, world, step),
            Phase::Opening if step.works => {
                machine.on_local(self.member, LocalEvent::Started);
                (self.phase, self.waits_since) = (Phase::Sending, world.now);
                world.work_soon(step.process, self.member);
                Ok(())
            }
            Phase::Sending => self.send(machine, world, step),
            Phase::Settled if step.works => {
                let is_done = self.contiguous() >= world.plan.records;
                if machine.has_settled(self.member) && is_done {
                    self.stop(machine, world);
                }
                world.work_soon(step.process, self.member);
                Ok(())
            }
            Phase::Stopped if machine.is_settled() || step.works => {
                machine.on_local(self.member, LocalEvent::Closed);
                self.phase = Phase::Closed;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn join(&mut self, machine: &mut Machine, world: &mut World, step: Step<'_>) -> Result<(), Exit> {
        if let Membership::Established {
            run,
            epoch,
            source,
            settled,
            ..
        } = machine.membership(self.member)
        {
            world.on_established(self.member, (run.number, epoch), step.identity);
            self.held = Some((run, epoch));
            if settled {
                self.stop(machine, world);
                world.work_soon(step.process, self.member);
                return Ok(());
            }
            let place = (run, self.member.index);
            self.first = if world.plan.sources {
                source.and_then(|text| text.parse().ok()).unwrap_or(0)
            } else {
                world.broker.inputs.get(&place).copied().unwrap_or(0)
            };
            self.next = self.first;
            machine.on_local(self.member, LocalEvent::Opened);
            self.phase = Phase::Opening;
            world.work_soon(step.process, self.member);
        } else if let Membership::Over(_) = machine.membership(self.member) {
            machine.on_local(self.member, LocalEvent::Closed);
            self.phase = Phase::Closed;
        } else if world.now > self.waits_since + PATIENCE * 2 {
            return Err(Exit::deadline("a run"));
        }
        Ok(())
    }

    fn send(&mut self, machine: &mut Machine, world: &mut World, step: Step<'_>) -> Result<(), Exit> {
        let Some((run, _)) = self.held else { return Ok(()) };
        let records = world.plan.records;
        let (sent, acknowledged) = (self.next >= records, self.contiguous() >= records);
        let settles = world.plan.settles && (acknowledged || world.breaks(BrokenRule::SettlesEarly));
        if sent && (acknowledged || settles || world.breaks(BrokenRule::StopsBeforeAcknowledged)) {
            if settles {
                machine.on_local(self.member, LocalEvent::Settled);
                self.phase = Phase::Settled;
            } else {
                self.stop(machine, world);
            }
            world.work_soon(step.process, self.member);
            return Ok(());
        }
        if !step.works || sent {
            return Ok(());
        }
        self.ready |=
            machine.readiness() == Readiness::Ready || world.breaks(BrokenRule::SendsBeforeReadiness);
        if !self.ready && world.now > self.waits_since + PATIENCE * 2 {
            return Err(Exit::deadline("readers"));
        }
        let in_flight = (self.next - self.first) as usize - self.acknowledged.len();
        if self.ready && !machine.is_suspended() && in_flight < 4 {
            let record = Record {
                run,
                writer: self.member.index,
                number: self.next,
            };
            self.next += 1;
            if world.is_plain() {
                machine.on_local(self.member, LocalEvent::Sent(u64::from(self.next - self.first)));
            }
            world.oracle.on_send(&world.plan, run);
            world.note(|| {
                format!(
                    "#{} sends {} of writer {}",
                    step.process, record.number, record.writer
                )
            });
            let delay = if world.rng.one_in(20) { 3000 } else { 50 };
            let delay = 1 + world.rng.below(delay);
            world.after(
                delay,
                Event::Append {
                    process: step.process,
                    record,
                },
            );
        }
        world.work_soon(step.process, self.member);
        Ok(())
    }

    fn stop(&mut self, machine: &mut Machine, world: &mut World) {
        machine.on_local(self.member, LocalEvent::Stopped(self.ends()));
        if let Some((run, _)) = self.held {
            world.oracle.on_writer_end(run, self.member.index);
        }
        self.phase = Phase::Stopped;
    }

    /// Up to where all records are acknowledged.
    fn contiguous(&self) -> u32 {
        (self.first..)
            .find(|number| !self.acknowledged.contains(number))
            .unwrap_or(0)
    }

    /// Notes an acknowledgement; says where a source is, if it is time to.
    pub(super) fn on_acknowledged(&mut self, world: &mut World, record: Record, offset: u64) -> Option<u32> {
        let (run, _) = self.held?;
        self.acknowledged.insert(record.number);
        let partition = u32::try_from(record.partition(world.plan.readers)).unwrap_or(0);
        let end = self.ends.entry(partition).or_insert(End {
            partition,
            offset: 0,
            records: 0,
        });
        end.offset = end.offset.max(offset + 1);
        end.records += 1;
        if !world.rng.one_in(3) {
            return None;
        }
        if world.plan.sources {
            let ahead = world.breaks(BrokenRule::AdvancesAhead);
            return Some(if ahead { self.next } else { self.contiguous() });
        }
        world
            .broker
            .inputs
            .insert((run, self.member.index), self.contiguous());
        None
    }
}
