//! A channel as the pipeline plans it.

use std::sync::Arc;

use super::partitioning::Partitioning;
use super::{ChannelConfig, Guarantee, Location, LostOffsetPolicy, PoisonPolicy, transport_for};
use crate::parameter::hidden;
use crate::protocol::{Layout, RunPolicy, Side, Timing};

/// A channel as the pipeline plans it: the same in every process of the pipeline, except for the local members.
///
/// `Debug` hides the values of its configuration.
#[derive(Clone)]
pub struct ChannelSpec {
    /// Everybody who is expected.
    pub layout: Arc<Layout>,
    /// Where the channel lives.
    pub location: Location,
    /// What is passed through to the transport's client for the reader, by key.
    pub reader_config: ChannelConfig,
    /// The same for each writer, by its place in the layout.
    pub writer_config: Vec<ChannelConfig>,
    /// How each record finds its reader.
    pub delivery: Delivery,
    /// Whether this process hosts reader `index`.
    pub local_readers: Vec<u32>,
    /// The writers that live in this process.
    pub local_writers: Vec<u32>,
    /// The times of the protocol.
    pub timing: Timing,
    /// What the principal does with an unfinished run.
    pub run_policy: RunPolicy,
    /// What the run promises of each record.
    pub guarantee: Guarantee,
    /// The longest record, in bytes with key and headers.
    pub max_record_bytes: usize,
    /// The most bytes that wait in this process, each way; default 64 MiB.
    pub buffer_bytes: usize,
    /// Whether readers hand nothing out before all writers have finished.
    pub sequential: bool,
    /// What becomes of a record that does not decode.
    pub on_poison: PoisonPolicy,
    /// What a reader does when the records at its position are gone.
    pub on_lost_offset: LostOffsetPolicy,
}

impl std::fmt::Debug for ChannelSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let writer_config: Vec<_> = self.writer_config.iter().map(hidden).collect();
        f.debug_struct("ChannelSpec")
            .field("layout", &self.layout)
            .field("location", &self.location)
            .field("reader_config", &hidden(&self.reader_config))
            .field("writer_config", &writer_config)
            .field("delivery", &self.delivery)
            .field("local_readers", &self.local_readers)
            .field("local_writers", &self.local_writers)
            .finish_non_exhaustive()
    }
}

impl ChannelSpec {
    /// The channel's name: the full name of the principal's input port.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.layout.channel
    }

    /// How many partitions the channel has.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        match self.delivery {
            Delivery::Shared | Delivery::ByKey => {
                u32::try_from(self.layout.readers.len()).unwrap_or(u32::MAX)
            }
            Delivery::Broadcast => 1,
        }
    }

    /// Whether the channel is a log ([`Transport::is_log`](super::Transport::is_log)).
    #[must_use]
    pub fn is_log(&self) -> bool {
        transport_for(&self.location).is_ok_and(|transport| transport.is_log())
    }

    /// Whether members may be plain pypz-python: then its objects are declared exactly as it declares them.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.layout.foreign.is_empty()
    }

    /// Whether readers may be plain pypz-python: then records travel exactly as it sends them.
    #[must_use]
    pub fn has_plain_readers(&self) -> bool {
        self.layout
            .foreign
            .iter()
            .any(|member| member.side == Side::Readers)
    }

    /// The port names of writers that may be plain pypz-python.
    pub fn plain_writers(&self) -> impl Iterator<Item = &str> {
        let writers = self
            .layout
            .foreign
            .iter()
            .filter(|member| member.side == Side::Writers);
        writers.map(|member| self.layout.name(*member))
    }

    /// The partition that a reader reads.
    #[must_use]
    pub const fn partition_of(&self, reader: u32) -> u32 {
        match self.delivery {
            Delivery::Shared | Delivery::ByKey => reader,
            Delivery::Broadcast => 0,
        }
    }
}

/// How each record of a channel finds its reader. Of several connections to one input port the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// To any one reader: on a log each reader has a partition of its own, on a queue they compete.
    Shared,
    /// To the reader that the record's key belongs to.
    ByKey,
    /// One partition, which every reader reads from start to end (pypz: group mode).
    Broadcast,
}

impl From<Partitioning> for Delivery {
    fn from(partitioning: Partitioning) -> Self {
        match partitioning {
            Partitioning::Broadcast => Self::Broadcast,
            Partitioning::RoundRobin => Self::Shared,
            Partitioning::ByKey => Self::ByKey,
        }
    }
}
