//! What a port is opened with, and how it goes.

use std::sync::Arc;

use crate::channel::partitioning::Partitioner;
use crate::channel::{ChannelReader, ChannelSession, ChannelWriter, Joined, Leave};
use crate::error::ChannelError;
use crate::executor::{RoundMember, Shutdown};
use crate::protocol::MemberId;

/// One channel from its reading end.
pub struct InputLink {
    /// The protocol.
    pub session: ChannelSession,
    /// What the member learned when it joined the run.
    pub joined: Joined,
    /// Says that the reader is gone, should the port never be closed.
    pub(crate) leave: Leave,
    /// The transport's end.
    pub reader: Box<dyn ChannelReader>,
    /// Which reader it is.
    pub member: MemberId,
    /// Whether the operator is done without this port's end.
    pub ends_cycle: bool,
    /// Whether records are lost when the process goes, so that a drain reads on to the end (memory).
    pub volatile: bool,
    /// Asks to drain or to stop.
    pub shutdown: Shutdown,
    /// Where records go that do not decode, if they do.
    pub dead_letters: Option<Box<dyn ChannelWriter>>,
    /// The rounds in which dead letters are written, if it is done in transactions.
    pub(crate) round: Option<RoundMember>,
}

/// One channel from its writing end.
pub struct OutputLink {
    /// The protocol.
    pub session: ChannelSession,
    /// What the member learned when it joined the run.
    pub joined: Joined,
    /// Says that the writer is gone, should the port never be closed.
    pub(crate) leave: Leave,
    /// The transport's end.
    pub writer: Box<dyn ChannelWriter>,
    /// Which writer it is.
    pub member: MemberId,
    /// Chooses the partition of each record.
    pub partitioner: Partitioner,
    /// Whether the operator has no inputs: a source stops sending when the pipeline drains.
    pub source: bool,
    /// Whether records are lost when the process goes: who leaves before its end says that this was its end, so that what
    /// it sent is read (memory).
    pub volatile: bool,
    /// Asks to drain or to stop.
    pub shutdown: Shutdown,
    /// The rounds in which it writes, if it does so in transactions.
    pub(crate) round: Option<RoundMember>,
}

impl std::fmt::Debug for InputLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InputLink")
            .field("port", &self.session.name(self.member))
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutputLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputLink")
            .field("port", &self.session.name(self.member))
            .finish_non_exhaustive()
    }
}

/// How an operator's ports go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    /// All is done.
    Finished,
    /// Something failed, with the words for the peers.
    Failed(Arc<str>),
    /// A signal came first: the member will be back.
    Left,
}

/// Shortens a cause that travels from failure to failure, so that it stays readable.
#[must_use]
pub(crate) fn cause_of(error: &ChannelError) -> String {
    const LONGEST: usize = 500;
    let mut cause = error.to_string();
    if cause.len() > LONGEST {
        let cut = (0..=LONGEST)
            .rev()
            .find(|at| cause.is_char_boundary(*at))
            .unwrap_or(0);
        cause.truncate(cut);
        cause.push('…');
    }
    cause
}
