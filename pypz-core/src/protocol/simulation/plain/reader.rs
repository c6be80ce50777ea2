//! A reader that is plain pypz-python: it ends when nothing is unread and enough writers are silent or have stopped.

use std::collections::BTreeMap;

use super::super::super::{MemberId, PlainStatus, Side};
use super::super::broker::Said;
use super::super::world::World;
use super::process::{PlainEvent, PlainProcess};

/// After so long without a word a peer counts as gone, in milliseconds.
const UNHEALTHY: u64 = 120_000;
/// How long the principal waits before it deletes the channel.
const GRACE: u64 = 5000;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// Looks for the channel; the principal makes it.
    #[default]
    Waiting,
    Opening,
    Reading,
    /// The principal waits for its replicas.
    Stopping,
    /// The principal is about to delete the channel.
    Deleting,
}

/// What it keeps of a peer.
#[derive(Debug, Clone, Copy, Default)]
struct Monitor {
    seen: u64,
    status: Option<PlainStatus>,
    changed: u64,
}

impl Monitor {
    const fn has_ended(&self) -> bool {
        matches!(self.status, Some(PlainStatus::Stopped | PlainStatus::Closed))
    }

    const fn is_unhealthy(&self, now: u64) -> bool {
        now.saturating_sub(self.seen) >= UNHEALTHY
    }
}

#[derive(Debug, Default)]
pub(super) struct PlainReader {
    phase: Phase,
    position: usize,
    received: u32,
    cursors: [usize; 2],
    peers: BTreeMap<MemberId, Monitor>,
}

impl PlainReader {
    pub(super) fn step(&mut self, process: &mut PlainProcess, world: &mut World, what: PlainEvent) {
        if what == PlainEvent::Beat {
            return self.beat(process, world);
        }
        if world.is_down() {
            return process.after(world, 500, PlainEvent::Work);
        }
        match self.phase {
            Phase::Waiting => self.open(process, world),
            Phase::Opening => {
                self.poll(process, world);
                process.say(world, PlainStatus::HealthCheck, 0);
                self.position = world.broker.committed[process.member.index as usize];
                process.say(world, PlainStatus::Started, 0);
                self.phase = Phase::Reading;
                process.after(world, 1, PlainEvent::Work);
                process.after(world, 2000, PlainEvent::Beat);
            }
            Phase::Reading => self.read(process, world),
            Phase::Stopping => self.stop(process, world),
            Phase::Deleting => {
                process.leave(world);
                world.delete_as_plain();
            }
        }
    }

    fn open(&mut self, process: &mut PlainProcess, world: &mut World) {
        world.broker.exists |= process.member == MemberId::PRINCIPAL;
        if !world.broker.exists {
            return process.after(world, 1000, PlainEvent::Work);
        }
        process.say(world, PlainStatus::Opened, 0);
        self.phase = Phase::Opening;
        let delay = world.rng.between(150, 940);
        process.after(world, delay, PlainEvent::Work);
    }

    fn beat(&mut self, process: &mut PlainProcess, world: &mut World) {
        if !world.is_down() {
            self.poll(process, world);
        }
        if matches!(self.phase, Phase::Reading | Phase::Stopping) {
            process.say(world, PlainStatus::HealthCheck, self.received);
            process.after(world, 2000, PlainEvent::Beat);
        }
    }

    /// Reads the writers' status; the principal of replicas reads theirs as well.
    fn poll(&mut self, process: &PlainProcess, world: &World) {
        for side in Side::BOTH {
            let is_read = side == Side::Writers || process.member == MemberId::PRINCIPAL;
            let log = world.broker.status(side);
            for (at, said) in log.iter().enumerate().skip(self.cursors[side as usize]) {
                let published = world.broker.published(side, at);
                let (member, status, stamp) = match said {
                    Said::Word(spoken) => (spoken.word.member, Some(spoken.word.status), spoken.stamp),
                    // To pypz-python a report is a sign of life of the first that it names.
                    Said::Report(report) => match report.members.first() {
                        Some(range) => (
                            MemberId {
                                side,
                                index: range.first,
                            },
                            None,
                            published,
                        ),
                        None => continue,
                    },
                };
                if is_read && member != process.member {
                    self.hear(member, status, stamp);
                }
            }
            self.cursors[side as usize] = log.len();
        }
    }

    fn hear(&mut self, member: MemberId, status: Option<PlainStatus>, stamp: u64) {
        use PlainStatus::{Closed, Error, Opened, Started, Stopped};
        let peer = self.peers.entry(member).or_default();
        peer.seen = peer.seen.max(stamp);
        let stays = peer.status == Some(Error) && !matches!(status, Some(Opened | Started));
        if matches!(status, Some(Opened | Started | Stopped | Closed | Error))
            && stamp >= peer.changed
            && !stays
        {
            (peer.status, peer.changed) = (status, stamp);
        }
    }

    fn gone(&self, side: Side, now: u64) -> usize {
        let peers = self.peers.iter().filter(|(member, _)| member.side == side);
        peers
            .filter(|(_, peer)| peer.has_ended() || peer.is_unhealthy(now))
            .count()
    }

    fn read(&mut self, process: &mut PlainProcess, world: &mut World) {
        let partition = process.member.index as usize;
        let record = world.broker.partitions[partition].get(self.position).copied();
        let has_ended = self.gone(Side::Writers, world.now) >= world.plan.writers as usize;
        if let Some(record) = record.filter(|_| self.peers.keys().any(|peer| peer.side == Side::Writers)) {
            self.position += 1;
            self.received += 1;
            world.broker.read.insert(record);
            world.broker.commit(partition, self.position);
            world.note(|| {
                format!(
                    "plain {:?} reads {} of writer {}",
                    process.member, record.number, record.writer
                )
            });
            let pace = 1 + world.rng.below(world.plan.pace * world.plan.lag);
            return process.after(world, pace, PlainEvent::Work);
        }
        if !has_ended {
            return process.after(world, 300, PlainEvent::Work);
        }
        for (member, _) in self.peers.iter().filter(|(_, peer)| peer.has_ended()) {
            world.on_plain_reader_end(partition, *member);
        }
        world.watch.on_last_word(process.life, 0);
        self.phase = Phase::Stopping;
        self.stop(process, world);
    }

    fn stop(&mut self, process: &mut PlainProcess, world: &mut World) {
        let replicas = world.plan.readers as usize - 1;
        let seen = self.peers.keys().any(|peer| peer.side == Side::Readers);
        let is_principal = process.member == MemberId::PRINCIPAL;
        if is_principal && seen && self.gone(Side::Readers, world.now) != replicas {
            return process.after(world, 1000, PlainEvent::Work);
        }
        process.say(world, PlainStatus::HealthCheck, self.received);
        process.say(world, PlainStatus::Stopped, 0);
        process.say(world, PlainStatus::Closed, 0);
        if is_principal {
            self.phase = Phase::Deleting;
            process.after(world, GRACE, PlainEvent::Work);
        } else {
            process.leave(world);
        }
    }
}
