//! What the machine makes of the words of plain members.

use std::time::Duration;

use super::peers::PlainPeer;
use super::word::{PlainStatus, PlainWord};
use crate::protocol::answers::Absence;
use crate::protocol::identity::{MemberId, RunId, Side};
use crate::protocol::local::Local;
use crate::protocol::machine::Machine;
use crate::protocol::view::Upstream;

/// How many records one plain writer says that it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainCount {
    /// Its full port name.
    pub name: String,
    /// As many as its last sign of life said.
    pub sent: u64,
}

/// What was sent and received in a run with plain writers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// By the plain writers, each by its own words.
    pub plain: Vec<PlainCount>,
    /// By our writers, acknowledged.
    pub ours: u64,
    /// By each of our readers.
    pub received: Vec<u64>,
}

impl Counts {
    /// How many records were sent, by everybody's own words.
    #[must_use]
    pub fn sent(&self) -> u64 {
        let plain = self.plain.iter().map(|writer| writer.sent);
        plain.fold(self.ours, u64::saturating_add)
    }

    /// The plain writers with what they said, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let said = |writer: &PlainCount| format!("{} says {}", writer.name, writer.sent);
        self.plain.iter().map(said).collect::<Vec<_>>().join(", ")
    }
}

impl Machine {
    /// Takes in a word of pypz-python's wire. It may be one of ours, which comes back.
    pub fn on_plain(&mut self, word: &PlainWord) {
        let member = word.member;
        if let Some(local) = self
            .local
            .get_mut(&member)
            .filter(|_| word.process.is_none_or(|id| id == self.process.id))
        {
            local.echoed(word.status);
            self.rest(member.side);
        }
        if !self.layout.foreign.contains(&member) {
            if member.side == Side::Readers && !self.plain.is_reported {
                self.plain.has_leftovers = true;
            }
            if self.history_read && word.status == PlainStatus::HealthCheck && word.process.is_none() {
                self.plain.intruders.insert(member);
            }
            self.changed();
            return;
        }
        if word.process.is_none() {
            if word.status == PlainStatus::HealthCheck {
                self.plain.extended.remove(&member);
            }
            self.plain.hear(word, self.clock.observed(), self.history_read);
            if member.side == Side::Readers {
                self.heard_plain_reader();
            }
        }
        self.close_by_all();
        self.advance();
        self.changed();
    }

    /// Whether a member is plain pypz-python, as far as it has shown in this run.
    #[must_use]
    pub fn is_plain(&self, member: MemberId) -> bool {
        self.plain.in_run(member, self.current_run()).is_some()
    }

    /// The names of the plain members that have shown themselves in this run.
    #[must_use]
    pub fn plain_members(&self) -> Vec<String> {
        let run = self.current_run();
        let members = self.plain.peers.keys();
        members
            .filter(|member| self.plain.in_run(**member, run).is_some())
            .map(|member| self.layout.name(*member).to_owned())
            .collect()
    }

    /// Whether records and words of an earlier run of pypz-python were in the channel when this run was opened.
    #[must_use]
    pub fn has_leftovers(&self) -> bool {
        self.plain.has_leftovers && self.current_run().is_none_or(|run| run.number == 1)
    }

    /// Whether no plain writer of the run is there any more: each has closed, whatever it was before.
    #[must_use]
    pub fn plain_writers_left(&self) -> bool {
        let run = self.current_run();
        self.layout.foreign.iter().all(|member| {
            let peer = self.plain.in_run(*member, run);
            let has_left = |peer: &PlainPeer| match peer.state {
                PlainStatus::Closed => true,
                // What failed says no other state.
                PlainStatus::Error => peer.was_closed,
                // One that came back has to close once more.
                _ => false,
            };
            member.side == Side::Readers || peer.is_none_or(has_left)
        })
    }

