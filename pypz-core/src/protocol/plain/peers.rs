//! What the logs have told of each plain member.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::word::{PlainStatus, PlainWord};
use crate::protocol::identity::{Layout, MemberId, RunId, Side};

/// One plain member. It has one process at a time, so the order of its words in the log is that of its life.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct PlainPeer {
    /// Its last word other than a sign of life; `HealthCheck` if there was none.
    pub(in crate::protocol) state: PlainStatus,
    /// How many records its incarnation says that it sent.
    pub(super) sent: u64,
    /// How many records a reader says that it was given.
    pub(super) received: u64,
    /// Its signs of life since a reader here was given records.
    pub(super) beats: u32,
    /// What earlier incarnations said, behind the mark of the run and before it.
    pub(super) carried: (u64, u64),
    /// Observed time of its last word, and of its last change of state.
    pub(in crate::protocol) seen: Duration,
    pub(in crate::protocol) since: Duration,
    /// Whether it has spoken behind the mark of the run.
    pub(super) is_marked: bool,
    /// Whether it has said `Opened` behind the mark, or was named by it: then nothing of what it sent was passed over.
    pub(super) is_opened_behind: bool,
    /// Whether it has spoken since this process read the history.
    pub(in crate::protocol) live: bool,
    /// Whether it has said `Opened` since this process read the history, and since a run was closed.
    pub(super) opened_live: bool,
    /// Whether it has ever said `Closed`.
    pub(super) was_closed: bool,
    /// Whether it has acknowledged its input since records were last written.
    pub(super) acknowledged: bool,
}

/// All plain members. Bounded by the layout: a name outside it is not kept.
#[derive(Debug, Default)]
pub(in crate::protocol) struct PlainPeers {
    pub(super) peers: BTreeMap<MemberId, PlainPeer>,
    /// Members of operators that others run, which speak with our extension.
    pub(super) extended: BTreeSet<MemberId>,
    /// Members of operators of ours for which somebody speaks without it.
    pub(super) intruders: BTreeSet<MemberId>,
    /// The run whose mark came last in the writers' log.
    pub(super) marked: Option<RunId>,
    /// Whether a reader of ours has reported, and whether a plain reader in its place spoke before.
    pub(super) is_reported: bool,
    pub(super) has_leftovers: bool,
}

impl PlainPeers {
    /// Notes that a member speaks with our extension.
    pub(in crate::protocol) fn is_extended(&mut self, member: MemberId, layout: &Layout) {
        if layout.foreign.contains(&member) {
            self.extended.insert(member);
        }
    }

    /// Notes that a report came, of whatever member of a side.
    pub(in crate::protocol) const fn reported(&mut self, side: Side) {
        if matches!(side, Side::Readers) {
            self.is_reported = true;
        }
    }

    /// Notes that a run begins here in the writers' log, and for some writers a little earlier.
    pub(in crate::protocol) fn mark(&mut self, run: RunId, early: impl Iterator<Item = u32>) {
        if self.marked.is_some_and(|marked| marked.number >= run.number) {
            return;
        }
        self.marked = Some(run);
        for peer in self.peers.values_mut() {
            (peer.is_marked, peer.is_opened_behind) = (false, false);
            peer.carried.0 = 0;
        }
        for writer in early {
            if let Some(peer) = self.peers.get_mut(&MemberId::writer(writer)) {
                (peer.is_marked, peer.is_opened_behind) = (true, true);
            }
        }
    }

    /// Notes that a run is closed: whoever opened before is of that one or an earlier.
    pub(in crate::protocol) fn closed(&mut self) {
        for peer in self.peers.values_mut() {
            peer.opened_live = false;
        }
    }

    /// The writers that opened after this process had read the history: they are of the run that it opens.
    pub(super) fn early(&self) -> Vec<(u32, u64, u64)> {
        let early = self
            .peers
            .iter()
            .filter(|(member, peer)| member.side == Side::Writers && peer.opened_live);
        early.map(|(member, _)| (member.index, 0, 0)).collect()
    }

