//! Into the run and out of it: which run a member wants to be in, when it may claim, and when its run is over.

use super::claim::Stage;
use super::identity::{MemberId, RunId};
use super::machine::{Machine, RunPolicy};
use super::view::Refusal;

impl Machine {
    /// Lets local members claim in the open run, and stops those whose run is over.
    pub(super) fn advance(&mut self) {
        if !self.history_read {
            return;
        }
        let members: Vec<MemberId> = self.local.keys().copied().collect();
        for member in members {
            match self.local.get(&member).map(|local| (&local.stage, local.run)) {
                Some((Stage::Joining, run)) if self.has_turn(member) => self.aim(member, run),
                Some((Stage::Claiming { .. }, run)) => self.aim(member, run),
                Some((Stage::Established { .. }, Some(run))) => self.leave_ended_run(member, run),
                _ => {}
            }
        }
        if self.settle_claims() {
            self.changed();
            self.advance();
        }
    }

    /// Whether a member may claim. The first member of a process does so for all: of two processes with the same members
    /// one gets them all, and neither keeps some from the other.
    pub(super) fn has_turn(&self, member: MemberId) -> bool {
        self.local
            .first_key_value()
            .is_none_or(|(first, local)| *first == member || matches!(local.stage, Stage::Established { .. }))
    }

    /// The run that a member wants to be in. The principal opens a new one unless it goes on with an open one.
    fn target(&self, member: MemberId) -> Option<RunId> {
        let open = self
            .announced
            .filter(|announced| !announced.closed)
            .map(|announced| announced.run);
        let keeper = self.keeper();
        if member != keeper {
            // Who wants a fresh run waits until its principal is heard: the open one may be about to be given up.
            let is_live = self.policy == RunPolicy::Resume || self.principal_is_live();
            let principal = self.local.get(&keeper);
            return open
                .filter(|run| is_live && principal.is_none_or(|principal| principal.run == Some(*run)));
        }
        if keeper != MemberId::PRINCIPAL && !self.plain_principal_is_here() {
            return None;
        }
        // An open run is an old one where the writers' log tells of a newer one: nobody would be heard in it.
        let newest = open.filter(|run| run.number >= self.newest_run_of_history());
        if let (Some(run), RunPolicy::Resume) = (newest, self.policy) {
            return Some(run);
        }
        // Whoever gets to open the next run, it is the one that was claimed first: no two runs have the same number.
        // Nor one that has its number from what a log without its head still tells of: nobody would hear the new one.
        let number = self
            .announced
            .map_or(0, |announced| announced.run.number)
            .max(self.newest_run_of_history())
            .saturating_add(1);
        let first = self.claims.get(&member).and_then(|claims| claims.first());
        let ours = self.local.get(&member).and_then(|local| local.run);
        let claimed = first.into_iter().chain(ours).find(|run| run.number == number);
        claimed.or_else(|| Some(RunId::new(number)))
    }

    fn principal_is_live(&self) -> bool {
        self.peers.get(self.keeper()).is_some_and(|known| known.live)
    }

    /// Claims a member in the run that it wants to be in, or lets it wait for one.
    fn aim(&mut self, member: MemberId, claimed: Option<RunId>) {
        let target = self.target(member);
        if claimed == target {
            return;
        }
        let epoch = target.map_or(0, |run| self.next_epoch(member, run));
        let Some(local) = self.local.get_mut(&member) else {
            return;
        };
        (local.run, local.epoch) = (target, epoch);
        if target.is_some() {
            local.stage = Stage::Claiming {
                echoed: None,
                rivals: Vec::new(),
            };
            self.answer(member.side);
        } else {
            local.stage = Stage::Joining;
        }
        self.changed();
    }

    /// Stops a member that is still there in a run which was given up, or at work in one that is closed. Who came back when its work was done
    /// has nothing left to do that anybody waits for.
    fn leave_ended_run(&mut self, member: MemberId, run: RunId) {
        let local = self.local.get(&member);
        let (Some(announced), Some((state, returned))) =
            (self.announced, local.map(|local| (local.state, local.returned)))
        else {
            return;
        };
        let channel = self.layout.channel.to_string();
        let is_given_up = announced.run != run && announced.run.number >= run.number;
        if is_given_up && state.holds() && member != self.keeper() {
            self.refuse(
                member,
                Refusal::GivenUp {
                    channel,
                    run,
                    next: announced.run,
                },
            );
        } else if announced.run == run && announced.closed && state.is_alive() && !returned {
            let member_name = self.layout.name(member).to_owned();
            self.refuse(
                member,
                Refusal::Ended {
                    channel,
                    member: member_name,
                    run,
                },
            );
        }
    }
}
