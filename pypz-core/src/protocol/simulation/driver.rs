//! What drives a member of a simulated process: a reader or a writer.

use super::super::{Covering, End, Machine, MemberId, ProcessId, RunId, Side};
use super::exit::Exit;
use super::faults::BrokenRule;
use super::oracle::Rank;
use super::reader::Reader;
use super::world::World;
use super::writer::Writer;

/// One call of a driver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) process: usize,
    pub(super) identity: ProcessId,
    /// Whether it is the member's turn to work; otherwise it only looks around.
    pub(super) works: bool,
    /// The members of its side in the process, which commit together in transactions.
    pub(super) covering: &'a Covering,
}

impl Step<'_> {
    /// In transactions: fences everybody who could still commit for the member, in whatever company it had it.
    pub(super) fn fence(&self, machine: &Machine, world: &mut World, member: MemberId, rank: Rank) {
        if !world.plan.transactional {
            return;
        }
        let of_member = |covering: &Covering| {
            covering
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&member.index))
        };
        let known = machine.coverings(member.side).unwrap_or_default();
        let others = known.into_iter().filter(of_member);
        for covering in others
            .filter(|_| !world.breaks(BrokenRule::FencesItselfOnly))
            .collect::<Vec<_>>()
        {
            world.broker.initialise(member.side, covering, self.identity);
        }
        world
            .broker
            .initialise(member.side, self.covering.clone(), self.identity);
        world.oracle.on_fenced(member, rank);
    }

    /// Whether a commit is made: in transactions only by who is not fenced.
    ///
    /// `step` is from the position that is committed to the one that is to be.
    pub(super) fn commit(
        &self,
        world: &mut World,
        member: MemberId,
        rank: Rank,
        step: (usize, usize),
    ) -> Result<(), Exit> {
        if !world.plan.transactional {
            return Ok(());
        }
        if !world.broker.may_commit(member.side, self.covering, self.identity) {
            return Err(Exit::quiet(116, "its producer was fenced"));
        }
        world.oracle.on_commit(member, rank, step);
        Ok(())
    }
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

    pub(super) fn step(
        &mut self,
        machine: &mut Machine,
        world: &mut World,
        step: Step<'_>,
    ) -> Result<(), Exit> {
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