    pub(in crate::protocol) fn is_marked(&self, run: RunId) -> bool {
        self.marked.is_some_and(|marked| marked.number >= run.number)
    }

    /// Takes in a word of a plain member.
    pub(super) fn hear(&mut self, word: &PlainWord, observed: Duration, live: bool) {
        let is_marked = self.marked.is_some();
        let peer = self.peers.entry(word.member).or_insert_with(|| PlainPeer {
            state: PlainStatus::HealthCheck,
            sent: 0,
            received: 0,
            beats: 0,
            carried: (0, 0),
            seen: observed,
            since: observed,
            is_marked: false,
            is_opened_behind: false,
            live,
            opened_live: false,
            was_closed: false,
            acknowledged: false,
        });
        let is_first = is_marked && !peer.is_marked;
        let next = match (peer.state, word.status) {
            (_, PlainStatus::Opened) => {
                let carried = if peer.is_marked {
                    &mut peer.carried.0
                } else {
                    &mut peer.carried.1
                };
                *carried = carried.saturating_add(std::mem::take(&mut peer.sent));
                PlainStatus::Opened
            }
            (_, PlainStatus::Started) => PlainStatus::Started,
            // What failed stays failed, whatever is said at its end.
            (PlainStatus::Error, _) => PlainStatus::Error,
            (PlainStatus::Closed, PlainStatus::Stopped) => PlainStatus::Closed,
            (PlainStatus::Stopped | PlainStatus::Closed, PlainStatus::HealthCheck) if is_first => {
                // It had ended before the run: another incarnation speaks, whose first words are lost.
                peer.sent = 0;
                PlainStatus::HealthCheck
            }
            (_, status @ (PlainStatus::Stopped | PlainStatus::Closed | PlainStatus::Error)) => status,
            (state, _) => state,
        };
        // Whoever had stopped before the mark has nothing to do with the run, though it closes behind it.
        let only_closes = peer.state == PlainStatus::Stopped && word.status == PlainStatus::Closed;
        if next != peer.state {
            (peer.state, peer.since) = (next, observed);
        }
        peer.is_marked |= is_marked && !only_closes;
        peer.is_opened_behind |= is_marked && word.status == PlainStatus::Opened;
        peer.live |= live;
        peer.opened_live |= live && word.status == PlainStatus::Opened;
        peer.was_closed |= word.status == PlainStatus::Closed;
        peer.acknowledged |= word.status == PlainStatus::Acknowledged;
        peer.seen = observed;
        peer.sent = peer.sent.max(word.sent.unwrap_or(0));
        if word.status == PlainStatus::HealthCheck {
            peer.beats = peer.beats.saturating_add(1);
        }
        peer.received = peer.received.max(word.received.unwrap_or(0));
    }

    /// A plain member that is of the run.
    pub(in crate::protocol) fn in_run(&self, member: MemberId, run: Option<RunId>) -> Option<&PlainPeer> {
        let peer = self
            .peers
            .get(&member)
            .filter(|_| !self.extended.contains(&member))?;
        let counts = match member.side {
            Side::Readers => peer.live,
            Side::Writers => run.is_some_and(|run| {
                let is_behind = peer.is_opened_behind || (peer.is_marked && !self.is_after_leftovers(run));
                self.is_whole(run) || (is_behind && self.marked.is_some_and(|marked| marked == run))
            }),
        };
        counts.then_some(peer)
    }

    /// Whether a run is the first of its log, so that every word in there is of it.
    pub(super) const fn is_whole(&self, run: RunId) -> bool {
        run.number == 1 && !self.has_leftovers
    }

    /// Whether a run began by passing over what an earlier one had left.
    const fn is_after_leftovers(&self, run: RunId) -> bool {
        run.number == 1 && self.has_leftovers
    }

    /// How many records a plain writer says that it sent in a run.
    pub(super) fn said(&self, peer: &PlainPeer, run: RunId) -> u64 {
        let before = if self.is_whole(run) { peer.carried.1 } else { 0 };
        peer.sent.saturating_add(peer.carried.0).saturating_add(before)
    }
}
