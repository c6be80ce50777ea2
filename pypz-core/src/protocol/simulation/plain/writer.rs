//! A writer that is plain pypz-python: it sends without waiting for anybody, and says how many records it handed out.

use super::super::super::PlainStatus;
use super::super::world::World;
use super::process::{PlainEvent, PlainProcess};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// Looks for the channel.
    #[default]
    Waiting,
    Sending,
    Flushing,
    Stopping,
}

#[derive(Debug, Default)]
pub(super) struct PlainWriter {
    phase: Phase,
    sent: u32,
    pub(super) in_flight: u32,
    /// Whether its operator fails at its next step.
    pub(super) fails: bool,
}

impl PlainWriter {
    pub(super) fn step(&mut self, process: &mut PlainProcess, world: &mut World, what: PlainEvent) {
        match (what, self.phase) {
            (PlainEvent::Beat, Phase::Sending) => {
                process.say(world, PlainStatus::HealthCheck, self.sent);
                let beat = world.plan.plain.beat;
                process.after(world, beat, PlainEvent::Beat);
            }
            (PlainEvent::Beat, _) => {}
            (_, Phase::Waiting) => self.open(process, world),
            (_, Phase::Sending) => self.send(process, world),
            (_, Phase::Flushing) if self.in_flight > 0 => process.after(world, 50, PlainEvent::Work),
            (_, Phase::Flushing) => {
                process.say(world, PlainStatus::Stopped, 0);
                world.watch.on_last_word(process.life, self.sent);
                self.phase = Phase::Stopping;
                let delay = world.rng.pick(&[2, 2, 3000]);
                process.after(world, delay, PlainEvent::Work);
            }
            (_, Phase::Stopping) => {
                process.say(world, PlainStatus::Closed, 0);
                process.leave(world);
            }
        }
    }

    fn open(&mut self, process: &mut PlainProcess, world: &mut World) {
        if world.is_down() || !world.broker.exists {
            return process.after(world, 1000, PlainEvent::Work);
        }
        process.say(world, PlainStatus::Opened, 0);
        process.say(world, PlainStatus::HealthCheck, 0);
        process.say(world, PlainStatus::Started, 0);
        self.phase = Phase::Sending;
        process.after(world, 1, PlainEvent::Work);
        let beat = world.plan.plain.beat;
        process.after(world, beat, PlainEvent::Beat);
    }

    fn send(&mut self, process: &mut PlainProcess, world: &mut World) {
        if self.fails || self.sent >= world.plan.records {
            if self.fails {
                process.say(world, PlainStatus::Error, 0);
            }
            process.say(world, PlainStatus::HealthCheck, self.sent);
            self.phase = Phase::Flushing;
            return process.after(world, 1, PlainEvent::Work);
        }
        let longest = if world.rng.one_in(20) { 3000 } else { 50 };
        let delay = 1 + world.rng.below(longest);
        process.after(world, delay, PlainEvent::Append(self.sent));
        self.sent += 1;
        self.in_flight += 1;
        let pace = 1 + world.rng.below(world.plan.pace);
        process.after(world, pace, PlainEvent::Work);
    }
}
