//! What the members of a round have said, and what follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::COMMIT_EVERY;
use crate::channel::{Consumed, Resumed};
use crate::error::ChannelError;
use crate::protocol::RunId;

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) members: BTreeMap<u32, Member>,
    pub(super) run: Option<RunId>,
    /// When the first record or position of the open round came.
    pub(super) since: Option<Instant>,
    /// Somebody waits for the commit.
    pub(super) urgent: bool,
    /// Grows with each commit.
    pub(super) committed: u64,
    /// Where the members go on.
    pub(super) resumed: Arc<Resumed>,
}

pub(super) enum Phase {
    /// Waits until all members are there.
    Gathering,
    Open,
    Committing,
    /// The transaction came to nothing: waits until all members are away.
    Aborted(ChannelError),
    /// There will be no other.
    Failed(ChannelError),
}

#[derive(Default)]
pub(super) struct Member {
    pub(super) place: Place,
    pub(super) earlier: Vec<Vec<u32>>,
    pub(super) consumed: Vec<Consumed>,
    /// `consumed` is not committed yet.
    pub(super) fresh: bool,
    /// It has sent since its last checkpoint.
    pub(super) sent: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Away,
    There,
    Gone,
}

/// What the driver has to do.
pub(super) enum Due {
    Commit(Vec<Consumed>),
    Abort(ChannelError),
    /// All members are gone.
    Nothing,
}

impl State {
    pub(super) fn all(&self, is: impl Fn(Place) -> bool) -> bool {
        self.members.values().all(|member| is(member.place))
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self.phase, Phase::Aborted(_) | Phase::Failed(_))
    }

    /// Members that hold their replica now.
    pub(super) fn present(&self) -> Vec<u32> {
        let there = self
            .members
            .iter()
            .filter(|(_, member)| member.place == Place::There);
        there.map(|(index, _)| *index).collect()
    }

    /// Members that have sent and are not back.
    pub(super) fn busy(&self) -> Vec<u32> {
        let sent = self.members.iter().filter(|(_, member)| member.sent);
        sent.map(|(index, _)| *index).collect()
    }

    pub(super) fn due_at(&self) -> Option<Instant> {
        self.since
            .map(|since| if self.urgent { since } else { since + COMMIT_EVERY })
    }

    pub(super) fn is_due(&self) -> bool {
        self.due_at().is_some_and(|at| at <= Instant::now())
    }

    /// What is to be done now, if anything. A commit is begun.
    pub(super) fn look(&mut self) -> Option<Due> {
        match &self.phase {
            Phase::Aborted(error) => return Some(Due::Abort(error.clone())),
            Phase::Failed(_) => return Some(Due::Nothing),
            Phase::Gathering | Phase::Open | Phase::Committing => {}
        }
        if self.all(|place| place == Place::Gone) && self.since.is_none() {
            return Some(Due::Nothing);
        }
        if !self.is_due() || self.members.values().any(|member| member.sent) {
            return None;
        }
        self.phase = Phase::Committing;
        let fresh = self.members.values().filter(|member| member.fresh);
        Some(Due::Commit(
            fresh.flat_map(|member| member.consumed.clone()).collect(),
        ))
    }

    pub(super) fn committed(&mut self) {
        if matches!(self.phase, Phase::Committing) {
            self.phase = Phase::Open;
        }
        self.committed += 1;
        (self.since, self.urgent) = (None, false);
        for member in self.members.values_mut() {
            member.fresh = false;
        }
    }

    /// Back to the start, with the members that are left.
    pub(super) fn gather(&mut self) {
        self.phase = Phase::Gathering;
        (self.since, self.urgent, self.run) = (None, false, None);
        for member in self.members.values_mut() {
            // What somebody left behind in an aborted round is as aborted as the round.
            let place = match member.place {
                Place::Gone => Place::Gone,
                Place::Away | Place::There => Place::Away,
            };
            *member = Member {
                place,
                ..Member::default()
            };
        }
    }

    pub(super) fn broken(&self) -> Option<ChannelError> {
        match &self.phase {
            Phase::Aborted(error) | Phase::Failed(error) => Some(error.clone()),
            Phase::Gathering | Phase::Open | Phase::Committing => None,
        }
    }
}
