//! Channels: what carries records from output ports to one input port.
//!
//! A transport implements [`Transport`], [`Connection`], [`ChannelReader`] and [`ChannelWriter`] and registers itself by
//! scheme ([`TransportRegistration`]). The protocol (readiness, end, failure) is not its business: it only carries
//! records and, where members live in other processes, status ([`StatusLog`]).

mod batch;
mod location;
pub mod memory;
pub mod partitioning;
mod pem;
mod policy;
mod registry;
mod session;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use batch::{Details, EncodedBatch, EncodedRecord, RawRecord, RecordSink, Run, ValueBatch};
pub use location::{ChannelConfig, Location, LocationError};
pub use pem::{Pem, pem_problem};
pub use policy::{DEAD_LETTER_HEADERS, LostOffsetPolicy, PoisonPolicy};
pub use registry::{TransportRegistration, schemes, transport_for};
pub(crate) use session::Leave;
pub use session::{ChannelSession, ControlThread, Joined, Pace, Trouble, View};
pub use transaction::{Consumed, Guarantee, Resumed, TransactionScope, Transactor};

use crate::error::ChannelError;
use crate::parameter::hidden;
use crate::protocol::{End, Layout, RunPolicy, Side, StatusRecord, Timing};
use partitioning::Partitioning;

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

    /// Whether the channel is a log ([`Transport::is_log`]).
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

/// A way to carry channels, chosen by the scheme of `channelLocation`.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The schemes of the locations it serves: `["kafka"]`.
    fn schemes(&self) -> &'static [&'static str];

    /// Whether records are lost when the process goes.
    fn is_volatile(&self) -> bool {
        false
    }

    /// Whether channels are logs: positions are the broker's and the same in the next process, and whoever says that all is
    /// flushed has it in the log. In queues positions count from the opening of a reader on, and a word may overtake records.
    fn is_log(&self) -> bool {
        true
    }

    /// Whether it has transactions ([`Connection::transactor`]).
    fn is_transactional(&self) -> bool {
        false
    }

    /// Whether it keeps dead letters ([`Connection::dead_letters`]).
    fn keeps_dead_letters(&self) -> bool {
        false
    }

    /// Finds what is wrong with a channel's location, configuration and names before anything runs: every problem, each
    /// with the mend.
    fn problems(&self, spec: &ChannelSpec) -> Vec<String>;

    /// Builds what the process shares for all its channels at one location. Called once a location and run.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Deadline`] if the broker does not answer within the patience, [`ChannelError::Authentication`] if
    /// it does not let us in.
    async fn connect(
        &self,
        channels: &[Arc<ChannelSpec>],
        patience: Duration,
    ) -> Result<Arc<dyn Connection>, ChannelError>;
}

/// What a process shares for its channels at one location. The number of clients behind it must not grow with the
/// number of replicas.
#[async_trait]
pub trait Connection: Send + Sync + 'static {
    /// Makes a reader of a channel. Nothing happens on the broker yet.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Configuration`] if the reader cannot be configured.
    fn reader(&self, channel: &Arc<ChannelSpec>, index: u32) -> Result<Box<dyn ChannelReader>, ChannelError>;

    /// Makes a writer of a channel. Nothing happens on the broker yet.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Configuration`] if the writer cannot be configured.
    fn writer(&self, channel: &Arc<ChannelSpec>, index: u32) -> Result<Box<dyn ChannelWriter>, ChannelError>;

    /// Makes a writer of a channel's dead letters ([`ChannelSpec::dead_letters`]), for one of its readers. It writes records
    /// as they are, with their headers, to where tools of the broker find them; they are kept when the channel is deleted.
    /// `create_resources` has made the place, if the channel's [`PoisonPolicy`] wants it.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Configuration`] if the transport has none.
    fn dead_letters(
        &self,
        channel: &Arc<ChannelSpec>,
        index: u32,
    ) -> Result<Box<dyn ChannelWriter>, ChannelError> {
        Err(ChannelError::Configuration {
            port: format!("{}, reader {index}", channel.name()),
            reason: "this transport keeps no dead letters".to_owned(),
        })
    }

    /// Makes the transactions of one operator in this process. Nothing happens on the broker yet.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Configuration`] if the transport has none.
    fn transactor(&self, scope: TransactionScope) -> Result<Arc<dyn Transactor>, ChannelError> {
        Err(ChannelError::Configuration {
            port: scope.operator,
            reason: "this transport has no transactions".to_owned(),
        })
    }

    /// Opens the status log of a channel, once it exists. `None` if all members always live in this process.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Deadline`] if the log does not appear within the patience.
    async fn status(&self, channel: &Arc<ChannelSpec>) -> Result<Option<Box<dyn StatusLog>>, ChannelError>;

    /// Gives back what is shared, after the last reader and writer were closed.
    async fn close(&self);
}

