//! What goes wrong in a world, and what the world looks like: all of it drawn from the seed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::{MemberId, Side, Timing};
use super::plain::PlainPlan;
use super::rng::Rng;

/// The times of all simulated processes.
pub(super) const TIMING: Timing = Timing {
    heartbeat: Duration::from_secs(2),
    patience: Duration::from_secs(30),
    challenge: Duration::from_millis(2500),
};
/// The patience in milliseconds, the unit of simulated time.
pub(super) const PATIENCE: u64 = 30_000;

/// A rule that the simulated driver breaks on purpose, to show that the oracle bites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokenRule {
    /// A reader takes lost writers for finished ones.
    EndsOnSilence,
    /// A reader reads to the stated ends instead of to the end of the log.
    EndsAtStatedEnds,
    /// A process that is refused goes on.
    IgnoresRefusal,
    /// A writer sends before the readers are positioned.
    SendsBeforeReadiness,
    /// The principal closes the run without waiting for its replicas.
    ClosesWithoutReplicas,
    /// A writer says `Stopped` before its records are acknowledged.
    StopsBeforeAcknowledged,
    /// A reader commits what it has not read.
    CommitsAhead,
    /// A process decides before it has read the history.
    DecidesBeforeHistory,
    /// A claimant does not wait for the answer of the holder.
    TakesWithoutChallenge,
    /// A reader that lost a writer waits for ever.
    WaitsForever,
    /// A process ends before its last word has come back from the log.
    EndsUnheard,
    /// A source says that it is where nothing is acknowledged yet.
    AdvancesAhead,
    /// In transactions, a process fences its own producer only and not those that had its members in other company.
    FencesItselfOnly,
    /// A member says that its work is done before it is.
    SettlesEarly,
    /// The principal takes replicas that have settled for such as have stopped.
    ClosesOverSettled,
    /// The principal does not compare the counts of plain writers.
    IgnoresCounts,
    /// The words of an earlier run of pypz-python are taken for those of this one.
    OverhearsLeftovers,
    /// The principal reads the records of an earlier run of pypz-python.
    ReadsLeftovers,
    /// The principal deletes the channel while plain writers are at it.
    DeletesUnderPlainWriters,
}

impl BrokenRule {
    pub(super) const ALL: [Self; 15] = [
        Self::EndsOnSilence,
        Self::EndsAtStatedEnds,
        Self::IgnoresRefusal,
        Self::SendsBeforeReadiness,
        Self::ClosesWithoutReplicas,
        Self::StopsBeforeAcknowledged,
        Self::CommitsAhead,
        Self::DecidesBeforeHistory,
        Self::TakesWithoutChallenge,
        Self::WaitsForever,
        Self::EndsUnheard,
        Self::AdvancesAhead,
        Self::FencesItselfOnly,
        Self::SettlesEarly,
        Self::ClosesOverSettled,
    ];
}

/// Something that goes wrong. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// kill -9, and a restart after a while or never.
    Kill { slot: usize, back: Option<u64> },
    /// SIGSTOP, and SIGCONT after a while.
    Pause { slot: usize, length: u64 },
    /// SIGTERM, and a restart after a while.
    Terminate { slot: usize, back: u64 },
    /// An operator fails; nobody restarts it.
    Fail { slot: usize },
    /// A second process of the same members is started.
    Duplicate { slot: usize, fresh: bool },
    /// SIGSTOP, what it had said but not sent yet stays with it, and its members go on in processes of their own;
    /// SIGCONT after a while.
    Zombie { slot: usize, length: u64 },
    /// The broker is away: nothing is published, delivered, appended or read.
    Outage { length: u64 },
    /// The broker restarts: as an outage, and what was on its way to a status log is lost, or comes again.
    Crash { length: u64 },
    /// The status log of a side, or both, forgets its old runs and what is older than any silence.
    Retention { of: Option<Side> },
}

/// One side, the other, or both.
const SIDES: [Option<Side>; 3] = [Some(Side::Readers), Some(Side::Writers), None];

/// The runs that the status logs tell of before the world starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OldRuns {
    pub(super) count: u64,
    /// Whether the last of them was closed.
    pub(super) closed: bool,
}

