//! Transactions: one producer for the replicas that one process runs of an operator.
//!
//! Whoever was there before is fenced, and only then positions are read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{
    ChannelSpec, ChannelWriter, Consumed, Resumed, TransactionScope, Transactor, WriteProgress,
};
use pypz_core::fail_point;
use pypz_core::protocol::RunId;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode;

use crate::acknowledge::Acknowledgements;
use crate::clients::{Clients, REQUEST, blocking};
use crate::error::words;
use crate::fence::{TransactionalProducer, fence};
use crate::own_position::{self, Own, OwnGroups};
use crate::transport::KafkaConnection;
use crate::within::within;
use crate::writer::KafkaChannelWriter;

/// How long a drain waits at most before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The transactions of one operator in one process.
pub(crate) struct KafkaTransactor {
    connection: Arc<KafkaConnection>,
    scope: TransactionScope,
    open: Mutex<Option<Open>>,
}

/// What there is between `open` and `abort`.
#[derive(Clone)]
struct Open {
    producer: TransactionalProducer,
    writers: Vec<Arc<Acknowledgements>>,
    /// The groups of positions that are a replica's own.
    own: OwnGroups,
}

impl KafkaTransactor {
    pub(crate) const fn new(connection: Arc<KafkaConnection>, scope: TransactionScope) -> Self {
        Self {
            connection,
            scope,
            open: Mutex::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_open(&self) -> Result<Open, ChannelError> {
        self.lock().clone().ok_or_else(|| ChannelError::Aborted {
            operator: self.scope.operator.clone(),
            reason: "no transaction is open".to_owned(),
        })
    }

    fn patience(&self) -> Duration {
        let channels = self.scope.outputs.iter();
        channels
            .map(|channel| channel.timing.patience)
            .max()
            .unwrap_or(REQUEST)
    }

    /// Waits until the broker has answered for every record. What the client cannot deliver comes to nothing.
    async fn drain(&self, writers: &[Arc<Acknowledgements>]) -> Result<(), ChannelError> {
        let start = Instant::now();
        for writer in writers {
            let target = writer.written();
            while writer.acknowledged()? < target {
                let _ = tokio::time::timeout(LOOK_AGAIN, writer.changed()).await;
                if start.elapsed() > self.patience() * 2 {
                    return Err(ChannelError::Aborted {
                        operator: self.scope.operator.clone(),
                        reason: "the broker did not acknowledge its records".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Transactor for KafkaTransactor {
    async fn open(&self, earlier: &[Vec<u32>], present: &[u32], run: RunId) -> Result<Resumed, ChannelError> {
        for channel in &self.scope.inputs {
            self.connection.forget_consumer(channel, present).await;
        }
        let (clients, scope, earlier) = (self.connection.clients()?, self.scope.clone(), earlier.to_vec());
        let patience = self.patience();
        let opened = blocking(move || begin(&clients, &scope, &earlier, run, patience)).await?;
        let (open, resumed) = opened;
        *self.lock() = Some(open);
        Ok(resumed)
    }

    fn writer(&self, channel: &Arc<ChannelSpec>) -> Result<Box<dyn ChannelWriter>, ChannelError> {
        let mut open = self.lock();
        let Some(open) = open.as_mut() else {
            return Err(ChannelError::Transport {
                channel: channel.name().to_owned(),
                reason: "no transaction is open".to_owned(),
            });
        };
        let operator = Some(self.scope.operator.clone());
        let acknowledgements = Acknowledgements::new(channel, operator);
        open.writers.push(Arc::clone(&acknowledgements));
        let producer = open.producer.clone();
        Ok(Box::new(KafkaChannelWriter::new(
            self.connection.clients()?,
            producer,
            Arc::clone(channel),
            acknowledgements,
        )))
    }

    async fn commit(&self, consumed: &[Consumed], run: RunId) -> Result<(), ChannelError> {
        let open = self.now_open()?;
        self.drain(&open.writers).await?;
        let offsets = self.offsets(&open, consumed, run).await?;
        let (producer, operator, patience) = (
            open.producer.clone(),
            self.scope.operator.clone(),
            self.patience(),
        );
        let clients = self.connection.clients()?;
        let failed = move |error: KafkaError| judge(&clients, &operator, &error);
        let committed = within(patience + REQUEST, move || {
            commit(&producer, offsets, patience).map_err(failed)
        });
        committed.await.unwrap_or_else(|| {
            Err(ChannelError::Aborted {
                operator: self.scope.operator.clone(),
                reason: format!(
                    "the client did not return from a commit for {} s",
                    (patience + REQUEST).as_secs()
                ),
            })
        })?;
        for writer in &open.writers {
            writer.committed();
        }
        Ok(())
    }

    async fn abort(&self) {
        let Some(open) = self.lock().take() else {
            return;
        };
        blocking(move || {
            // Whatever becomes of it: whoever begins next fences this producer.
            if let Err(error) = open.producer.abort_transaction(REQUEST) {
                tracing::debug!("aborting: {}", words(&error));
            }
            drop(open);
        })
        .await;
    }

    async fn close(&self) {
        self.abort().await;
    }
}

/// The positions of one group.
type Offsets = (TopicPartitionList, Arc<ConsumerGroupMetadata>);

impl KafkaTransactor {
    async fn offsets(
        &self,
        open: &Open,
        consumed: &[Consumed],
        run: RunId,
    ) -> Result<Vec<Offsets>, ChannelError> {
        let clients = self.connection.clients()?;
        let failed = |error: KafkaError| judge(&clients, &self.scope.operator, &error);
        let mut by_input: BTreeMap<usize, TopicPartitionList> = BTreeMap::new();
        let mut all = Vec::new();
        for consumed in consumed {
            match consumed {
                Consumed::Input {
                    input,
                    reader,
                    offset,
                } => {
                    let Some(channel) = self.scope.inputs.get(*input) else {
                        continue;
                    };
                    let partition = i32::try_from(channel.partition_of(*reader)).unwrap_or(i32::MAX);
                    let offset = i64::try_from(*offset).unwrap_or(i64::MAX);
                    let own = Own::Broadcast {
                        input: *input,
                        reader: *reader,
                    };
                    if let Some(group) = open.own.get(&own) {
                        let noted = own_position::noted(channel, offset, &run.id.to_string());
                        all.push((noted.map_err(failed)?, Arc::clone(group)));
                        continue;
                    }
                    let list = by_input.entry(*input).or_default();
                    list.add_partition_offset(channel.name(), partition, Offset::Offset(offset))
                        .map_err(failed)?;
                }
                Consumed::Source { replica, text } => {
                    let group = open.own.get(&Own::Source(*replica));
                    if let (Some(group), Some(channel)) = (group, self.scope.outputs.first()) {
                        let noted = own_position::noted(channel, 0, &format!("{} {text}", run.id));
                        all.push((noted.map_err(failed)?, Arc::clone(group)));
                    }
                }
            }
        }
        for (input, list) in by_input {
            if let Some(channel) = self.scope.inputs.get(input)
                && let Some(group) = self
                    .connection
                    .consumer(channel)
                    .await?
                    .consumer()
                    .group_metadata()
            {
                all.push((list, Arc::new(group)));
            }
        }
        Ok(all)
    }
}

/// Fences whoever was here before, begins the first transaction and reads where sources are. Blocks.
fn begin(
    clients: &Clients,
    scope: &TransactionScope,
    earlier: &[Vec<u32>],
    run: RunId,
    patience: Duration,
) -> Result<(Open, Resumed), ChannelError> {
    let failed = |error: KafkaError| judge(clients, &scope.operator, &error);
    let producer = fence(clients, scope, earlier, patience).map_err(failed)?;
    fail_point::pass("kafka.transaction.initialised");
    producer.begin_transaction().map_err(failed)?;
    let (own, resumed) = own_position::read(clients, scope, run, patience)?;
    let open = Open {
        producer,
        writers: Vec::new(),
        own,
    };
    Ok((open, resumed))
}

/// Commits, and begins the next transaction. Blocks.
fn commit(
    producer: &TransactionalProducer,
    offsets: Vec<Offsets>,
    patience: Duration,
) -> Result<(), KafkaError> {
    let start = Instant::now();
    let insistently = |ask: &dyn Fn() -> Result<(), KafkaError>| loop {
        match ask() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && start.elapsed() < patience => {}
            done => return done,
        }
    };
    fail_point::pass("kafka.transaction.drained");
    for (list, group) in &offsets {
        insistently(&|| producer.send_offsets_to_transaction(list, group, REQUEST))?;
    }
    fail_point::pass("kafka.transaction.offsets");
    insistently(&|| producer.commit_transaction(REQUEST))?;
    fail_point::pass("kafka.transaction.committed");
    producer.begin_transaction()
}

/// What an error of a transaction means: the broker does not let us, or it came to nothing. A producer that was fenced by
/// another looks the same as one whose transaction ran out of time; whoever begins again finds out, because it has to hold
/// the replica first.
pub(crate) fn judge(clients: &Clients, operator: &str, error: &KafkaError) -> ChannelError {
    use RDKafkaErrorCode::InvalidTransactionTimeout;
    let is_ours = matches!(
        error,
        KafkaError::ClientCreation(_) | KafkaError::ClientConfig(..)
    ) || error.rdkafka_error_code() == Some(InvalidTransactionTimeout);
    match clients.failed(operator, "a transaction", error) {
        refused @ ChannelError::Authentication { .. } => refused,
        _ if is_ours => ChannelError::Configuration {
            port: operator.to_owned(),
            reason: format!("its transactions: {}", words(error)),
        },
        _ => ChannelError::Aborted {
            operator: operator.to_owned(),
            reason: words(error),
        },
    }
}
