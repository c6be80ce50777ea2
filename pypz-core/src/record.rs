//! A record and what travels with it.

use std::fmt;
use std::sync::Arc;

/// One record with its key, headers, timestamp and position.
///
/// Most operators send and retrieve bare values; [`Record`] is for those that want more. It is made from a value
/// with [`Record::new`] (or `From`), and every setter returns it.
///
/// ```
/// use pypz_core::Record;
///
/// let record = Record::new(42_u64).with_key("UA").with_header("origin", "EWR");
/// assert_eq!(record.key.as_deref(), Some("UA".as_bytes()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<T> {
    /// The value that the codec of the port encodes.
    pub value: T,
    /// The key, by which a port that partitions by key chooses the partition.
    pub key: Option<Box<[u8]>>,
    /// Name and value of each header, in order; empty if there are none.
    pub headers: Headers,
    /// Milliseconds since the Unix epoch; `None` lets the transport set it.
    pub timestamp: Option<i64>,
    /// Where the record was read; `None` before it was sent.
    pub position: Option<Position>,
    /// What tells it from every other record of its channel; `None` before it was sent, and in memory.
    pub id: Option<RecordId>,
}

/// The identity of a record in its channel: one that comes twice, because a process or a connection was lost, has the same id both
/// times. An operator that writes to somewhere else than to its ports can leave out by it what it has written.
///
/// It is the identity of a send. An operator that was killed behind its send and before its input was committed sends again, as
/// another record; [exactly-once](crate::Pipeline::exactly_once) has no such records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// Who counts: on Kafka the partition, `pl.clean.input[3]`; on RabbitMQ the execution of the writer, whose name no other has.
    pub counter: Arc<str>,
    /// The number of the record there, from 0: on Kafka its offset, on RabbitMQ how many its writer had sent before.
    pub sequence: u64,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.counter, self.sequence)
    }
}

/// Headers of a record, in order. A name may occur more than once.
pub type Headers = Vec<(String, Vec<u8>)>;

/// Where a record stands in its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The partition.
    pub partition: u32,
    /// The offset in the partition, counted from 0.
    pub offset: u64,
}

impl<T> Record<T> {
    /// Makes a record of a bare value.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self {
            value,
            key: None,
            headers: Vec::new(),
            timestamp: None,
            position: None,
            id: None,
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn with_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Sets the timestamp, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn with_timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }
}

impl<T> From<T> for Record<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