/// The status log of a channel: reports in, reports out, each side's in one order that everybody sees.
#[async_trait]
pub trait StatusLog: Send {
    /// The next thing that happens on the log. Cancel-safe.
    ///
    /// # Errors
    ///
    /// An error ends the channel in this process; a broker that is away is not an error but silence.
    async fn next(&mut self) -> Result<StatusEvent, ChannelError>;

    /// Hands a record over to be published, in order. Does not wait.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] if the client does not take it; the next heartbeat tries again.
    fn publish(&mut self, record: StatusRecord) -> Result<(), ChannelError>;
}

/// What happens on a status log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusEvent {
    /// A record, of anybody (oneself included).
    Record(StatusRecord),
    /// Everything that was in the log when it was opened has been given out. Happens once.
    HistoryRead,
}

/// Where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the committed position, else at the first record.
    Committed,
    /// At this offset (broadcast readers, whose position is in the status log).
    Offset(u64),
}

/// The reading end of a channel, for one replica.
///
/// # Contract
///
/// - `create_resources` and `delete_resources` are called on the principal's reader only (index 0), before `open` and
///   after `close`. Creation is idempotent and adopts what is there; it never deletes or changes. Deletion never deletes
///   what holds unread records.
/// - After `open`, records come out of `read` in the order of the partition, from the start position on, each exactly
///   once. A record that the sink refuses is a poison record: its error names partition and offset, and the records
///   before it are given out first.
/// - `read` never waits and never blocks the thread; `readable` waits and is cancel-safe.
/// - A slow reader must not starve another, nor hold more than its share of the channel's buffer.
#[async_trait]
pub trait ChannelReader: Send {
    /// Makes sure that the broker's objects exist, exactly as the channel needs them.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Mismatch`] if one exists with other properties.
    async fn create_resources(&mut self) -> Result<(), ChannelError>;

    /// Deletes the broker's objects.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Unread`] if records in them are unread; nothing is deleted then.
    async fn delete_resources(&mut self) -> Result<(), ChannelError>;

    /// Marks all records that are in the channel now as read, for every reader: an unfinished run was given up, or all is
    /// read and the positions are in the status log. Returns how many were unread.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`].
    async fn skip_to_end(&mut self) -> Result<u64, ChannelError>;

    /// Gets ready to read.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`], or [`ChannelError::Mismatch`] if the start position is gone.
    async fn open(&mut self, start: StartAt) -> Result<(), ChannelError>;

    /// Gives the sink what is at hand, until the sink is full. Returns how many records it took; 0 if none is at hand.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Poison`], or [`ChannelError::Transport`] if no more can be read.
    fn read(&mut self, sink: &mut dyn RecordSink) -> Result<usize, ChannelError>;

    /// Waits until `read` may have something. May return too early, never too late.
    async fn readable(&mut self);

    /// The offset behind the last record that was given out.
    #[must_use]
    fn position(&self) -> u64;

