//! What drives a member of a simulated process: a reader or a writer.

use super::super::{Covering, End, Machine, MemberId, Membership, ProcessId, RunId, Side};
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
    /// Whether all members that commit together take part: before, the log does not name all of them, and nobody could fence
    /// their producer.
    pub(super) fn is_complete(&self, machine: &Machine, side: Side) -> bool {
        let mut members = self.covering.iter().flat_map(|(first, last)| *first..=*last);
        members.all(|index| {
            let membership = machine.membership(MemberId { side, index });
            matches!(membership, Membership::Established { .. })
        })
    }

    /// In transactions, once a process: fences everybody who could still commit for the members, in whatever company they
    /// had them. Positions are read after it.
    pub(super) fn fence(&self, machine: &Machine, world: &mut World, side: Side) {
        if !world.plan.transactional || !world.broker.initialises(side, self.identity) {
            return;
        }
        let overlaps = |covering: &Covering| {
            let mut pairs = covering
                .iter()
                .flat_map(|theirs| self.covering.iter().map(move |ours| (theirs, ours)));
            pairs.any(|(theirs, ours)| theirs.0 <= ours.1 && ours.0 <= theirs.1)
        };
        let known = machine.coverings(side).unwrap_or_default();
        let ignores = world.breaks(BrokenRule::FencesItselfOnly);
        for covering in known.into_iter().filter(|known| !ignores && overlaps(known)) {
            world.broker.initialise(side, covering, self.identity);
        }
        world
            .broker
            .initialise(side, self.covering.clone(), self.identity);
    }

    /// In transactions: whether a commit is made, of a reader that has read its position or committed last at `known`.
    pub(super) fn commit(&self, world: &mut World, member: MemberId, known: usize) -> Result<(), Exit> {
        if !world.plan.transactional {
            return Ok(());
        }
        if !world.broker.may_commit(member.side, self.covering, self.identity) {
            return Err(Exit::quiet(116, "its producer was fenced"));
        }
        let committed = world.broker.committed[member.index as usize];
        world.oracle.on_commit(member, known, committed);
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
