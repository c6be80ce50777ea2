//! What the machine answers: what a member, a writer, a reader and the principal may do.

use std::collections::BTreeSet;
use std::time::Duration;

use super::claim::Stage;
use super::identity::{MemberId, RunId, Side};
use super::machine::Machine;
use super::peers::Known;
use super::report::{Covering, MemberState};
use super::view::{Membership, Readiness, Refusal, Siblings, Upstream};

impl Machine {
    /// Which members of a side ever lived together in a process, as far as the log tells, in whatever run; `None` if there
    /// were too many ways to know them all.
    #[must_use]
    pub fn coverings(&self, side: Side) -> Option<BTreeSet<Covering>> {
        self.peers.coverings(side)
    }

    /// Whether a local member takes part.
    #[must_use]
    pub fn membership(&self, member: MemberId) -> Membership {
        let Some(local) = self.local.get(&member) else {
            return Membership::Waiting("nothing: it has not joined");
        };
        if let Some(run) = self.is_over(member).filter(|_| local.stage == Stage::Joining) {
            return Membership::Over(run);
        }
        match (&local.stage, local.run) {
            (Stage::Refused(refusal), _) => Membership::Refused(refusal.clone()),
            (Stage::Established { .. }, Some(run)) => {
                let position = self
                    .peers
                    .position(member.index, run)
                    .filter(|_| member.side == Side::Readers);
                Membership::Established {
                    run,
                    epoch: local.epoch,
                    position,
                    source: self
                        .peers
                        .source(member.index, run)
                        .filter(|_| member.side == Side::Writers),
                    finished: self.peers.has_finished(member, run),
                    settled: self.peers.has_settled(member, run),
                }
            }
            (Stage::Claiming { rivals, .. }, _) if !rivals.is_empty() => {
                Membership::Waiting("an answer of the process that held the port before")
            }
            (Stage::Claiming { .. }, _) => {
                Membership::Waiting("the own claim to come back from the status log")
            }
            _ if !self.history_read => Membership::Waiting("the status history"),
            _ if self.announced.is_some_and(|announced| announced.closed) => {
                Membership::Waiting("the principal reader to open a new run (the last one is closed)")
            }
            _ if self.announced.is_some() && !self.has_turn(member) => {
                Membership::Waiting("the first port of this process, which claims for all")
            }
            _ if self.keeper() != MemberId::PRINCIPAL && !self.plain_principal_is_here() => {
                Membership::Waiting("the principal reader, which others run, to be there")
            }
            _ => Membership::Waiting("the principal reader to open the run"),
        }
    }

    /// The last run, if it is closed and an earlier incarnation of the member had finished in it.
    ///
    /// Whoever knows that the work of this incarnation belonged to that run has nothing left to do; for anybody else the
    /// next run is to be waited for.
    #[must_use]
    pub fn completed(&self, member: MemberId) -> Option<RunId> {
        let announced = self.announced.filter(|_| self.history_read)?;
        let has_finished = self.peers.has_finished(member, announced.run);
        (announced.closed && has_finished).then_some(announced.run)
    }

    /// As [`Machine::completed`], if the run was closed before the eyes of this process, while the member was on its way
    /// into it. A process that opens the runs goes on to the next one as a whole.
    fn is_over(&self, member: MemberId) -> Option<RunId> {
        let live = self.announced.is_some_and(|announced| announced.live);
        self.completed(member)
            .filter(|_| live && !self.local.contains_key(&self.keeper()))
    }

    /// Whether the principal reader has ever been in the run: whoever claimed it and died before has opened nothing. Of one that
    /// failed or left, where writers may be plain, the mark of the run tells.
    #[must_use]
    pub fn is_opened(&self) -> bool {
        let run = self.current_run();
        let known = self.heard(MemberId::PRINCIPAL, run).map(|known| known.state);
        let is_gone = matches!(known, Some(MemberState::Failed | MemberState::Left));
        let mut foreign = self.layout.foreign.iter();
        let has_plain = foreign.any(|member| member.side == Side::Writers);
        let is_marked = run.is_some_and(|run| self.plain.is_marked(run));
        is_marked || (known.is_some() && !(is_gone && has_plain))
    }

