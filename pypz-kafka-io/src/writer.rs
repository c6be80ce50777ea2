//! The writing end of a channel on Kafka.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, ChannelWriter, Details, EncodedBatch, Run, WriteProgress};
use pypz_core::fail_point;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};

use crate::acknowledge::{Acknowledgements, Block};
use crate::clients::{Clients, REQUEST, blocking};
use crate::deliveries::Deliveries;
use crate::producer::PolledProducer;
use crate::transactions::judge;

/// How long a writer waits at most before it looks again whether the client's queue has room.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Writes into the partitions of a channel, explicitly.
///
/// It creates nothing: it waits until the principal reader has created the topics, and its port waits until all readers
/// are ready before it sends. All writers of a process share one idempotent producer (`acks=all`).
pub struct KafkaChannelWriter {
    clients: Arc<Clients>,
    producer: PolledProducer<Deliveries>,
    spec: Arc<ChannelSpec>,
    acknowledgements: Arc<Acknowledgements>,
}

impl std::fmt::Debug for KafkaChannelWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaChannelWriter")
            .field("channel", &self.spec.name())
            .finish_non_exhaustive()
    }
}

impl KafkaChannelWriter {
    pub(crate) const fn new(
        clients: Arc<Clients>,
        producer: PolledProducer<Deliveries>,
        spec: Arc<ChannelSpec>,
        acknowledgements: Arc<Acknowledgements>,
    ) -> Self {
        Self {
            clients,
            producer,
            spec,
            acknowledgements,
        }
    }
}

#[async_trait]
impl ChannelWriter for KafkaChannelWriter {
    async fn open(&mut self) -> Result<(), ChannelError> {
        let (producer, topic) = (self.producer.clone(), self.spec.name().to_owned());
        // Metadata first: an idempotent producer otherwise waits half a second before its first record.
        let fetch = async {
            let _turn = self.clients.turn().await;
            blocking(move || producer.client().fetch_metadata(Some(&topic), REQUEST).map(drop)).await
        };
        self.producer
            .context()
            .know(self.spec.name(), fetch)
            .await
            .map_err(|error| self.clients.failed(self.spec.name(), "fetching metadata", &error))
    }

    fn write(&mut self, batch: &Arc<EncodedBatch>, runs: &[Run], from: usize) -> Result<usize, ChannelError> {
        self.acknowledgements.check()?;
        fail_point::pass("kafka.produce");
        let block = self.acknowledgements.block();
        let now = now();
        let mut written = 0_u32;
        let (mut failed, is_plain) = (None, self.spec.has_plain_readers());
        'runs: for (partition, range) in Run::from(runs, from) {
            // pypz-python's records have their partition for a key.
            let key = is_plain.then(|| partition.to_string());
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            for index in range {
                let mut record = record(self.spec.name(), partition, now, batch, index, &block);
                if let Some(key) = &key {
                    record = record.key(key.as_bytes());
                }
                match self.producer.send(record) {
                    Ok(()) => written += 1,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        self.producer.context().is_full();
                        break 'runs;
                    }
                    Err((error, _)) => {
                        failed = Some(error);
                        break 'runs;
                    }
                }
            }
        }
        self.acknowledgements.wrote(written);
        fail_point::pass("kafka.produced");
        match failed {
            None => Ok(written as usize),
            Some(error) => Err(match self.acknowledgements.operator() {
                Some(operator) => judge(&self.clients, operator, &error),
                None => self.clients.failed(self.spec.name(), "sending", &error),
            }),
        }
    }

    async fn writable(&mut self) {
        let _ = tokio::time::timeout(LOOK_AGAIN, self.producer.context().room()).await;
    }

    fn progress(&self) -> Arc<dyn WriteProgress> {
        Arc::clone(&self.acknowledgements) as Arc<dyn WriteProgress>
    }

    fn waiting(&self) -> usize {
        self.acknowledgements.in_flight()
    }

    async fn close(&mut self) {}
}

/// Milliseconds since the Unix epoch. The client would read the clock for each record.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A record as the client takes it: everything borrowed, the client copies.
fn record<'a>(
    topic: &'a str,
    partition: i32,
    now: i64,
    batch: &'a EncodedBatch,
    index: usize,
    block: &Arc<Block>,
) -> BaseRecord<'a, [u8], [u8], Arc<Block>> {
    let record = BaseRecord::with_opaque_to(topic, Arc::clone(block))
        .partition(partition)
        .timestamp(now)
        .payload(batch.payload(index));
    let Some(Details {
        key,
        headers,
        timestamp,
        ..
    }) = batch.details(index)
    else {
        return record;
    };
    let record = match key {
        Some(key) => record.key(key),
        None => record,
    };
    let record = match timestamp {
        Some(timestamp) => record.timestamp(*timestamp),
        None => record,
    };
    if headers.is_empty() {
        return record;
    }
    let owned = headers.iter().fold(
        OwnedHeaders::new_with_capacity(headers.len()),
        |owned, (key, value)| {
            owned.insert(Header {
                key,
                value: Some(value),
            })
        },
    );
    record.headers(owned)
}
