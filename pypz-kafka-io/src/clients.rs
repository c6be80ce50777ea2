//! What a process shares for all its channels at one location.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Location};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config;
use crate::deliveries::Deliveries;
use crate::error::{is_denied, is_missing, is_refusal, is_transient, transport, words};
use crate::producer::PolledProducer;
use crate::properties;
use crate::status::StatusHub;
use crate::trouble::{Listener, Trouble};

/// How long one question to the broker may take.
pub(crate) const REQUEST: Duration = Duration::from_secs(10);

/// Between two looks for something that is not there yet.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// How often the cause of a wait is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// How many consumers and topics of a location are opened, or asked for, at a time.
const OPENINGS: usize = 4;

/// The clients of one location.
pub(crate) struct Clients {
    pub(crate) location: Location,
    /// The user's properties of all channels here.
    pub(crate) user: BTreeMap<String, String>,
    pub(crate) trouble: Arc<Trouble>,
    pub(crate) admin: AdminClient<Listener>,
    pub(crate) producer: PolledProducer<Deliveries>,
    pub(crate) status: StatusHub,
    /// Buffer and longest record of producers.
    pub(crate) producing: Producing,
    openings: Semaphore,
}

/// What producers of a location have in common.
#[derive(Clone, Copy)]
pub(crate) struct Producing {
    pub(crate) buffer_bytes: usize,
    pub(crate) longest: usize,
}

impl Clients {
    /// Makes the clients and waits for the broker's first answer, at most for the patience.
    pub(crate) async fn connect(
        channels: &[Arc<ChannelSpec>],
        patience: Duration,
    ) -> Result<Arc<Self>, ChannelError> {
        let Some(first) = channels.first() else {
            return Err(ChannelError::Configuration {
                port: "kafka".to_owned(),
                reason: "no channels".to_owned(),
            });
        };
        let location = first.location.clone();
        let configs = channels.iter().flat_map(|spec| {
            std::iter::once(spec.reader_config.clone()).chain(spec.writer_config.iter().cloned())
        });
        let user = properties::merged(configs).map_err(|key| ChannelError::Configuration {
            port: first.name().to_owned(),
            reason: format!("channelConfig '{key}' differs between ports that share the clients of {location}: give all the same"),
        })?;
        let buffer = channels
            .iter()
            .map(|spec| spec.buffer_bytes)
            .max()
            .unwrap_or(64 << 20);
        let longest = channels
            .iter()
            .map(|spec| spec.max_record_bytes)
            .max()
            .unwrap_or(1_000_000);
        let made = blocking(move || Self::make(location, user, buffer, longest)).await?;
        let clients = Arc::new(made);
        match clients.answered(patience).await {
            Ok(()) => Ok(clients),
            Err(error) => {
                blocking(move || Self::end(clients)).await;
                Err(error)
            }
        }
    }

    fn make(
        location: Location,
        user: BTreeMap<String, String>,
        buffer_bytes: usize,
        longest: usize,
    ) -> Result<Self, ChannelError> {
        let trouble = Arc::new(Trouble::default());
        let listener = || Listener(Arc::clone(&trouble));
        let admin = create(&config::admin(&location, &user), listener(), &location)?;
        let producer_config = config::producer(&location, &user, buffer_bytes, longest);
        let producer = create(&producer_config, Deliveries::new(Arc::clone(&trouble)), &location)?;
        let consumer = create(&config::status_consumer(&location, &user), listener(), &location)?;
        let status_producer = create(&config::status_producer(&location, &user), listener(), &location)?;
        let status =
            StatusHub::start(consumer, status_producer).map_err(|error| ChannelError::Transport {
                channel: location.to_string(),
                reason: format!("no thread for status: {error}"),
            })?;
        Ok(Self {
            location,
            user,
            trouble,
            admin,
            producer,
            status,
            producing: Producing {
                buffer_bytes,
                longest,
            },
            openings: Semaphore::new(OPENINGS),
        })
    }

