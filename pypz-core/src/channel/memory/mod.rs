//! `memory://`: channels inside one process. Values move unencoded, bounded, with the semantics of the brokers:
//! partitions, keys, broadcast, readiness, end by proof.
//!
//! A record that has one destination moves as it is. One that has several (broadcast, or an output port that feeds
//! several input ports) is encoded once, and each reader decodes its own, so that records need not be `Clone`.

mod reader;
mod writer;

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{
    ChannelReader, ChannelSpec, ChannelWriter, Connection, Delivery, EncodedBatch, StatusLog, Transport,
};
use crate::error::ChannelError;
use reader::MemoryChannelReader;
use writer::MemoryChannelWriter;

/// The most records that wait for one reader.
const QUEUE_RECORDS: usize = 16_384;

/// The memory transport.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory;

#[async_trait]
impl Transport for Memory {
    fn schemes(&self) -> &'static [&'static str] {
        &["memory"]
    }

    fn is_volatile(&self) -> bool {
        true
    }

    fn problems(&self, spec: &ChannelSpec) -> Vec<String> {
        let mut problems = Vec::new();
        if !spec.location.address().is_empty() {
            problems.push(format!(
                "channelLocation {} has an address: write memory://",
                spec.location
            ));
        }
        let keys = spec
            .reader_config
            .keys()
            .chain(spec.writer_config.iter().flat_map(|config| config.keys()));
        problems
            .extend(keys.map(|key| format!("channelConfig: '{key}' is unknown, memory:// has no settings")));
        let all_here = spec.local_readers.len() == spec.layout.readers.len()
            && spec.local_writers.len() == spec.layout.writers.len();
        if !all_here {
            problems.push("memory:// does not leave the process: run the whole pipeline, or name a broker in channelLocation".to_owned());
        }
        problems
    }

    async fn connect(
        &self,
        channels: &[Arc<ChannelSpec>],
        _patience: Duration,
    ) -> Result<Arc<dyn Connection>, ChannelError> {
        let named = |spec: &Arc<ChannelSpec>| (spec.name().to_owned(), Arc::new(Queues::new(spec)));
        Ok(Arc::new(MemoryConnection {
            channels: channels.iter().map(named).collect(),
        }))
    }
}

struct MemoryConnection {
    channels: HashMap<String, Arc<Queues>>,
}

impl MemoryConnection {
    fn queues(&self, channel: &ChannelSpec) -> Result<Arc<Queues>, ChannelError> {
        self.channels
            .get(channel.name())
            .map(Arc::clone)
            .ok_or_else(|| ChannelError::Transport {
                channel: channel.name().to_owned(),
                reason: "the channel was not planned for this connection".to_owned(),
            })
    }
}

#[async_trait]
impl Connection for MemoryConnection {
    fn reader(&self, channel: &Arc<ChannelSpec>, index: u32) -> Result<Box<dyn ChannelReader>, ChannelError> {
        Ok(Box::new(MemoryChannelReader::new(self.queues(channel)?, index)))
    }

    fn writer(
        &self,
        channel: &Arc<ChannelSpec>,
        _index: u32,
    ) -> Result<Box<dyn ChannelWriter>, ChannelError> {
        Ok(Box::new(MemoryChannelWriter::new(self.queues(channel)?)))
    }

    async fn status(&self, _channel: &Arc<ChannelSpec>) -> Result<Option<Box<dyn StatusLog>>, ChannelError> {
        Ok(None)
    }

    async fn exists(&self, _channel: &Arc<ChannelSpec>) -> Result<bool, ChannelError> {
        Ok(true)
    }

    async fn close(&self) {}
}

/// The queues of one channel, one a reader.
struct Queues {
    channel: String,
    delivery: Delivery,
    readers: Vec<Queue>,
    room: Notify,
    bytes_each: usize,
}

struct Queue {
    state: Mutex<QueueState>,
    filled: Notify,
}

#[derive(Default)]
struct QueueState {
    items: VecDeque<Item>,
    records: usize,
    bytes: usize,
    next_offset: u64,
    gone: Option<Gone>,
}

/// How the reader of a queue went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// It ended: what comes now is of a cycle that the user has ended here.
    Ended,
    /// It failed, or was done with its work before its end.
    Early,
}

/// Consecutive records in a queue.
struct Item {
    offset: u64,
    records: Records,
}

enum Records {
    Values {
        values: Box<dyn Any + Send>,
        records: usize,
    },
    Encoded {
        batch: Arc<EncodedBatch>,
        range: Range<usize>,
    },
}

impl Records {
    const fn len(&self) -> usize {
        match self {
            Self::Values { records, .. } => *records,
            Self::Encoded { range, .. } => range.end - range.start,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Values { .. } => 0,
            Self::Encoded { batch, range } => range.clone().map(|index| batch.payload(index).len()).sum(),
        }
    }
}

impl Queues {
    fn new(spec: &ChannelSpec) -> Self {
        let readers = spec.layout.readers.len().max(1);
        let queue = || Queue {
            state: Mutex::default(),
            filled: Notify::new(),
        };
        Self {
            channel: spec.name().to_owned(),
            delivery: spec.delivery,
            readers: (0..readers).map(|_| queue()).collect(),
            room: Notify::new(),
            bytes_each: spec.buffer_bytes / readers,
        }
    }

    /// The queues that a partition's records go to.
    fn of_partition(&self, partition: u32) -> &[Queue] {
        match self.delivery {
            Delivery::Shared | Delivery::ByKey => {
                let at = partition as usize % self.readers.len();
                &self.readers[at..=at]
            }
            Delivery::Broadcast => &self.readers,
        }
    }

    fn has_room(&self, partition: u32) -> bool {
        self.of_partition(partition)
            .iter()
            .all(|queue| queue.lock().has_room(self.bytes_each))
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    const fn has_room(&self, bytes_each: usize) -> bool {
        // A closed queue takes (and drops or refuses) everything: nobody would ever make room in it.
        (self.records < QUEUE_RECORDS && self.bytes <= bytes_each) || self.gone.is_some()
    }
}
