//! What drives a member of a simulated process: a reader or a writer.

use super::super::{End, Machine, MemberId, ProcessId, RunId, Side};
use super::exit::Exit;
use super::oracle::Rank;
use super::reader::Reader;
use super::world::World;
use super::writer::Writer;

/// One call of a driver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) process: usize,
    pub(super) identity: ProcessId,
    /// Whether it is the member's turn to work; otherwise it only looks around.
    pub(super) works: bool,
}

#[derive(Debug)]
pub(super) enum Driver {
    Reader(Reader),
    Writer(Writer),
}

impl Driver {
    pub(super) const fn new(member: MemberId, now: u64) -> Self {
        match member.side {
            Side::Readers => Self::Reader(Reader::new(member, now)),
            Side::Writers => Self::Writer(Writer::new(member, now)),
        }
    }

    pub(super) fn step(&mut self, machine: &mut Machine, world: &mut World, step: Step) -> Result<(), Exit> {
        match self {
            Self::Reader(reader) => reader.step(machine, world, step),
            Self::Writer(writer) => writer.step(machine, world, step),
        }
    }

    /// What it has written, for its last word.
    pub(super) fn ends(&self) -> Vec<End> {
        match self {
            Self::Reader(_) => Vec::new(),
            Self::Writer(writer) => writer.ends(),
        }
    }

    pub(super) const fn member(&self) -> MemberId {
        match self {
            Self::Reader(reader) => reader.member,
            Self::Writer(writer) => writer.member,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Reader(reader) => reader.is_done(),
            Self::Writer(writer) => writer.is_done(),
        }
    }

    pub(super) const fn held(&self) -> Option<(RunId, u32)> {
        match self {
            Self::Reader(reader) => reader.held,
            Self::Writer(writer) => writer.held,
        }
    }

    pub(super) fn run(&self) -> Option<RunId> {
        self.held().map(|(run, _)| run)
    }

    /// As what it works, until it is done.
    pub(super) fn rank(&self) -> Option<Rank> {
        self.held()
            .map(|(run, epoch)| (run.number, epoch))
            .filter(|_| !self.is_done())
    }
}