/// A world and its faults.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) readers: u32,
    pub(super) writers: u32,
    /// How many records each writer has to send in a run.
    pub(super) records: u32,
    /// The members of each process.
    pub(super) slots: Vec<Vec<MemberId>>,
    pub(super) starts: Vec<u64>,
    pub(super) faults: Vec<(u64, Fault)>,
    pub(super) old_runs: OldRuns,
    /// The longest time between two steps of a member's work.
    pub(super) pace: u64,
    /// How many times slower readers are than writers.
    pub(super) lag: u64,
    /// Until when faults strike.
    pub(super) horizon: u64,
    /// The longest delay of a status log.
    pub(super) delay: u64,
    /// Reports travel as bytes.
    pub(super) wire: bool,
    /// Reports that are published while the broker is away may be lost.
    pub(super) lossy: bool,
    /// The second start of the pipeline wants a fresh run.
    pub(super) fresh_again: bool,
    /// The status logs of these sides have lost some of their heads when the pipeline is started again.
    pub(super) forgets: Option<Option<Side>>,
    /// Positions are committed in transactions.
    pub(super) transactional: bool,
    /// Writers are sources: their positions are in the status log.
    pub(super) sources: bool,
    /// Members say that they have settled before they say that they have stopped, as replicas on several channels do.
    pub(super) settles: bool,
    pub(super) broken: Option<BrokenRule>,
    /// The members that are plain pypz-python, each in a process of its own, and what they are like.
    pub(super) foreign: BTreeSet<MemberId>,
    pub(super) plain: PlainPlan,
    /// Nothing was lost for good: everybody has to finish.
    pub(super) benign: bool,
    /// Everybody answers in time: nobody may be fenced.
    pub(super) calm: bool,
}

impl Plan {
    pub(super) fn draw(seed: u64, broken: Option<BrokenRule>) -> (Self, Rng) {
        let mut rng = Rng::new(seed);
        let (readers, writers) = (rng.pick(&[1, 1, 2, 2, 3]), rng.pick(&[1, 1, 2, 2, 3]));
        let members = (0..readers).map(MemberId::reader);
        let members = members.chain((0..writers).map(MemberId::writer));
        let slots = place(&mut rng, members.collect());
        let starts = slots.iter().map(|_| rng.below(3000)).collect();
        let slow = rng.one_in(8);
        let mut plan = Self {
            readers,
            writers,
            records: u32::try_from(rng.pick(&[0, 1, 3, 6, 10])).unwrap_or_default(),
            slots,
            starts,
            faults: Vec::new(),
            old_runs: OldRuns {
                count: rng.pick(&[0, 0, 0, 1, 3]),
                closed: !rng.one_in(4),
            },
            pace: rng.pick(&[60, 300, 800]),
            lag: rng.pick(&[1, 1, 5]),
            horizon: rng.pick(&[3000, 7000, 14_000]),
            delay: if slow { 2500 } else { rng.pick(&[5, 60, 350]) },
            wire: rng.one_in(10),
            lossy: rng.one_in(2),
            fresh_again: rng.one_in(4),
            forgets: rng.one_in(4).then(|| rng.pick(&SIDES)),
            transactional: rng.one_in(3),
            sources: rng.one_in(3),
            settles: seed.is_multiple_of(2),
            foreign: BTreeSet::new(),
            plain: PlainPlan::default(),
            broken,
            benign: true,
            calm: !slow,
        };
        for _ in 0..rng.pick(&[0, 1, 1, 2, 3, 4]) {
            plan.add_fault(&mut rng);
        }
        // A claim that outlives its sender may turn away a claimant that nobody else stands in for.
        plan.benign &= !(slow && plan.has_duplicates());
        // Here a process whose producer was fenced ends, and does not begin again as another incarnation.
        plan.benign &= !(plan.transactional && plan.has_duplicates());
        if broken.is_some() {
            // Broken rules show when somebody dies.
            let (at, back) = (rng.below(plan.horizon), Some(rng.between(1500, 5000)));
            let slot = usize::try_from(rng.below(plan.slots.len() as u64)).unwrap_or_default();
            plan.faults.push((at, Fault::Kill { slot, back }));
        }
        if broken == Some(BrokenRule::FencesItselfOnly) {
            // Only a zombie commits late, and only in transactions.
            plan.transactional = true;
            let (at, length) = (rng.below(plan.horizon), rng.between(3000, 8000));
            plan.faults.push((at, Fault::Zombie { slot: 0, length }));
        }
        if rng.one_in(12) {
            let slot = rng.below(plan.slots.len() as u64);
            let late = rng.pick(&[PATIENCE / 4, PATIENCE / 2, PATIENCE * 2]);
            plan.benign &= late < PATIENCE;
            plan.starts[usize::try_from(slot).unwrap_or_default()] = late;
        }
        (plan, rng)
    }

