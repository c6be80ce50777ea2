//! A simulated reader: reads its partition to the proven end, commits, says so; the principal closes the run.

use super::super::{LocalEvent, Machine, MemberId, Membership, RunId, RunPolicy, Siblings, Upstream};
use super::driver::Step;
use super::exit::Exit;
use super::faults::{BrokenRule, PATIENCE};
use super::world::World;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Joining,
    Positioning,
    Reading,
    /// Reads on to this offset, then ends well or with the cause.
    Draining(usize, Option<String>),
    /// Has said that its work is done.
    Settled,
    /// The principal waits for its replicas.
    Stopped,
    Closed,
}

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) member: MemberId,
    phase: Phase,
    pub(super) held: Option<(RunId, u32)>,
    position: usize,
    /// The position that it read, or committed last.
    committed: usize,
    /// How many records of the run it was given, where plain writers tell how many they sent.
    count: u64,
    /// Whether it, or an incarnation before it, has read to its end.
    ended: bool,
    waits_since: u64,
}

impl Reader {
    pub(super) const fn new(member: MemberId, now: u64) -> Self {
        Self {
            member,
            phase: Phase::Joining,
            held: None,
            position: 0,
            committed: 0,
            count: 0,
            ended: false,
            waits_since: now,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Closed
    }

    const fn partition(&self) -> usize {
        self.member.index as usize
    }

    pub(super) fn step(
        &mut self,
        machine: &mut Machine,
        world: &mut World,
        step: Step<'_>,
    ) -> Result<(), Exit> {
        match &self.phase {
            Phase::Joining => self.join(machine, world, step),
            Phase::Stopped => self.close(machine, world),
            Phase::Settled if step.works => {
                if machine.has_settled(self.member) {
                    return self.stop(machine, world);
                }
                world.work_soon(step.process, self.member);
                Ok(())
            }
            Phase::Positioning | Phase::Reading | Phase::Draining(..) if step.works && world.is_down() => {
                world.work_soon(step.process, self.member);
                Ok(())
            }
            Phase::Positioning
                if step.works && world.plan.transactional && !step.is_complete(machine, self.member.side) =>
            {
                world.work_soon(step.process, self.member);
                Ok(())
            }
            Phase::Positioning if step.works => {
                step.fence(machine, world, self.member.side);
                self.position = world.broker.committed[self.partition()];
                self.committed = self.position;
                self.count_on(machine, world);
                machine.on_local(self.member, LocalEvent::Started);
                self.phase = Phase::Reading;
                world.work_soon(step.process, self.member);
                Ok(())
            }
            Phase::Reading if step.works && world.is_plain() && !machine.has_settled(self.member) => {
                // Where its count begins is in the log before it reads.
                world.work_soon(step.process, self.member);
                Ok(())
            }
            Phase::Reading if step.works => {
                self.look_upstream(machine, world)?;
                self.read(machine, world, step)
            }
            Phase::Draining(target, cause) if step.works => {
                let (target, cause) = (*target, cause.clone());
                self.drain(machine, world, step, (target, cause))
            }
            _ => Ok(()),
        }
    }

    /// Reads on to an end that is known, unless more turns out to come, and stops or fails then.
    fn drain(
        &mut self,
        machine: &mut Machine,
        world: &mut World,
        step: Step<'_>,
        (target, cause): (usize, Option<String>),
    ) -> Result<(), Exit> {
        if self.position < target {
            return self.read(machine, world, step);
        }
        let end = world.broker.partitions[self.partition()].len();
        if world.is_plain() && end > target {
            self.phase = Phase::Draining(end, cause);
            return self.read(machine, world, step);
        }
        if world.is_plain() && cause.is_none() && machine.upstream() == Upstream::Sending {
            // A plain writer is started again.
            self.phase = Phase::Reading;
            return self.read(machine, world, step);
        }
        self.commit(world, step, self.position)?;
        self.ended = true;
        match cause {
            Some(cause) => Err(Exit::incomplete(&cause)),
            None if world.plan.settles => {
                machine.on_local(self.member, LocalEvent::Settled);
                self.phase = Phase::Settled;
                world.work_soon(step.process, self.member);
                Ok(())
            }
            None => self.stop(machine, world),
        }
    }

    fn join(&mut self, machine: &mut Machine, world: &mut World, step: Step<'_>) -> Result<(), Exit> {
        if world.is_plain() && world.is_down() {
            // The principal asks the broker for what earlier runs left.
            return Ok(());
        }
        if let Membership::Established {
            run, epoch, settled, ..
        } = machine.membership(self.member)
        {
            world.on_established(self.member, (run.number, epoch), step.identity);
            self.held = Some((run, epoch));
            if settled {
                if self.member == MemberId::PRINCIPAL {
                    self.position = world.broker.committed[self.partition()];
                    self.count_on(machine, world);
                    self.ended = true;
                }
                return self.stop(machine, world);
            }
            self.skip_what_is_old(machine, world, run);
            machine.on_local(self.member, LocalEvent::Opened);
            self.phase = Phase::Positioning;
            world.work_soon(step.process, self.member);
        } else if let Membership::Over(_) = machine.membership(self.member) {
            machine.on_local(self.member, LocalEvent::Closed);
            self.phase = Phase::Closed;
        } else if world.now > self.waits_since + PATIENCE * 2 {
            return Err(Exit::deadline("a run"));
        }
        Ok(())
    }

    /// Asks whether more can come; if not, asks the log for its end.
    fn look_upstream(&mut self, machine: &Machine, world: &mut World) -> Result<(), Exit> {
        let end = world.broker.partitions[self.partition()].len();
        match machine.upstream() {
            Upstream::Sending => {}
            Upstream::Stopped { ends } => {
                let partition = u32::try_from(self.partition()).unwrap_or(0);
                let stated = ends
                    .get(&partition)
                    .map_or(0, |end| usize::try_from(end.offset).unwrap_or(usize::MAX));
                if end < stated {
                    world
                        .oracle
                        .must(false, || format!("the log ends at {end}, {stated} was stated"));
                    return Err(Exit::incomplete("the log is shorter than stated"));
                }
                let target = if world.breaks(BrokenRule::EndsAtStatedEnds) {
                    stated
                } else {
                    end
                };
                self.phase = Phase::Draining(target, None);
            }
            Upstream::Lost { .. } if world.breaks(BrokenRule::EndsOnSilence) => {
                self.phase = Phase::Draining(end, None)
            }
            Upstream::Lost { .. } if world.breaks(BrokenRule::WaitsForever) => {}
            Upstream::Failed { cause } | Upstream::Lost { cause, .. } => {
                self.phase = Phase::Draining(end, Some(cause));
            }
        }
        Ok(())
    }

    /// The principal passes over the records of a run that was given up, and of an earlier run of pypz-python.
    fn skip_what_is_old(&self, machine: &Machine, world: &mut World, run: RunId) {
        if self.member != MemberId::PRINCIPAL || !world.is_plain() {
            return;
        }
        world.watch.on_open(run, self.waits_since);
        let is_fresh = machine.policy == RunPolicy::Fresh;
        if !machine.is_opened() && world.passes_over(machine, is_fresh) {
            world.broker.skip_to_end();
            world.watch.on_passed_over(run, self.waits_since);
        }
    }

    /// Goes on counting where the log says that its member was, and says so.
    fn count_on(&mut self, machine: &mut Machine, world: &World) {
        if world.is_plain() {
            let before = machine.received_before(self.member.index);
            let position = self.position as u64;
            self.count = before.map_or(0, |(count, at)| (count + position).saturating_sub(at));
            self.tell_count(machine);
        }
    }

    fn tell_count(&self, machine: &mut Machine) {
        let (count, position) = (self.count, self.position as u64);
        machine.on_local(self.member, LocalEvent::Received { count, position });
    }

    /// Reads a few records, and commits sometimes.
    fn read(&mut self, machine: &mut Machine, world: &mut World, step: Step<'_>) -> Result<(), Exit> {
        let partition = self.partition();
        let end = world.broker.partitions[partition].len();
        let upto = end.min(self.position + 1 + usize::try_from(world.rng.below(3)).unwrap_or(0));
        let reads = self.position < upto;
        for offset in self.position.min(upto)..upto {
            let record = world.broker.partitions[partition][offset];
            world.broker.read.insert(record);
            world.read_of_plain(record, self.held);
            self.count += 1;
            world.note(|| {
                format!(
                    "#{} reads {} of writer {} at {offset}",
                    step.process, record.number, record.writer
                )
            });
        }
        self.position = self.position.max(upto);
        if reads && world.is_plain() {
            self.tell_count(machine);
        }
        if reads && world.rng.one_in(3) {
            let ahead = world.breaks(BrokenRule::CommitsAhead);
            self.commit(world, step, if ahead { end } else { self.position })?;
        }
        if reads || matches!(self.phase, Phase::Draining(..)) {
            world.work_soon(step.process, self.member);
        } else {
            world.work_later(step.process, self.member);
        }
        Ok(())
    }

    fn commit(&mut self, world: &mut World, step: Step<'_>, offset: usize) -> Result<(), Exit> {
        step.commit(world, self.member, self.committed)?;
        if offset < world.broker.committed[self.partition()] {
            // A zombie's last commit: what was read is unread again, for those who ask the broker.
            world.watch.excuse();
        }
        world.broker.commit(self.partition(), offset);
        self.committed = offset;
        Ok(())
    }

    fn stop(&mut self, machine: &mut Machine, world: &mut World) -> Result<(), Exit> {
        let Some((run, _)) = self.held else { return Ok(()) };
        world
            .oracle
            .on_reader_end(&world.plan, &world.broker, run, self.member.index);
        world.on_end_of_plain_writers(run, self.member.index);
        machine.on_local(self.member, LocalEvent::Stopped(Vec::new()));
        self.phase = Phase::Stopped;
        self.close(machine, world)
    }

    /// Compares what plain writers say that they sent with what all readers were given.
    fn reconcile(&self, machine: &Machine, world: &World) -> Result<(), Exit> {
        let counts = machine
            .counts()
            .filter(|_| self.ended && !world.breaks(BrokenRule::IgnoresCounts));
        let (sent, received) = counts.map_or((0, 0), |counts| {
            (counts.sent(), counts.received.iter().sum::<u64>())
        });
        match received < sent {
            true => Err(Exit::incomplete(&format!(
                "{received} of {sent} records were received"
            ))),
            false => Ok(()),
        }
    }

    fn close(&mut self, machine: &mut Machine, world: &World) -> Result<(), Exit> {
        let is_principal = self.member == MemberId::PRINCIPAL;
        let takes_settled = world.breaks(BrokenRule::ClosesOverSettled)
            && self
                .held
                .is_some_and(|(run, _)| world.oracle.have_settled(&world.plan, run));
        match machine.siblings() {
            Siblings::Reading { .. } if is_principal && takes_settled => {
                machine.on_local(self.member, LocalEvent::Closed);
                self.phase = Phase::Closed;
                Ok(())
            }
            Siblings::Reading { .. } if is_principal && !world.breaks(BrokenRule::ClosesWithoutReplicas) => {
                Ok(())
            }
            Siblings::Failed { cause } if is_principal => Err(Exit::incomplete(&cause)),
            _ => {
                if is_principal {
                    self.reconcile(machine, world)?;
                }
                machine.on_local(self.member, LocalEvent::Closed);
                self.phase = Phase::Closed;
                Ok(())
            }
        }
    }
}
