//! One status message of pypz-python.

use serde::{Deserialize, Serialize};

use super::cycles::Metrics;
use crate::protocol::identity::{MemberId, ProcessId};
use crate::protocol::report::MemberState;

/// The statuses of pypz-python, by their names on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlainStatus {
    /// Its clients are there.
    Opened,
    /// A reader is positioned; a writer may send.
    Started,
    /// A writer's records are flushed; a reader reads no more.
    Stopped,
    /// Gone.
    Closed,
    /// Alive, with counts.
    HealthCheck,
    /// Its operator failed.
    Error,
    /// Defined by pypz-python and never sent.
    WaitingForSchema,
    /// A reader has processed all that it was given.
    Acknowledged,
}

impl PlainStatus {
    /// The word for a state, if pypz-python has one.
    pub(super) const fn of(state: MemberState) -> Option<Self> {
        match state {
            MemberState::Opened => Some(Self::Opened),
            MemberState::Started | MemberState::Settled => Some(Self::Started),
            MemberState::Stopped => Some(Self::Stopped),
            MemberState::Closed => Some(Self::Closed),
            MemberState::Failed => Some(Self::Error),
            MemberState::Claimed | MemberState::Left => None,
        }
    }
}

/// What a member says on pypz-python's wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainWord {
    /// Who, by the name of its port.
    pub member: MemberId,
    /// What.
    pub status: PlainStatus,
    /// How many records a writer has handed to its client so far.
    pub sent: Option<u64>,
    /// How many records a reader has been given so far.
    pub received: Option<u64>,
    /// The process, if the member is ours: plain members say none.
    pub process: Option<ProcessId>,
    /// How fast a member of ours is, in a sign of life, where its port has `metricsEnabled`. What others say of it is not kept.
    pub metrics: Option<Metrics>,
}

impl PlainWord {
    /// A word without counts.
    #[must_use]
    pub const fn bare(member: MemberId, status: PlainStatus) -> Self {
        Self {
            member,
            status,
            sent: None,
            received: None,
            process: None,
            metrics: None,
        }
    }
}