    /// The counts of a run in which plain writers take part; `None` if there are none.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        let run = self.current_run()?;
        let writers = self.layout.members(Side::Writers);
        let plain: Vec<PlainCount> = writers
            .filter_map(|member| {
                let peer = self.plain.in_run(member, Some(run))?;
                Some(PlainCount {
                    name: self.layout.name(member).to_owned(),
                    sent: self.plain.said(peer, run),
                })
            })
            .collect();
        if plain.is_empty() {
            return None;
        }
        let ends = self.peers.ends(run, &self.layout);
        let ours = ends
            .values()
            .fold(0, |sum: u64, end| sum.saturating_add(end.records));
        let readers = self.layout.members(Side::Readers);
        let received = readers.map(|member| {
            let here = self.local.get(&member).and_then(|local| local.count);
            let told = || self.peers.received(member.index, run).map(|(count, _)| count);
            here.or_else(told).unwrap_or(0)
        });
        Some(Counts {
            plain,
            ours,
            received: received.collect(),
        })
    }

    /// How many records of how many are still on their way to readers of a queue, where a plain writer's last word may overtake
    /// its records: after the patience they are missing.
    #[must_use]
    pub fn on_the_way(&self) -> Option<(u64, u64)> {
        if self.layout.foreign.is_empty() || !matches!(self.upstream(), Upstream::Stopped { .. }) {
            return None;
        }
        let run = self.current_run();
        let writers = self.layout.members(Side::Writers);
        let since = writers
            .filter_map(|member| Some(self.plain.in_run(member, run)?.since))
            .max()?;
        let counts = self.counts()?;
        let (sent, received) = (counts.sent(), counts.received.iter().sum::<u64>());
        let waited = self.clock.observed().saturating_sub(since);
        (received < sent && waited <= self.timing.patience).then(|| (sent - received, sent))
    }

    /// How many records of the run a reader had been given, and at which position, before its process began.
    #[must_use]
    pub fn received_before(&self, reader: u32) -> Option<(u64, u64)> {
        self.peers.received(reader, self.current_run()?)
    }

    /// Whether the principal of the channel is plain and there: then the first writer of ours opens the run.
    pub(in crate::protocol) fn plain_principal_is_here(&self) -> bool {
        let principal = self.plain.in_run(MemberId::PRINCIPAL, None);
        principal.is_some_and(|peer| !matches!(peer.state, PlainStatus::Closed | PlainStatus::Stopped))
    }

    /// To whom the run belongs: the principal reader, or where that is plain the first writer of ours.
    pub(in crate::protocol) fn keeper(&self) -> MemberId {
        if self.plain.extended.contains(&MemberId::PRINCIPAL) {
            return MemberId::PRINCIPAL;
        }
        self.layout.keeper()
    }

    /// A run of a plain principal is over when all our members are done and it has closed.
    pub(in crate::protocol) fn is_closed_by_all(&self, run: RunId) -> bool {
        let principal = self.plain.peers.get(&MemberId::PRINCIPAL);
        let native = |member: &MemberId| !self.layout.foreign.contains(member);
        principal.is_some_and(|peer| peer.was_closed)
            && Side::BOTH
                .into_iter()
                .flat_map(|side| self.layout.members(side))
                .filter(native)
                .all(|member| self.peers.has_finished(member, run))
    }

    /// Why a plain member's end is not there yet, or that it is.
    pub(in crate::protocol) fn plain_absence(
        &self,
        member: MemberId,
        peer: &PlainPeer,
        run: RunId,
    ) -> Absence {
        let name = self.layout.name(member);
        let observed = self.clock.observed();
        let said = self.plain.said(peer, run);
        let silence = observed.saturating_sub(peer.seen);
        let overdue = silence > self.timing.patience;
        match peer.state {
            PlainStatus::Stopped | PlainStatus::Closed => Absence::Finished,
            PlainStatus::Error if peer.live || observed.saturating_sub(peer.since) > self.timing.patience => {
                Absence::Failed(format!(
                    "{name} (pypz-python) failed; it says that it sent {said} records"
                ))
            }
            _ if overdue => {
                let seconds = silence.as_secs();
                let cause = format!(
                    "{name} (pypz-python) was lost: no sign of it for {seconds} s; it said that it had sent {said} records"
                );
                Absence::Lost { cause, seen: true }
            }
            _ => Absence::Present,
        }
    }

    /// What is known of a member that was not seen in this run.
    pub(in crate::protocol) fn unseen(&self, member: MemberId) -> String {
        let name = self.layout.name(member);
        if self.plain.intruders.contains(&member) {
            return format!(
                "{name} was never seen in this run: a pypz-python operator speaks for it, but its operator has a Rust type here, \
                 and the replicas of an operator are all of one kind"
            );
        }
        match self.plain.peers.get(&member) {
            Some(peer) => format!(
                "{name} was never seen in this run: its last word, {:?} with {} records sent, is of before the run was opened. If it \
                 belongs to this run, it was started on what an earlier one left: delete the channel's resources and start all again",
                peer.state, peer.sent
            ),
            None => format!("{name} was never seen in this run"),
        }
    }

    /// A plain reader that is not positioned yet, with what is known of it.
    pub(in crate::protocol) fn unready_plain(&self, member: MemberId) -> Option<String> {
        let peer = self.plain.peers.get(&member)?;
        let is_ready = matches!(peer.state, PlainStatus::Started | PlainStatus::Stopped);
        (!is_ready).then(|| format!("{} (pypz-python, {:?})", self.layout.name(member), peer.state))
    }

    /// For how long a member that is of the run has been silent, if it is plain.
    pub(in crate::protocol) fn plain_silence(
        &self,
        member: MemberId,
        run: Option<RunId>,
    ) -> Option<Duration> {
        let peer = self.plain.in_run(member, run)?;
        let is_alive = matches!(
            peer.state,
            PlainStatus::Opened | PlainStatus::Started | PlainStatus::HealthCheck
        );
        is_alive.then(|| self.clock.observed().saturating_sub(peer.seen))
    }
}

impl Local {
    /// A word of this member came back from the log.
    fn echoed(&mut self, status: PlainStatus) {
        if status == PlainStatus::Acknowledged {
            self.acknowledgement_heard();
        } else if self.said == Some(status) {
            self.word_heard = true;
        }
    }
}
