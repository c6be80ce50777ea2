//! Taking a member: at most one process holds it, and the log decides who.

use std::collections::BTreeSet;
use std::time::Duration;

use super::identity::{MemberId, ProcessId, RunId};
use super::machine::Machine;
use super::report::{MemberRange, Report};
use super::view::Refusal;

/// Claimants of one member that are remembered; more of them at once are no accident.
const MAX_CLAIMS: usize = 64;

/// How far a local member is on its way into the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waits for the status history and for an open run.
    Joining,
    /// Has claimed. `echoed` is the observed time at which the claim came back; `rivals` may hold the member.
    Claiming {
        echoed: Option<Duration>,
        rivals: Vec<ProcessId>,
    },
    /// Holds the member since this observed time.
    Established { at: Duration },
    /// Must not take part.
    Refused(Refusal),
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    process: ProcessId,
    run: RunId,
    /// The one that it gets, which may be greater than the one that it asks for.
    epoch: u32,
}

/// The claims on a member in the order of the log, since somebody alive last spoke for it.
#[derive(Debug, Default)]
pub(super) struct Claims {
    queue: Vec<Claim>,
    /// The greatest epoch that a claim was given, and its run.
    given: Option<(RunId, u32)>,
    /// Of the newest run the id that was claimed first.
    first: Option<RunId>,
    /// The greatest number of a run that the history tells a claim in.
    in_history: u64,
}

impl Claims {
    pub(super) const fn first(&self) -> Option<RunId> {
        self.first
    }

    fn last_given(&self, run: RunId) -> u32 {
        self.given
            .filter(|(of, _)| of.number == run.number)
            .map_or(0, |(_, epoch)| epoch)
    }

    /// Takes a claim in; a process has one at a time. Says whether it had claimed the same before.
    fn take(&mut self, claim: Claim, asked: u32) -> bool {
        let same = |known: &Claim| known.process == claim.process && known.run == claim.run;
        let again = self.queue.iter().any(|known| same(known) && asked <= known.epoch);
        if !again {
            self.queue.retain(|known| known.process != claim.process);
            if self.queue.len() < MAX_CLAIMS {
                self.queue.push(claim);
            }
            if self.first.is_none_or(|run| run.number < claim.run.number) {
                self.first = Some(claim.run);
            }
            if self.given.is_none_or(|(run, _)| run.number <= claim.run.number) {
                self.given = Some((claim.run, claim.epoch));
            }
        }
        again
    }
}

impl Machine {
    /// The epoch for a new incarnation of a member.
    pub(super) fn next_epoch(&self, member: MemberId, run: RunId) -> u32 {
        let known = self
            .peers
            .get(member)
            .filter(|known| known.run.number == run.number);
        let said = known.map_or(0, |known| known.epoch);
        let given = self
            .claims
            .get(&member)
            .map_or(0, |claims| claims.last_given(run));
        said.max(given).saturating_add(1)
    }

    /// Hears a claim: our own, which takes its place among the others now, or another's, which we answer if the
    /// member is ours.
    pub(super) fn on_claim(&mut self, member: MemberId, report: &Report, word: &MemberRange) {
        let (process, run) = (report.process.id, report.run);
        let epoch = self.next_epoch(member, run).max(word.epoch);
        let (claim, ours) = (Claim { process, run, epoch }, process == self.process.id);
        let rivals = if ours {
            self.rivals(member, claim.run)
        } else {
            Vec::new()
        };
        let observed = self.clock.observed();
        let claims = self.claims.entry(member).or_default();
        let again = claims.take(claim, word.epoch);
        if !self.history_read {
            claims.in_history = claims.in_history.max(run.number);
        }
        let Some(local) = self.local.get_mut(&member) else {
            return;
        };
        match &mut local.stage {
            Stage::Claiming {
                echoed: echoed @ None,
                rivals: known,
            } if ours && local.run == Some(run) && word.epoch >= local.epoch => {
                (*echoed, *known, local.epoch) = (Some(observed), rivals, epoch);
                self.hurry(member.side);
            }
            Stage::Claiming {
                echoed: Some(_),
                rivals,
            } if !ours => {
                if !again {
                    // Whoever claims anew has left its place in the queue.
                    rivals.retain(|rival| *rival != claim.process);
                    self.answer(member.side);
                } else if rivals.contains(&claim.process) {
                    self.withdraw(member, report);
                }
            }
            Stage::Established { .. } if !ours && local.state.holds() => self.answer(member.side),
            _ => {}
        }
    }

    /// How long ago, in observed time, somebody who claims the member in this run last spoke.
    pub(super) fn since_claimed(&self, member: MemberId, run: RunId) -> Option<Duration> {
        let claims = self.claims.get(&member)?.queue.iter();
        let observed = self.clock.observed();
        claims
            .filter(|claim| claim.run == run)
            .map(|claim| self.peers.silence(claim.process, observed))
            .min()
    }

