//! The transport and its connection, as the core asks for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{
    ChannelReader, ChannelSpec, ChannelWriter, Connection, StatusLog, TransactionScope, Transactor,
    Transport, TransportRegistration,
};
use pypz_core::protocol::Side;
use tokio::sync::OnceCell;

use crate::acknowledge::Acknowledgements;
use crate::broadcast::Broadcast;
use crate::clients::{Clients, REQUEST, blocking};
use crate::consumer::ChannelConsumer;
use crate::reader::KafkaChannelReader;
use crate::transactions::KafkaTransactor;
use crate::watch::TopicWatch;
use crate::writer::KafkaChannelWriter;
use crate::{plain, properties, security, topics};

/// Channels on Apache Kafka: `kafka://host:port[,host:port]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct KafkaTransport;

inventory::submit!(TransportRegistration::new(&KafkaTransport));

#[async_trait]
impl Transport for KafkaTransport {
    fn schemes(&self) -> &'static [&'static str] {
        &["kafka"]
    }

    fn is_transactional(&self) -> bool {
        true
    }

    fn keeps_dead_letters(&self) -> bool {
        true
    }

    fn problems(&self, spec: &ChannelSpec) -> Vec<String> {
        let mut problems = properties::problems(spec);
        problems.extend(topics::name_problem(spec));
        problems.extend(plain::problem(spec));
        problems
    }

    async fn connect(
        &self,
        channels: &[Arc<ChannelSpec>],
        patience: Duration,
    ) -> Result<Arc<dyn Connection>, ChannelError> {
        let clients = Clients::connect(channels, patience).await?;
        Ok(Arc::new(KafkaConnectionHandle(Arc::new(KafkaConnection {
            clients: Mutex::new(Some(clients)),
            consumers: Mutex::default(),
            broadcasts: Mutex::default(),
            readers: Mutex::default(),
        }))))
    }
}

type Consumers = HashMap<String, Arc<OnceCell<Arc<ChannelConsumer>>>>;

/// The clients of one location and the consumers of its channels.
pub(crate) struct KafkaConnection {
    clients: Mutex<Option<Arc<Clients>>>,
    consumers: Mutex<Consumers>,
    broadcasts: Mutex<HashMap<String, (Arc<Broadcast>, u64)>>,
    /// Who still reads a channel of those that are planned here, where some are done and others begin again.
    readers: Mutex<HashMap<String, Vec<u32>>>,
}

impl KafkaConnection {
    /// The clients, until the connection is closed.
    pub(crate) fn clients(&self) -> Result<Arc<Clients>, ChannelError> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .as_ref()
            .map(Arc::clone)
            .ok_or_else(|| ChannelError::Transport {
                channel: "kafka".to_owned(),
                reason: "the connection is closed".to_owned(),
            })
    }

    /// The consumer of a channel; the first reader who asks opens it for all.
    pub(crate) async fn consumer(
        &self,
        spec: &Arc<ChannelSpec>,
    ) -> Result<Arc<ChannelConsumer>, ChannelError> {
        let cell = {
            let mut consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(consumers.entry(spec.name().to_owned()).or_default())
        };
        let open = || async {
            let (clients, asked, spec) = (self.clients()?, self.clients()?, Arc::clone(spec));
            let _turn = clients.turn().await;
            let opened = blocking(move || ChannelConsumer::open(&asked, &spec)).await;
            opened.map(Arc::new)
        };
        cell.get_or_try_init(open).await.map(Arc::clone)
    }

    /// The consumer of a channel, if a reader has opened it.
    pub(crate) fn open_consumer(&self, spec: &ChannelSpec) -> Option<Arc<ChannelConsumer>> {
        let consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        consumers
            .get(spec.name())
            .and_then(|cell| cell.get().map(Arc::clone))
    }

    /// Closes the consumer of a channel, whose readers are closed: the next who asks opens another, at the committed positions, for those that are left.
    pub(crate) async fn forget_consumer(&self, spec: &ChannelSpec, readers: &[u32]) {
        self.readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(spec.name().to_owned(), readers.to_vec());
        let forgotten = {
            let mut consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
            consumers.remove(spec.name())
        };
        self.broadcasts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(spec.name());
        if let Some(consumer) = forgotten.and_then(|cell| cell.get().cloned()) {
            let stopped = move || {
                consumer.stop();
                drop(consumer);
            };
            blocking(stopped).await;
        }
    }

    /// The window of a broadcast channel, and the offset it starts at; the first reader who asks makes it for all.
    pub(crate) fn broadcast(
        &self,
        spec: &ChannelSpec,
        consumer: &ChannelConsumer,
    ) -> Result<(Arc<Broadcast>, u64), ChannelError> {
        let mut broadcasts = self.broadcasts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((shared, base)) = broadcasts.get(spec.name()) {
            return Ok((Arc::clone(shared), *base));
        }
        let queue = consumer.take_queue(0).ok_or_else(|| ChannelError::Transport {
            channel: spec.name().to_owned(),
            reason: "the partition has a reader in this process already".to_owned(),
        })?;
        let base = queue.start;
        let left = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let readers = left.get(spec.name()).unwrap_or(&spec.local_readers);
        let shared = Arc::new(Broadcast::new(queue, readers, spec.buffer_bytes));
        drop(left);
        broadcasts.insert(spec.name().to_owned(), (Arc::clone(&shared), base));
        Ok((shared, base))
    }
}

