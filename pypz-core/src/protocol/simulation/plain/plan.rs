//! What a world with plain members looks like.

use super::super::super::{MemberId, Side};
use super::super::faults::{BrokenRule, Fault, PATIENCE, Plan, place};
use super::super::rng::Rng;

/// What the plain members of a world are like.
#[derive(Debug, Default)]
pub(in super::super) struct PlainPlan {
    /// The time between two signs of life of a writer.
    pub(super) beat: u64,
    /// The clients of plain writers lose records, and nobody who writes is started again: where records come twice, no count
    /// tells that others are missing.
    pub(super) loses: bool,
    /// Pypz-python ran on the channel before, and left words and records.
    pub(super) leftovers: bool,
    /// The channel is not there any more when the pipeline is started again after a good end.
    pub(super) deletes: bool,
}

impl Plan {
    /// A plan in which some writers, or all readers and perhaps some writers, are plain.
    pub(super) fn draw_plain(seed: u64, broken: Option<BrokenRule>) -> (Self, Rng) {
        let (mut plan, mut rng) = Self::draw(seed, None);
        plan.broken = broken;
        (plan.transactional, plan.settles, plan.forgets) = (false, false, None);
        plan.choose_foreign(&mut rng);
        plan.place_all(&mut rng);
        plan.plain = PlainPlan {
            beat: rng.pick(&[2000, 2000, 7000]),
            loses: rng.one_in(4) || broken == Some(BrokenRule::IgnoresCounts),
            leftovers: rng.one_in(4) || is_of_leftovers(broken),
            deletes: rng.one_in(2),
        };
        if plan.has_plain_readers() || plan.plain.leftovers {
            plan.old_runs.count = 0;
        }
        plan.draw_faults(&mut rng);
        plan.start_all(&mut rng);
        (plan, rng)
    }

    pub(super) fn has_plain_readers(&self) -> bool {
        self.foreign.contains(&MemberId::PRINCIPAL)
    }

    fn choose_foreign(&mut self, rng: &mut Rng) {
        let of_plain_readers = matches!(
            self.broken,
            Some(BrokenRule::StopsBeforeAcknowledged | BrokenRule::SendsBeforeReadiness)
        );
        let plain_readers = rng.one_in(3);
        if self.broken.map_or(plain_readers, |_| of_plain_readers) {
            self.foreign = (0..self.readers).map(MemberId::reader).collect();
            // One of ours is there: the channel would be none of our business otherwise.
            let ours = rng.below(u64::from(self.writers));
            let others = (0..self.writers).filter(|writer| u64::from(*writer) != ours);
            let plain: Vec<u32> = others.filter(|_| rng.one_in(3)).collect();
            self.foreign.extend(plain.into_iter().map(MemberId::writer));
        } else {
            let plain = rng.below(u64::from(self.writers));
            let is_plain = |writer: &u32| u64::from(*writer) == plain || !rng.one_in(3);
            let plain: Vec<u32> = (0..self.writers).filter(is_plain).collect();
            self.foreign = plain.into_iter().map(MemberId::writer).collect();
        }
    }

    /// Puts our members into processes; each plain one has a process of its own.
    fn place_all(&mut self, rng: &mut Rng) {
        let readers = (0..self.readers).map(MemberId::reader);
        let all = readers.chain((0..self.writers).map(MemberId::writer));
        let ours = all.filter(|member| !self.foreign.contains(member));
        self.slots = place(rng, ours.collect());
        self.slots.extend(self.foreign.iter().map(|member| vec![*member]));
    }

    fn start_all(&mut self, rng: &mut Rng) {
        self.starts = self.slots.iter().map(|_| rng.below(3000)).collect();
        // Who writes before the run is opened on what others left is missed by name.
        let waits = (self.plain.leftovers || self.old_runs.count > 0) && !self.has_plain_readers();
        let waits = waits && (!rng.one_in(3) || self.plain.loses);
        for slot in 0..self.slots.len() {
            if waits && self.is_plain_slot(slot) {
                self.starts[slot] += 8000;
            }
        }
        if rng.one_in(12) {
            let slot = usize::try_from(rng.below(self.slots.len() as u64)).unwrap_or_default();
            let late = rng.pick(&[PATIENCE / 4, PATIENCE / 2, PATIENCE * 2]);
            self.benign &= late < PATIENCE;
            self.starts[slot] = late;
        }
    }

    pub(super) fn is_plain_slot(&self, slot: usize) -> bool {
        self.foreign.contains(&self.slots[slot][0])
    }

    fn draw_faults(&mut self, rng: &mut Rng) {
        self.faults.clear();
        for _ in 0..rng.pick(&[0, 1, 1, 2, 3, 4]) {
            self.add_fault(rng);
        }
        if matches!(
            self.broken,
            Some(BrokenRule::EndsOnSilence | BrokenRule::WaitsForever)
        ) {
            let slot = self.slots.len() - 1;
            self.faults
                .push((rng.below(self.horizon), Fault::Kill { slot, back: None }));
        }
        let faults = std::mem::take(&mut self.faults);
        (self.benign, self.calm) = (true, self.delay < 2500);
        let slow = !self.calm;
        for (at, fault) in faults {
            if let Some(fault) = self.fitting(fault) {
                self.weigh(fault);
                self.faults.push((at, fault));
            }
        }
        self.benign &= !(slow && self.has_duplicates());
    }

    /// A fault that may strike in this world.
    fn fitting(&self, fault: Fault) -> Option<Fault> {
        let slot = match fault {
            Fault::Retention { .. } => return None,
            Fault::Outage { .. } | Fault::Crash { .. } => return Some(fault),
            Fault::Kill { slot, .. }
            | Fault::Pause { slot, .. }
            | Fault::Terminate { slot, .. }
            | Fault::Fail { slot }
            | Fault::Duplicate { slot, .. }
            | Fault::Zombie { slot, .. } => slot,
        };
        let writes = self.slots[slot].iter().any(|member| member.side == Side::Writers);
        match fault {
            Fault::Pause { .. } | Fault::Fail { .. } | Fault::Kill { back: None, .. } => Some(fault),
            _ if self.plain.loses && writes => None,
            Fault::Kill { .. } => Some(fault),
            // There is one process of a plain member at a time, and a signal that it hears ends it as a failure does.
            _ if self.is_plain_slot(slot) => None,
            // Where no run was opened there is nothing to give up, but words of writers that count.
            Fault::Duplicate { slot, fresh } => Some(Fault::Duplicate {
                slot,
                fresh: fresh && self.old_runs.count > 0 && self.old_runs.closed,
            }),
            _ => Some(fault),
        }
    }
}

const fn is_of_leftovers(broken: Option<BrokenRule>) -> bool {
    matches!(
        broken,
        Some(BrokenRule::OverhearsLeftovers | BrokenRule::ReadsLeftovers)
    )
}
