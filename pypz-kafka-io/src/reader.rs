//! The reading end of a channel on Kafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{
    ChannelReader, ChannelSpec, Committer, Delivery, Guarantee, LostOffsetPolicy, RecordSink, StartAt,
};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::broadcast::BroadcastQueue;
use crate::committer::PartitionCommitter;
use crate::consumer::{ChannelConsumer, Offsets, Queue, of_partition};
use crate::error::{is_denied, is_missing, words};
use crate::lost::Jump;
use crate::question::Asked;
use crate::records::{Behind, read_partition};
use crate::topics;
use crate::transport::KafkaConnection;

/// A queue tells when it fills, but may miss it (rust-rdkafka issues 535, 665, 840): it is looked at again after this, and after
/// twice as long each time that there was nothing, up to the longest. A thousand idle replicas look a thousand times a second.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOK_AGAIN_AT_LAST: Duration = Duration::from_secs(1);

/// Reads the partition of one replica.
///
/// The principal's reader creates the topics, with one partition a replica (one for all in broadcast), and deletes them.
/// Each reader is assigned the partition of its replica index, at the committed position; there is no group membership
/// and no rebalancing. All readers of a channel in a process share one consumer, each with a queue of its own.
pub struct KafkaChannelReader {
    connection: Arc<KafkaConnection>,
    spec: Arc<ChannelSpec>,
    index: u32,
    /// The partition, as the ids of its records name it.
    counter: Arc<str>,
    source: Option<Source>,
    position: u64,
    asked_for_end: bool,
    /// Where the last records are, which is looked for while those that are left are read.
    last: Option<Asked<Offsets>>,
    /// What was found.
    found_end: Option<u64>,
    /// When the queue is looked at again that told nothing.
    look_again: Duration,
    poison: Option<ChannelError>,
    /// The client's error behind the records that were given last: it says it only once.
    error: Option<KafkaError>,
    jump: Option<Jump>,
}

/// Where the records come from.
enum Source {
    /// A partition of one's own.
    Partition {
        consumer: Arc<ChannelConsumer>,
        queue: Queue,
    },
    /// The one partition of a broadcast, shared with the other readers of the process.
    Broadcast(BroadcastQueue),
}

impl std::fmt::Debug for KafkaChannelReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaChannelReader")
            .field("channel", &self.spec.name())
            .field("index", &self.index)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl KafkaChannelReader {
    pub(crate) fn new(connection: Arc<KafkaConnection>, spec: Arc<ChannelSpec>, index: u32) -> Self {
        Self {
            counter: format!("{}[{}]", spec.name(), spec.partition_of(index)).into(),
            connection,
            spec,
            index,
            source: None,
            position: 0,
            asked_for_end: false,
            last: None,
            found_end: None,
            look_again: LOOK_AGAIN,
            poison: None,
            error: None,
            jump: None,
        }
    }

    fn partition(&self) -> i32 {
        i32::try_from(self.spec.partition_of(self.index)).unwrap_or(i32::MAX)
    }

    /// No record before this offset comes any more.
    fn floor(&self) -> u64 {
        self.source
            .as_ref()
            .map_or(0, |source| source.floor().load(Ordering::Acquire))
    }

    fn begin_jump(&mut self) -> Result<(), ChannelError> {
        let (Some(source), Some(consumer)) = (&self.source, self.connection.open_consumer(&self.spec)) else {
            return Ok(());
        };
        self.jump = Some(Jump::begin(
            self.connection.clients()?,
            Arc::clone(&self.spec),
            consumer,
            self.partition(),
            self.position,
            source.floor(),
        ));
        Ok(())
    }

    /// Goes on after an error of the client if the policy or the client itself lets the reader.
    fn meet(&mut self, error: &KafkaError) -> Result<usize, ChannelError> {
        if is_lost(error) && self.spec.on_lost_offset != LostOffsetPolicy::Fail {
            return self.begin_jump().map(|()| 0);
        }
        self.judge(error).map_or(Ok(0), |error| {
            self.poison = Some(error.clone());
            Err(error)
        })
    }

    /// What an error on the partition's own queue means; `None` if librdkafka goes on by itself.
    fn judge(&self, error: &KafkaError) -> Option<ChannelError> {
        let object = format!("topic {}, partition {}", self.spec.name(), self.partition());
        match error {
            _ if is_lost(error) => {
                let position = self.position;
                Some(ChannelError::Mismatch {
                    object,
                    reason: format!(
                        "the record at offset {position} is gone (retention, or deleted by hand): it was not read"
                    ),
                })
            }
            _ if is_missing(error) => Some(ChannelError::Mismatch {
                object,
                reason: "it was deleted by someone else".to_owned(),
            }),
            _ if is_denied(error) => Some(ChannelError::Authentication {
                location: self.spec.location.to_string(),
                reason: format!("{object}: {}", words(error)),
            }),
            _ => {
                tracing::debug!("{object}: {}", words(error));
                None
            }
        }
    }
}

impl Source {
    fn floor(&self) -> Arc<AtomicU64> {
        match self {
            Self::Partition { queue, .. } => Arc::clone(&queue.floor),
            Self::Broadcast(queue) => queue.floor(),
        }
    }
}

