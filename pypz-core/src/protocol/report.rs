//! What a process says of its members.

use serde::{Deserialize, Serialize};

use super::acknowledged::Acknowledgements;
use super::identity::{Process, RunId};

/// How far a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// Wants to take the member over; decided when the claim comes back from the log.
    Claimed,
    /// Takes part in the run.
    Opened,
    /// A reader that is assigned and positioned; a writer that may send.
    Started,
    /// Of a member whose replica is on several channels: all of its work in the run is acknowledged and committed, on each of
    /// them; nothing is left but to say `Stopped`, on one after another.
    Settled,
    /// A reader that has read and committed all; a writer whose every record is acknowledged.
    Stopped,
    /// Gone after `Stopped`. Of the principal reader: the run is closed.
    Closed,
    /// Gone with an error.
    Failed,
    /// Gone before its end, to come back: drained by a signal.
    Left,
}

impl MemberState {
    /// Whether somebody in this state must give signs of life.
    #[must_use]
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Claimed | Self::Opened | Self::Started | Self::Settled)
    }

    /// Whether somebody in this state keeps the member from others. A principal that has read all is still there.
    #[must_use]
    pub const fn holds(self) -> bool {
        self.is_alive() || matches!(self, Self::Stopped)
    }

    /// Whether the work of the member's replica is done, so that another incarnation repeats nothing of it.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Settled) || self.is_finished()
    }

    /// Whether the member has done all that was expected of it.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Stopped | Self::Closed)
    }
}

/// Members with consecutive indices that have the same to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRange {
    /// The first index.
    pub first: u32,
    /// The last index, `>= first`.
    pub last: u32,
    /// Counts the incarnations of the member in its run, from 1.
    pub epoch: u32,
    /// How far they are.
    pub state: MemberState,
    /// Why they failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// Members of one side that live in one process, as ranges from first to last.
pub type Covering = Vec<(u32, u32)>;

/// Sorts ranges and joins those that touch.
pub(super) fn join(ranges: &mut Covering) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let joins = next.0 <= last.1.saturating_add(1);
        if joins {
            last.1 = last.1.max(next.1);
        }
        joins
    });
}

/// Up to where the finished writers of a process wrote a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The partition.
    pub partition: u32,
    /// The offset behind their last acknowledged record.
    pub offset: u64,
    /// How many of their records were acknowledged.
    pub records: u64,
}

/// All that a process has to say on one side of a channel. Each report replaces the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The run it speaks of.
    pub run: RunId,
    /// Who speaks.
    pub process: Process,
    /// All members of the side that live in the process.
    pub members: Vec<MemberRange>,
    /// Of the writers that are finished, failed or gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<End>,
    /// Index and committed offset of broadcast readers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<(u32, u64)>,
    /// Place and position of writers whose operator is a source: its own words for where it goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<(u32, String)>,
    /// Where counts are reconciled with plain peers: of each reader how many records of the run it has been given, and its
    /// position then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub received: Vec<(u32, u64, u64)>,
    /// What readers have acknowledged to writers, if they do.
    #[serde(default, skip_serializing_if = "Acknowledgements::is_empty")]
    pub acknowledged: Acknowledgements,
    /// Of the process that holds the run: the schema that all of the run's records have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Box<str>>,
}

impl Report {
    /// The members that it speaks of, whatever it says of them: who sends and commits together in that process.
    #[must_use]
    pub fn covering(&self) -> Covering {
        let mut ranges = self
            .members
            .iter()
            .map(|range| (range.first, range.last))
            .collect();
        join(&mut ranges);
        ranges
    }

    /// Every member with its range's word.
    pub fn expanded(&self) -> impl Iterator<Item = (u32, &MemberRange)> {
        self.members
            .iter()
            .flat_map(|range| (range.first..=range.last).map(move |index| (index, range)))
    }
}

/// Joins neighbours that say the same.
#[must_use]
pub(super) fn compact(members: impl Iterator<Item = MemberRange>) -> Vec<MemberRange> {
    let mut ranges: Vec<MemberRange> = Vec::new();
    for member in members {
        match ranges.last_mut() {
            Some(range)
                if range.last + 1 == member.first
                    && (range.epoch, range.state, &range.cause)
                        == (member.epoch, member.state, &member.cause) =>
            {
                range.last = member.last;
            }
            _ => ranges.push(member),
        }
    }
    ranges
}