/// The sides of a channel that members of this process speak for; none where pypz-python listens, too.
fn sides(channel: &ChannelSpec) -> Vec<Side> {
    let is_ours = channel.layout.foreign.is_empty();
    let local = [
        (Side::Readers, &channel.local_readers),
        (Side::Writers, &channel.local_writers),
    ];
    local
        .into_iter()
        .filter(|(_, members)| is_ours && !members.is_empty())
        .map(|(side, _)| side)
        .collect()
}

/// The connection as the core holds it: readers and writers keep what is behind it.
struct KafkaConnectionHandle(Arc<KafkaConnection>);

#[async_trait]
impl Connection for KafkaConnectionHandle {
    fn reader(&self, channel: &Arc<ChannelSpec>, index: u32) -> Result<Box<dyn ChannelReader>, ChannelError> {
        Ok(Box::new(KafkaChannelReader::new(
            Arc::clone(&self.0),
            Arc::clone(channel),
            index,
        )))
    }

    fn writer(
        &self,
        channel: &Arc<ChannelSpec>,
        _index: u32,
    ) -> Result<Box<dyn ChannelWriter>, ChannelError> {
        let acknowledgements = Acknowledgements::new(channel, None);
        let clients = self.0.clients()?;
        let producer = clients.producer.clone();
        Ok(Box::new(KafkaChannelWriter::new(
            clients,
            producer,
            Arc::clone(channel),
            acknowledgements,
        )))
    }

    fn dead_letters(
        &self,
        channel: &Arc<ChannelSpec>,
        index: u32,
    ) -> Result<Box<dyn ChannelWriter>, ChannelError> {
        self.writer(&Arc::new(channel.dead_letters()), index)
    }

    fn transactor(&self, scope: TransactionScope) -> Result<Arc<dyn Transactor>, ChannelError> {
        Ok(Arc::new(KafkaTransactor::new(Arc::clone(&self.0), scope)))
    }

    async fn status(&self, channel: &Arc<ChannelSpec>) -> Result<Option<Box<dyn StatusLog>>, ChannelError> {
        topics::exists(&self.0.clients()?, channel, channel.timing.patience).await?;
        let (clients, name) = (self.0.clients()?, channel.name().to_owned());
        let asked = Arc::clone(&clients);
        let watch = TopicWatch::new(&clients, channel);
        let nudged = sides(channel);
        let log = blocking(move || {
            asked
                .status
                .listen(&name, &nudged, watch, |topic| asked.watermarks(topic, 0))
        })
        .await;
        let log = log.map_err(|error| clients.failed(channel.name(), "reading status", &error))?;
        Ok(Some(Box::new(log)))
    }

    async fn exists(&self, channel: &Arc<ChannelSpec>) -> Result<bool, ChannelError> {
        let (clients, name) = (self.0.clients()?, channel.name().to_owned());
        let asked = Arc::clone(&clients);
        let unknown = blocking(move || asked.is_unknown(&name, REQUEST)).await;
        unknown
            .map(|unknown| !unknown)
            .map_err(|error| clients.failed(channel.name(), "looking for the channel", &error))
    }

    async fn close(&self) {
        let consumers: Vec<_> = {
            let mut consumers = self.0.consumers.lock().unwrap_or_else(PoisonError::into_inner);
            consumers
                .drain()
                .filter_map(|(_, cell)| cell.get().cloned())
                .collect()
        };
        self.0
            .broadcasts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let clients = self
            .0
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let outlives = clients
            .as_ref()
            .is_some_and(|clients| security::is_plaintext(&clients.user));
        let stopped = blocking(move || {
            std::thread::scope(|scope| {
                for consumer in &consumers {
                    scope.spawn(|| consumer.stop());
                }
                if let Some(clients) = &clients {
                    clients.close_turns();
                    clients.status.stop();
                }
            });
            (consumers, clients)
        });
        let (consumers, clients) = stopped.await;
        // Each takes librdkafka about 100 ms; side by side that is all it takes.
        let closing = move || {
            std::thread::scope(|scope| {
                for consumer in consumers {
                    scope.spawn(move || drop(consumer));
                }
                if let Some(clients) = clients {
                    Clients::end(clients);
                }
            });
        };
        if outlives {
            // Nobody waits for anything of theirs. With TLS they may be in the middle of OpenSSL while the process takes that down.
            let closer = std::thread::Builder::new().name("pypz-kafka-end".into());
            if let Err(error) = closer.spawn(closing) {
                tracing::debug!("no thread to close the clients on, so they are closed here: {error}");
            }
        } else {
            blocking(closing).await;
        }
    }
}