fn is_lost(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
    )
}

#[async_trait]
impl ChannelReader for KafkaChannelReader {
    async fn create_resources(&mut self) -> Result<(), ChannelError> {
        topics::create(&self.connection.clients()?, &self.spec).await
    }

    async fn delete_resources(&mut self) -> Result<(), ChannelError> {
        topics::delete(
            &self.connection.clients()?,
            &self.spec,
            self.connection.open_consumer(&self.spec),
        )
        .await
    }

    async fn skip_to_end(&mut self) -> Result<u64, ChannelError> {
        topics::skip_to_end(
            &self.connection.clients()?,
            &self.spec,
            self.connection.open_consumer(&self.spec),
        )
        .await
    }

    async fn open(&mut self, start: StartAt) -> Result<(), ChannelError> {
        let consumer = self.connection.consumer(&self.spec).await?;
        self.source = Some(match (self.spec.delivery, start) {
            (Delivery::Shared | Delivery::ByKey, _) => {
                let queue = consumer
                    .take_queue(self.partition())
                    .ok_or_else(|| ChannelError::Transport {
                        channel: self.spec.name().to_owned(),
                        reason: format!(
                            "partition {} has a reader in this process already",
                            self.partition()
                        ),
                    })?;
                self.position = queue.start;
                Source::Partition { consumer, queue }
            }
            (Delivery::Broadcast, start) => {
                let (shared, base) = self.connection.broadcast(&self.spec, &consumer)?;
                self.position = match start {
                    StartAt::Offset(offset) => offset.max(base),
                    StartAt::Committed => base,
                };
                Source::Broadcast(BroadcastQueue::new(shared, self.index, self.position))
            }
        });
        Ok(())
    }

    fn read(&mut self, sink: &mut dyn RecordSink) -> Result<usize, ChannelError> {
        if let Some(poison) = &self.poison {
            return Err(poison.clone());
        }
        if let Some(jump) = &self.jump {
            if !jump.is_done(&self.spec)? {
                return Ok(0);
            }
            self.jump = None;
        }
        if let Some(error) = self.error.take() {
            return self.meet(&error);
        }
        let taken = match &mut self.source {
            None => return Ok(0),
            Some(Source::Partition { queue, .. }) => {
                let next = || queue.queue.poll(Duration::ZERO);
                read_partition((self.spec.name(), &self.counter), next, sink, &mut self.position)
            }
            Some(Source::Broadcast(queue)) => {
                queue.read((self.spec.name(), &self.counter), sink, &mut self.position)
            }
        };
        match taken.behind {
            None if taken.records == 0 => {
                self.position = self.position.max(self.floor());
                Ok(0)
            }
            None => Ok(taken.records),
            Some(Behind::Poison(poison)) => {
                self.poison = Some(poison.clone());
                if taken.records > 0 {
                    Ok(taken.records)
                } else {
                    Err(poison)
                }
            }
            Some(Behind::Error(error)) if taken.records > 0 => {
                self.error = Some(error);
                Ok(taken.records)
            }
            Some(Behind::Error(error)) => self.meet(&error),
        }
    }

    async fn readable(&mut self) {
        let more = async {
            match &self.source {
                None => std::future::pending().await,
                Some(Source::Partition { queue, .. }) => queue.filled.notified().await,
                Some(Source::Broadcast(queue)) => queue.readable().await,
            }
        };
        let found = async {
            match &mut self.last {
                Some(last) => last.answer().await,
                None => std::future::pending().await,
            }
        };
        self.look_again = tokio::select! {
            () = more => LOOK_AGAIN,
            lasts = found => {
                self.last = None;
                self.found_end = lasts.ok().map(|lasts| of_partition(&lasts, self.partition()));
                LOOK_AGAIN
            }
            () = tokio::time::sleep(self.look_again) => (self.look_again * 2).min(LOOK_AGAIN_AT_LAST),
        };
    }

    fn position(&self) -> u64 {
        self.position
    }

    async fn end(&mut self) -> Result<u64, ChannelError> {
        let (consumer, clients) = (
            self.connection.consumer(&self.spec).await?,
            self.connection.clients()?,
        );
        let end = consumer.end(&clients, self.partition()).await?;
        if self.position >= end {
            return Ok(end);
        }
        // What lies between may be no records, but markers of transactions.
        if self.asked_for_end {
            return consumer.last(&clients, self.partition()).await;
        }
        if self.spec.guarantee == Guarantee::ExactlyOnce {
            self.last = Some(consumer.look_for_last(&clients).await?);
        }
        self.asked_for_end = true;
        Ok(end)
    }

    fn found_end(&self) -> Option<u64> {
        self.found_end
    }

    fn committer(&self) -> Option<Arc<dyn Committer>> {
        match &self.source {
            Some(Source::Partition { consumer, .. }) => Some(Arc::new(PartitionCommitter {
                consumer: Arc::clone(consumer),
                partition: self.partition(),
            })),
            _ => None,
        }
    }

    async fn close(&mut self) {
        self.source = None;
    }
}