    /// The greatest number of a run that the history told of whose members have said nothing since; 0 if there is none.
    ///
    /// It is greater than that of the principal's last run where the readers' log has lost its head and the writers' has
    /// not. A claim tells of a run as well: except for the one that opens them, a member claims only in a run that is open.
    pub(super) fn newest_run_of_history(&self) -> u64 {
        let keeper = self.keeper();
        let claims = self.claims.iter().filter(|(member, _)| **member != keeper);
        let claimed = claims.map(|(_, claims)| claims.in_history).max();
        self.peers.newest_run_of_history().max(claimed.unwrap_or(0))
    }

    /// Who may hold the member: whoever was last known to, and all who claimed it before. Of a member other than the
    /// principal only in the same run: an older run is given up as a whole.
    fn rivals(&self, member: MemberId, run: RunId) -> Vec<ProcessId> {
        let is_keeper = member == self.keeper();
        let counts = |of: RunId| of == run || is_keeper;
        let known = self
            .peers
            .get(member)
            .filter(|known| known.state.holds() && counts(known.run));
        let claims = self
            .claims
            .get(&member)
            .into_iter()
            .flat_map(|claims| &claims.queue);
        let claims = claims
            .filter(|claim| counts(claim.run))
            .map(|claim| claim.process);
        let mut rivals: Vec<ProcessId> = known
            .map(|known| known.process.id)
            .into_iter()
            .chain(claims)
            .filter(|id| *id != self.process.id && !self.replaced.contains(id))
            .collect();
        rivals.sort_unstable();
        rivals.dedup();
        rivals
    }

    /// Hears the newest word on a member: it is held, by us or by somebody whom we give way to, or it is free.
    pub(super) fn on_word(&mut self, member: MemberId, report: &Report, word: &MemberRange) {
        let (speaker, is_keeper) = (report.process.id, member == self.keeper());
        if let Some(claims) = self.claims.get_mut(&member) {
            // All who claimed before give way to somebody alive.
            let gives_way = |run: RunId| is_keeper || run.number <= report.run.number;
            claims
                .queue
                .retain(|claim| claim.process != speaker && !(word.state.holds() && gives_way(claim.run)));
        }
        let Some(local) = self.local.get_mut(&member) else {
            return;
        };
        if speaker == self.process.id {
            if (local.run, local.epoch) == (Some(report.run), word.epoch) {
                local.heard = Some(word.state);
            }
            return;
        }
        let is_done = !local.state.holds() && local.heard == Some(local.state);
        let mine = local.run.map_or(0, |run| run.number);
        let is_newer = (report.run.number, word.epoch) >= (mine, local.epoch);
        match &mut local.stage {
            Stage::Established { .. } if is_newer && !is_done => {
                let refusal = Refusal::Fenced {
                    member: self.layout.name(member).to_owned(),
                    holder: report.process.to_string(),
                    theirs: word.epoch,
                    ours: local.epoch,
                };
                self.refuse(member, refusal);
            }
            Stage::Claiming {
                echoed: Some(_),
                rivals,
            } if !self.replaced.contains(&speaker) => {
                if !word.state.holds() {
                    rivals.retain(|rival| *rival != speaker);
                    if is_newer {
                        // Somebody came and went: our epoch is too old to be heard.
                        (local.stage, local.run) = (Stage::Joining, None);
                    }
                } else if is_keeper || report.run.number >= mine {
                    self.withdraw(member, report);
                }
            }
            _ => {}
        }
    }

    /// Takes what nobody else wants, and takes over what silent rivals did not defend. Says whether it took any.
    ///
    /// A process that did not defend one member stops as a whole when it finds out: it defends no other either.
    pub(super) fn settle_claims(&mut self) -> bool {
        let observed = self.clock.observed();
        let mut taken = false;
        for (member, local) in &mut self.local {
            let Stage::Claiming {
                echoed: Some(at),
                rivals,
            } = &mut local.stage
            else {
                continue;
            };
            rivals.retain(|rival| !self.replaced.contains(rival));
            if rivals.is_empty() || observed.saturating_sub(*at) >= self.timing.challenge {
                self.replaced.extend(rivals.drain(..));
                local.stage = Stage::Established { at: observed };
                local.returned = local.run.is_some_and(|run| self.peers.has_settled(*member, run));
                self.due.insert(member.side, self.clock.now());
                taken = true;
            }
        }
        taken
    }

    /// Processes that did not defend a member against this one.
    pub(crate) const fn replaced(&self) -> &BTreeSet<ProcessId> {
        &self.replaced
    }

    /// Takes in such processes from another channel: who did not defend a member there defends none here.
    pub(crate) fn learn_replaced(&mut self, replaced: &BTreeSet<ProcessId>) {
        self.replaced.extend(replaced.iter().copied());
    }

    fn withdraw(&mut self, member: MemberId, report: &Report) {
        let (member_name, holder) = (self.layout.name(member).to_owned(), report.process.to_string());
        self.refuse(
            member,
            Refusal::Held {
                member: member_name,
                holder,
                run: report.run,
            },
        );
    }

    pub(super) fn refuse(&mut self, member: MemberId, refusal: Refusal) {
        if let Some(local) = self.local.get_mut(&member) {
            local.stage = Stage::Refused(refusal);
            self.changed();
        }
    }
}