    pub(super) fn has_duplicates(&self) -> bool {
        let is_duplicate = |fault: &Fault| matches!(fault, Fault::Duplicate { .. } | Fault::Zombie { .. });
        self.faults.iter().any(|(_, fault)| is_duplicate(fault))
    }

    pub(super) fn add_fault(&mut self, rng: &mut Rng) {
        let slot = usize::try_from(rng.below(self.slots.len() as u64)).unwrap_or_default();
        let restarts = |fault: &Fault| match fault {
            Fault::Kill { slot: of, .. } | Fault::Terminate { slot: of, .. } => *of == slot,
            _ => false,
        };
        let often = self.faults.iter().filter(|(_, fault)| restarts(fault)).count() >= 2;
        let back = rng.between(1500, 5000);
        let fault = match rng.below(21) {
            0..=4 if !often => Fault::Kill {
                slot,
                back: Some(back),
            },
            5 => Fault::Kill { slot, back: None },
            6..=7 if !often => Fault::Terminate { slot, back },
            8 => Fault::Fail { slot },
            9..=10 => Fault::Duplicate {
                slot,
                fresh: rng.one_in(4),
            },
            11..=12 => Fault::Pause {
                slot,
                length: rng.between(100, 8000),
            },
            13 => Fault::Pause {
                slot,
                length: rng.between(PATIENCE / 2, PATIENCE * 3),
            },
            14 => Fault::Outage {
                length: rng.between(PATIENCE, PATIENCE * 3),
            },
            15..=16 => Fault::Crash {
                length: rng.between(100, 5000),
            },
            17..=18 => Fault::Zombie {
                slot,
                length: rng.between(100, PATIENCE),
            },
            19 => Fault::Retention { of: rng.pick(&SIDES) },
            _ => Fault::Outage {
                length: rng.between(100, PATIENCE * 4 / 5),
            },
        };
        self.weigh(fault);
        let at = rng.below(self.horizon);
        // Not between two starts: who has read of the old runs and who has not would count theirs differently.
        let is_early = matches!(fault, Fault::Retention { .. }) && self.old_runs.count > 0;
        self.faults.push((if is_early { 0 } else { at }, fault));
    }

    /// Notes what a fault leaves to be expected.
    pub(super) fn weigh(&mut self, fault: Fault) {
        self.benign &= match fault {
            Fault::Kill { back: None, .. }
            | Fault::Fail { .. }
            | Fault::Duplicate { fresh: true, .. }
            | Fault::Zombie { .. } => false,
            Fault::Pause { length, .. } => length < PATIENCE / 3,
            Fault::Outage { length } => length < PATIENCE,
            _ => true,
        };
        self.calm &= matches!(
            fault,
            Fault::Kill { .. }
                | Fault::Terminate { .. }
                | Fault::Fail { .. }
                | Fault::Duplicate { .. }
                | Fault::Retention { .. }
        );
    }
}

/// Puts the members into processes: all in one, each in its own, or anything between.
pub(super) fn place(rng: &mut Rng, members: Vec<MemberId>) -> Vec<Vec<MemberId>> {
    let count = rng.between(1, members.len() as u64);
    let mut slots = vec![Vec::new(); usize::try_from(count).unwrap_or(1)];
    for member in members {
        let slot = usize::try_from(rng.below(count)).unwrap_or_default();
        slots[slot].push(member);
    }
    slots.retain(|members| !members.is_empty());
    slots
}