    /// One's turn to open something, as long as it is held: that takes a thread. `None` when the clients are closing.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.openings.acquire().await.ok()
    }

    /// Nobody waits for a turn any more.
    pub(crate) fn close_turns(&self) {
        self.openings.close();
    }

    /// An error of a channel's objects or clients, where the broker is: that it does not let us is its own kind.
    pub(crate) fn failed(&self, channel: &str, doing: &str, error: &KafkaError) -> ChannelError {
        match is_refusal(error, "") {
            true => ChannelError::Authentication {
                location: self.location.to_string(),
                reason: format!("{channel}: {doing}: {}", words(error)),
            },
            false => transport(channel, doing, error),
        }
    }

    /// Stops what runs and closes all clients, unless a question is still on its way: then whoever asked does. Blocks.
    pub(crate) fn end(clients: Arc<Self>) {
        clients.status.stop();
        if let Some(clients) = Arc::into_inner(clients) {
            clients.close();
        }
    }

    /// Closes the clients side by side. Blocks.
    fn close(self) {
        let Self {
            admin,
            producer,
            status,
            ..
        } = self;
        std::thread::scope(|scope| {
            scope.spawn(move || drop(admin));
            scope.spawn(move || drop(producer));
            scope.spawn(move || status.close());
        });
    }

    /// How many partitions a topic has; `None` if it is not there or some have no leader yet. Blocks.
    ///
    /// The admin client asks, for it fetches nothing: a broker answers each connection in order, so that a question behind
    /// a consumer's fetch waits until that fetch has found records or given up.
    pub(crate) fn partitions(&self, topic: &str, timeout: Duration) -> Result<Option<usize>, KafkaError> {
        let metadata = self.admin.inner().fetch_metadata(Some(topic), timeout)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        if let Some(error) = found.and_then(rdkafka::metadata::MetadataTopic::error) {
            let error = KafkaError::MetadataFetch(error.into());
            return if is_denied(&error) { Err(error) } else { Ok(None) };
        }
        let partitions = found.map(rdkafka::metadata::MetadataTopic::partitions);
        Ok(partitions
            .filter(|all| !all.is_empty() && all.iter().all(|one| one.leader() >= 0))
            .map(<[_]>::len))
    }

    /// Whether the broker says that there is no such topic. Blocks.
    pub(crate) fn is_unknown(&self, topic: &str, timeout: Duration) -> Result<bool, KafkaError> {
        let metadata = self.admin.inner().fetch_metadata(Some(topic), timeout)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let error = found.and_then(rdkafka::metadata::MetadataTopic::error);
        Ok(error
            .is_some_and(|error| RDKafkaErrorCode::from(error) == RDKafkaErrorCode::UnknownTopicOrPartition))
    }

    /// First offset and end of a partition. Blocks.
    pub(crate) fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), KafkaError> {
        insistently(REQUEST, || {
            self.admin.inner().fetch_watermarks(topic, partition, REQUEST)
        })
    }

    /// Waits for the broker's first answer; logs the cause every 10 s.
    async fn answered(self: &Arc<Self>, patience: Duration) -> Result<(), ChannelError> {
        self.retried(patience, "an answer of the broker", |clients, left| {
            clients.ping(left)
        })
        .await
    }

    fn ping(&self, timeout: Duration) -> Result<(), KafkaError> {
        // The first connection asks by itself and answers soonest; should its question be lost, nobody repeats it.
        let client = self.admin.inner();
        match client.fetch_cluster_id(timeout.min(LOOK_AGAIN)) {
            Some(_) => Ok(()),
            None => client.fetch_metadata(None, timeout).map(drop),
        }
    }

    /// Asks the broker again and again until it answers, at most for the patience. The question blocks its thread for at
    /// most the time that it is given.
    pub(crate) async fn retried<T: Send + 'static>(
        self: &Arc<Self>,
        patience: Duration,
        waited_for: &str,
        ask: impl Fn(&Self, Duration) -> Result<T, KafkaError> + Clone + Send + 'static,
    ) -> Result<T, ChannelError> {
        let (start, mut logged) = (Instant::now(), Instant::now());
        let location = self.location.to_string();
        loop {
            let left = patience.saturating_sub(start.elapsed());
            let turn = tokio::time::timeout(left, self.turn()).await.ok();
            let left = patience.saturating_sub(start.elapsed());
            let (clients, ask) = (Arc::clone(self), ask.clone());
            let slice = left.min(Duration::from_secs(1)).max(Duration::from_millis(10));
            let error = match blocking(move || ask(&clients, slice)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            drop(turn);
            if is_denied(&error) {
                return Err(ChannelError::Authentication {
                    location,
                    reason: format!("{waited_for}: {}", words(&error)),
                });
            }
            // Who answers that something is not there has let us in.
            if let Some(reason) = self.trouble.refusal().filter(|_| !is_missing(&error)) {
                return Err(ChannelError::Authentication { location, reason });
            }
            let cause = format!("{} ({})", self.trouble.last(), words(&error));
            if left.is_zero() {
                let waited_for = format!("{waited_for}: {cause}");
                return Err(ChannelError::Deadline {
                    port: location,
                    waited_for,
                    seconds: patience.as_secs(),
                });
            }
            if logged.elapsed() >= LOG_EVERY {
                logged = Instant::now();
                tracing::info!(
                    location,
                    "waiting for {waited_for}, retrying, {} s left: {cause}",
                    left.as_secs()
                );
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

fn create<C: ClientContext, T: FromClientConfigAndContext<C>>(
    config: &ClientConfig,
    context: C,
    location: &Location,
) -> Result<T, ChannelError> {
    config.create_with_context(context).map_err(|error| {
        let what = match &error {
            // librdkafka repeats the value, which may be a secret.
            KafkaError::ClientConfig(_, _, key, _) => {
                format!("channelConfig '{key}' is refused by librdkafka")
            }
            other => words(other),
        };
        ChannelError::Configuration {
            port: location.to_string(),
            reason: what,
        }
    })
}

/// Runs what blocks its thread where it may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Asks again while the broker says that it is not ready yet: a topic without a leader, a group without a coordinator.
/// Blocks.
pub(crate) fn insistently<T>(
    patience: Duration,
    mut ask: impl FnMut() -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let start = Instant::now();
    loop {
        match ask() {
            Err(error) if is_transient(&error) && start.elapsed() < patience => {
                std::thread::park_timeout(LOOK_AGAIN)
            }
            answer => return answer,
        }
    }
}
