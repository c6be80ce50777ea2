//! Transactions: one producer for the replicas that one process runs of an operator.
//!
//! The transactional id is made from the operator and the replicas that live together, so a restart of the same process
//! fences the one before. Whoever held one of the replicas in other company had another id: those are fenced first
//! (`init_transactions` of each), and only then positions are read.

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
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode;

use crate::acknowledge::{Acknowledgements, Deliveries};
use crate::clients::{Clients, REQUEST, blocking, insistently};
use crate::config;
use crate::error::words;
use crate::own_position::{self, Own, OwnGroups};
use crate::transport::KafkaConnection;
use crate::writer::KafkaChannelWriter;

/// How long a drain waits at most before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How many ids are fenced at once: each takes a client of its own for a moment.
const FENCED_AT_ONCE: usize = 16;

type TransactionalProducer = ThreadedProducer<Deliveries>;

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

/// Does what blocks on a thread of its own; `None` if it does not return in time, and then it is left to itself.
///
/// librdkafka's `send_offsets_to_transaction` may go on for ever, whatever time it is given, if the group's coordinator goes away
/// behind it (librdkafka #5456). Whoever begins next fences its producer. On the runtime's own threads such a call would keep the
/// process from its end.
async fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("pypz-kafka-txn".to_owned());
    let started = thread.spawn(move || {
        // Nobody waits for it any more if it took too long.
        let _ = answer.send(work());
    });
    started.ok()?;
    tokio::time::timeout(limit, answered).await.ok()?.ok()
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

/// The transactional id of replicas that live together: `pl.clean@0-3,7`.
fn transactional_id(operator: &str, replicas: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for replica in replicas {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *replica => *last = *replica,
            _ => ranges.push((*replica, *replica)),
        }
    }
    let shown: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    format!("{operator}@{}", shown.join(","))
}

/// Fences whoever was here before, begins the first transaction and reads where sources are. Blocks.
fn begin(
    clients: &Clients,
    scope: &TransactionScope,
    earlier: &[Vec<u32>],
    run: RunId,
    patience: Duration,
) -> Result<(Open, Resumed), ChannelError> {
    let ours: Vec<u32> = scope.replicas.keys().copied().collect();
    let id = transactional_id(&scope.operator, &ours);
    let others: Vec<String> = earlier
        .iter()
        .filter(|replicas| **replicas != ours && replicas.iter().any(|replica| ours.contains(replica)))
        .map(|replicas| transactional_id(&scope.operator, replicas))
        .collect();
    let failed = |error: KafkaError| judge(clients, &scope.operator, &error);
    let fence = |id: &str| match initialize(clients, scope, id, patience) {
        // Somebody else fences it at the same time.
        Err(error) if is_fenced(&error) => Ok(()),
        done => done.map(drop),
    };
    let producer = std::thread::scope(|threads| {
        let ours = threads.spawn(|| initialize(clients, scope, &id, patience));
        for share in others.chunks(FENCED_AT_ONCE) {
            let fenced: Vec<_> = share.iter().map(|id| threads.spawn(|| fence(id))).collect();
            for fenced in fenced {
                fenced
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
        }
        ours.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let producer = producer.map_err(failed)?;
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

/// A producer of this id, after which none before it can write any more. Blocks.
fn initialize(
    clients: &Clients,
    scope: &TransactionScope,
    id: &str,
    patience: Duration,
) -> Result<TransactionalProducer, KafkaError> {
    let config = config::transactional(clients, scope, id);
    let context = Deliveries::new(Arc::clone(&clients.trouble));
    let producer = TransactionalProducer::from_config_and_context(&config, context)?;
    // Metadata first: the first question about the coordinator otherwise takes half a second.
    for channel in &scope.outputs {
        insistently(patience, || {
            producer.client().fetch_metadata(Some(channel.name()), REQUEST)
        })?;
    }
    let start = Instant::now();
    loop {
        match producer.init_transactions(REQUEST.min(patience)) {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && start.elapsed() < patience => {}
            done => return done.map(|()| producer),
        }
    }
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

fn is_fenced(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(
        error.rdkafka_error_code(),
        Some(Fenced | InvalidProducerEpoch | ProducerFenced)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_never_returns_is_given_up_and_one_that_returns_is_not() {
        let (end, never) = std::sync::mpsc::sync_channel::<()>(1);
        let stuck = within(Duration::from_millis(20), move || never.recv().is_ok());
        assert_eq!(stuck.await, None);
        drop(end);
        assert_eq!(within(REQUEST, || 7).await, Some(7));
    }

    #[test]
    fn an_id_names_the_replicas_that_live_together() {
        for (replicas, id) in [
            (&[0][..], "pl.clean@0"),
            (&[0, 1, 2, 3, 7], "pl.clean@0-3,7"),
            (&[1, 3, 5, 6], "pl.clean@1,3,5-6"),
        ] {
            assert_eq!(transactional_id("pl.clean", replicas), id);
        }
    }
}