    /// An offset up to which `read` gives out all records, asked when no writer writes any more. Whoever has read to it asks
    /// again: if it has not grown, that is the proof that nothing more will come. Whoever is given nothing for a while asks
    /// again, too: the end of a log may have been told too high, where its last offsets hold no records. Cancel-safe.
    ///
    /// A log knows its end at once. A queue that replicas compete for does not know which of them takes what is left: it
    /// waits, while it has nothing to give out, until something came or is proven not to come.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`].
    async fn end(&mut self) -> Result<u64, ChannelError>;

    /// Commits positions of this reader, from whatever task. `None` if the broker has no place for it, as with broadcast
    /// readers of one log: then the position goes into the status log.
    #[must_use]
    fn committer(&self) -> Option<Arc<dyn Committer>>;

    /// Fails if records of the run were taken out of the channel without being processed, which only the broker knows. Asked of
    /// the principal's reader when all replicas have read to the end. A log keeps everything.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Unread`] says where they are.
    async fn nothing_left_behind(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Stops reading. Commits are flushed before, by [`Committer::flush`].
    async fn close(&mut self);
}

/// Commits the position of one reader.
#[async_trait]
pub trait Committer: Send + Sync {
    /// Notes that all records before `offset` are processed. Does not wait; the transport may batch (at most 1 s).
    fn commit(&self, offset: u64);

    /// Waits until the newest noted offset is held by the broker.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] or [`ChannelError::Deadline`].
    async fn flush(&self) -> Result<(), ChannelError>;
}

/// The form in which a writer takes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordForm {
    /// As values, moved.
    Values,
    /// As bytes.
    Encoded,
}

/// The writing end of a channel, for one replica of one output port.
///
/// # Contract
///
/// - `open` waits until the channel's objects exist. The port then waits until all readers are ready; only then does it
///   write.
/// - `write` takes as many runs as it can without waiting; `writable` waits for room and is cancel-safe.
/// - A record counts as acknowledged ([`WriteProgress`]) when the broker holds it, whatever becomes of this process.
#[async_trait]
pub trait ChannelWriter: Send {
    /// Gets ready to write.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Deadline`] if the objects do not appear, [`ChannelError::Mismatch`] if they are not what the
    /// channel needs.
    async fn open(&mut self) -> Result<(), ChannelError>;

    /// The form of records that [`ChannelWriter::write`] wants when it is the only destination.
    #[must_use]
    fn form(&self) -> RecordForm {
        RecordForm::Encoded
    }

    /// Takes encoded records `from..`, by the runs that say their partitions. Returns how many it took.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] once a record could not be delivered.
    fn write(&mut self, batch: &Arc<EncodedBatch>, runs: &[Run], from: usize) -> Result<usize, ChannelError>;

    /// Takes values for one partition, a [`ValueBatch`] behind `Any`, or gives them back if there is no room.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`].
    fn write_values(
        &mut self,
        partition: u32,
        values: Box<dyn std::any::Any + Send>,
        records: usize,
    ) -> Result<Option<Box<dyn std::any::Any + Send>>, ChannelError> {
        let _ = (partition, records);
        Ok(Some(values))
    }

    /// Waits until there may be room. May return too early, never too late.
    async fn writable(&mut self);

    /// What was written and acknowledged, from whatever task.
    #[must_use]
    fn progress(&self) -> Arc<dyn WriteProgress>;

    /// Records that wait in this process to be acknowledged; by it the step of round robin grows.
    #[must_use]
    fn waiting(&self) -> usize;

    /// Stops writing, after everything is acknowledged or given up.
    async fn close(&mut self);
}

/// How far the records of one writer are.
#[async_trait]
pub trait WriteProgress: Send + Sync {
    /// How many records were written so far.
    fn written(&self) -> u64;

    /// The greatest `n` such that the first `n` written records are all acknowledged.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] once a record could not be delivered; it says how many are not acknowledged.
    fn acknowledged(&self) -> Result<u64, ChannelError>;

    /// Waits until [`WriteProgress::acknowledged`] may have changed. Cancel-safe.
    async fn changed(&self);

    /// What is acknowledged, by partition.
    fn ends(&self) -> Vec<End>;
}