    /// Whether writers may send.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let run = self.current_run();
        let missing: Vec<String> = self
            .layout
            .members(Side::Readers)
            .filter(|member| !self.has_finished(*member, run))
            .filter_map(|member| match self.heard(member, run) {
                _ if self.plain.in_run(member, run).is_some() => self.unready_plain(member),
                Some(known) if matches!(known.state, MemberState::Started | MemberState::Settled) => None,
                Some(known) => Some(format!("{} ({:?})", self.layout.name(member), known.state)),
                None => Some(format!("{} (never seen)", self.layout.name(member))),
            })
            .collect();
        if missing.is_empty() {
            Readiness::Ready
        } else {
            Readiness::Waiting { missing }
        }
    }

    /// What readers know of their writers.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        let Some(run) = self.current_run() else {
            return Upstream::Sending;
        };
        let waited = self.waited_for_peers();
        let mut unfinished = None;
        for member in self.layout.members(Side::Writers) {
            match self.absence(member, Some(run), waited) {
                Absence::Finished => {}
                Absence::Present => unfinished = Some(Upstream::Sending),
                Absence::Failed(cause) => return Upstream::Failed { cause },
                Absence::Lost { cause, seen } => return Upstream::Lost { cause, seen },
            }
        }
        unfinished.unwrap_or_else(|| Upstream::Stopped {
            ends: self.peers.ends(run, &self.layout),
        })
    }

    /// Whether no writer that was heard in this run is at work any more: what a drain waits for, when no new one comes.
    #[must_use]
    pub fn writers_are_gone(&self) -> bool {
        let run = self.current_run();
        self.layout.members(Side::Writers).all(|member| {
            self.has_finished(member, run)
                || (self
                    .heard(member, run)
                    .is_none_or(|known| !known.state.is_alive())
                    && self.plain_silence(member, run).is_none())
        })
    }

    /// What the principal reader knows of its replicas.
    ///
    /// A run is not closed either while a member is there that finished and came back, or one in this process has not
    /// got far enough to be heard: it would find its run closed.
    #[must_use]
    pub fn siblings(&self) -> Siblings {
        let run = self.current_run();
        let waited = self.waited_for_peers();
        let mut unfinished = BTreeSet::new();
        for member in self.layout.members(Side::Readers).skip(1) {
            match self.absence(member, run, waited) {
                Absence::Finished => {}
                Absence::Present => _ = unfinished.insert(member),
                Absence::Failed(cause) | Absence::Lost { cause, .. } => return Siblings::Failed { cause },
            }
        }
        let busy_here = self.local.iter().filter(|(member, local)| {
            **member != MemberId::PRINCIPAL
                && local.state.is_alive()
                && !matches!(local.stage, Stage::Refused(_))
        });
        let came_back = Side::BOTH
            .into_iter()
            .flat_map(|side| self.layout.members(side))
            .filter(|member| {
                let known = self.heard(*member, run).filter(|known| known.state.is_alive());
                *member != MemberId::PRINCIPAL
                    && known.is_some_and(|known| {
                        self.peers.silence(known.process.id, self.clock.observed()) <= self.timing.patience
                    })
            });
        unfinished.extend(busy_here.map(|(member, _)| *member).chain(came_back));
        if unfinished.is_empty() {
            return Siblings::Finished;
        }
        let names = unfinished
            .into_iter()
            .map(|member| self.layout.name(member).to_owned());
        Siblings::Reading {
            unfinished: names.collect(),
        }
    }

    /// Whether writers must pause because peers may soon take them for lost.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.clock.silence() > self.timing.patience / 2
    }

    /// Why all local members have to stop, if they have to.
    #[must_use]
    pub fn trouble(&self) -> Option<Refusal> {
        (self.clock.waited() > self.timing.patience * 2).then(|| Refusal::Unreachable {
            channel: self.layout.channel.to_string(),
            seconds: self.clock.silence().as_secs(),
        })
    }

    /// Peers that are silent for more than three heartbeats, with the words for a log line.
    #[must_use]
    pub fn suspects(&self) -> Vec<String> {
        let run = self.current_run();
        Side::BOTH
            .into_iter()
            .flat_map(|side| self.layout.members(side))
            .filter_map(|member| {
                if let Some(silence) = self.plain_silence(member, run) {
                    // Without a reader pypz-python's writers beat every 14 s.
                    let (name, seconds) = (self.layout.name(member), silence.as_secs());
                    let is_late = silence > self.timing.heartbeat * 10;
                    return is_late.then(|| format!("{name} silent for {seconds} s (pypz-python)"));
                }
                let known = self.heard(member, run).filter(|known| known.state.is_alive())?;
                let silence = self.peers.silence(known.process.id, self.clock.observed());
                (silence > self.timing.heartbeat * 3).then(|| {
                    format!(
                        "{} silent for {} s ({})",
                        self.layout.name(member),
                        silence.as_secs(),
                        known.process
                    )
                })
            })
            .collect()
    }

    /// Whether the newest word of every local member has come back from the log.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.local.keys().all(|member| self.has_settled(*member))
    }

    /// Whether the newest word of one local member has come back from the log, and counts.
    #[must_use]
    pub fn has_settled(&self, member: MemberId) -> bool {
        self.local.get(&member).is_none_or(|local| match local.stage {
            Stage::Established { .. } => self.is_heard(local),
            Stage::Claiming { .. } => local.state.is_alive(),
            Stage::Joining | Stage::Refused(_) => true,
        })
    }

    /// The run that the answers are about: the one that local members are in, which they may be the first to know of.
    /// The run that the log spoke of last may be another, and one that is closed.
    pub(super) fn current_run(&self) -> Option<RunId> {
        let established = self
            .local
            .values()
            .filter(|local| matches!(local.stage, Stage::Established { .. }));
        established
            .filter_map(|local| local.run)
            .max_by_key(|run| run.number)
    }

    /// The newest word on a member in a run.
    fn heard(&self, member: MemberId, run: Option<RunId>) -> Option<&Known> {
        self.peers.in_run(member, run?)
    }

    fn has_finished(&self, member: MemberId, run: Option<RunId>) -> bool {
        run.is_some_and(|run| self.peers.has_finished(member, run))
    }

    fn absence(&self, member: MemberId, run: Option<RunId>, waited: Duration) -> Absence {
        let (name, patience) = (self.layout.name(member), self.timing.patience);
        if self.has_finished(member, run) {
            return Absence::Finished;
        }
        if let Some((peer, run)) = self.plain.in_run(member, run).zip(run) {
            return self.plain_absence(member, peer, run);
        }
        let observed = self.clock.observed();
        let claimed = run.and_then(|run| self.since_claimed(member, run));
        let Some(known) = self.heard(member, run) else {
            let cause = self.unseen(member);
            return if claimed.map_or(waited, |since| since.min(waited)) > patience {
                Absence::Lost { cause, seen: false }
            } else {
                Absence::Present
            };
        };
        let silence = match known.state {
            MemberState::Left | MemberState::Failed => observed.saturating_sub(known.since),
            _ => self.peers.silence(known.process.id, observed),
        };
        // Whoever is about to take it over is a sign of it.
        let silence = claimed.map_or(silence, |since| since.min(silence));
        // A failure that was history when we came may be over: the member has the patience to come back.
        let overdue = silence > patience;
        if known.state == MemberState::Failed && (known.live || overdue) {
            let said = known.cause.as_deref().unwrap_or("no cause given").escape_debug();
            Absence::Failed(format!("{name} failed: {said}"))
        } else if overdue {
            let (seconds, process) = (silence.as_secs(), &known.process);
            Absence::Lost {
                cause: format!("{name} was lost: no sign of it for {seconds} s ({process})"),
                seen: true,
            }
        } else {
            Absence::Present
        }
    }

    /// For how long, in observed time, this process has taken part.
    fn waited_for_peers(&self) -> Duration {
        let established = self.local.values().filter_map(|local| match local.stage {
            Stage::Established { at } => Some(at),
            _ => None,
        });
        established
            .min()
            .map_or(Duration::ZERO, |at| self.clock.observed().saturating_sub(at))
    }
}

/// Why a member's word is not there yet, or that it is.
pub(super) enum Absence {
    Finished,
    Present,
    Failed(String),
    Lost { cause: String, seen: bool },
}
