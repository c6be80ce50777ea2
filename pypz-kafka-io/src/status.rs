//! Status over two topics a channel: one consumer and one producer for all channels of the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{StatusEvent, StatusLog};
use pypz_core::fail_point;
use pypz_core::protocol::{Side, StatusRecord};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::Offset;
use tokio::sync::mpsc;

use crate::clients::REQUEST;
use crate::error::words;
use crate::polling::Polling;
use crate::producer::PolledProducer;
use crate::topics::status_topic;
use crate::trouble::Listener;
use crate::watch::TopicWatch;

/// How many status events of a channel may wait.
const EVENTS: usize = 1_024;

/// How long one poll waits; a stop waits for it.
const POLL: Duration = Duration::from_millis(20);

/// How long it waits while nobody speaks: last words come shortly before a stop.
const POLL_WHEN_QUIET: Duration = Duration::from_millis(100);

/// How long nobody has spoken then.
const QUIET_AFTER: Duration = Duration::from_millis(300);

/// What brings a fetch back. It has no key: nobody takes it for status, pypz-python neither.
const NUDGE: &[u8] = b"{}";

/// The key that every status record has, and without which pypz-python passes it over.
const KEY: &str = "state";

/// The status clients of a location, and who listens to which topic.
pub(crate) struct StatusHub {
    consumer: Arc<BaseConsumer<Listener>>,
    producer: PolledProducer<Listener>,
    listeners: Arc<Mutex<HashMap<String, Listening>>>,
    /// The topic that was nudged last.
    last: Mutex<Option<String>>,
    polling: Polling,
}

struct Listening {
    side: Side,
    events: mpsc::Sender<StatusEvent>,
    history: Arc<History>,
    /// The offset behind the topic's history; 0 once that is read.
    end: i64,
}

/// Which of a channel's two topics still have history to read.
struct History(Mutex<usize>);

impl ProducerContext for Listener {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            tracing::debug!(
                "status on {} not delivered, the next heartbeat tries again: {}",
                message.topic(),
                words(error)
            );
        }
    }
}

impl StatusHub {
    /// Starts the thread that polls.
    pub(crate) fn start(
        consumer: BaseConsumer<Listener>,
        producer: PolledProducer<Listener>,
    ) -> std::io::Result<Self> {
        let consumer = Arc::new(consumer);
        let listeners: Arc<Mutex<HashMap<String, Listening>>> = Arc::default();
        let (polled, heard) = (Arc::clone(&consumer), Arc::clone(&listeners));
        let mut last = Instant::now();
        let polling = Polling::start("pypz-kafka-stat", move || {
            let is_quiet = last.elapsed() >= QUIET_AFTER;
            match polled.poll(if is_quiet { POLL_WHEN_QUIET } else { POLL }) {
                Some(Ok(message)) => {
                    last = Instant::now();
                    dispatch(&mut lock(&heard), &message);
                }
                // A broker that is away is silence; whoever waits for something has a deadline and the cause.
                Some(Err(error)) => tracing::debug!("status: {}", words(&error)),
                None => {}
            }
        })?;
        Ok(Self {
            consumer,
            producer,
            listeners,
            last: Mutex::default(),
            polling,
        })
    }

    /// Listens to both status topics of a channel, from their first record. The topics must exist. Blocks.
    ///
    /// `nudged` are the sides that the process may speak for, unless members of pypz-python listen.
    pub(crate) fn listen(
        &self,
        channel: &str,
        nudged: &[Side],
        watch: TopicWatch,
        watermarks: impl Fn(&str) -> Result<(i64, i64), KafkaError>,
    ) -> Result<KafkaStatusLog, KafkaError> {
        let (events, received) = mpsc::channel(EVENTS);
        let history = Arc::new(History(Mutex::new(Side::BOTH.len())));
        let mut assignment = TopicPartitionList::new();
        for side in Side::BOTH {
            let topic = status_topic(channel, side);
            let (low, high) = watermarks(&topic)?;
            // Metadata first: without it each client finds the topic only at its next refresh, half a second later.
            self.producer.client().fetch_metadata(Some(&topic), REQUEST)?;
            self.consumer.fetch_metadata(Some(&topic), REQUEST)?;
            assignment.add_partition_offset(&topic, 0, Offset::Offset(low))?;
            let (events, history) = (events.clone(), Arc::clone(&history));
            let end = if high > low { high } else { 0 };
            if end == 0 {
                history.read(&events);
            }
            lock(&self.listeners).insert(
                topic,
                Listening {
                    side,
                    events,
                    history,
                    end,
                },
            );
        }
        self.consumer.incremental_assign(&assignment)?;
        self.nudge(channel, nudged);
        Ok(KafkaStatusLog {
            channel: channel.to_owned(),
            events: received,
            producer: self.producer.clone(),
            watch,
        })
    }

    /// Has a channel's topics fetched at once. A fetch asks for the topics that were there when it was sent, and comes back when one
    /// of those has a record, or after 100 ms: whatever is on its way gets one.
    fn nudge(&self, channel: &str, sides: &[Side]) {
        let own: Vec<String> = sides.iter().map(|side| status_topic(channel, *side)).collect();
        let Some(first) = own.first() else {
            return;
        };
        let before = lock(&self.last).replace(first.clone());
        for topic in own.into_iter().chain(before) {
            let nudge: BaseRecord<'_, (), [u8]> = BaseRecord::to(&topic).partition(0).payload(NUDGE);
            if let Err((error, _)) = self.producer.send(nudge) {
                tracing::debug!(topic, "not nudged: {}", words(&error));
            }
        }
    }

    /// Closes both clients side by side. Blocks.
    pub(crate) fn close(self) {
        let Self {
            consumer, producer, ..
        } = self;
        std::thread::scope(|scope| {
            scope.spawn(move || drop(consumer));
            scope.spawn(move || drop(producer));
        });
    }

    /// Stops the thread that polls.
    pub(crate) fn stop(&self) {
        self.polling.stop();
        lock(&self.listeners).clear();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    /// Notes that one of the topics is read; after the last one the channel hears of it.
    fn read(&self, events: &mpsc::Sender<StatusEvent>) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_sub(1);
        if *left == 0 {
            let _ = events.blocking_send(StatusEvent::HistoryRead);
        }
    }
}

/// Hands a status record to the channel that listens to its topic.
fn dispatch(listeners: &mut HashMap<String, Listening>, message: &BorrowedMessage<'_>) {
    let Some(listening) = listeners.get_mut(message.topic()) else {
        return;
    };
    if message
        .key()
        .is_some_and(|key| key.windows(KEY.len()).any(|part| part == KEY.as_bytes()))
    {
        let bytes = message.payload().unwrap_or_default().to_vec();
        let record = StatusRecord {
            side: listening.side,
            bytes,
        };
        let _ = listening.events.blocking_send(StatusEvent::Record(record));
    }
    if listening.end > 0 && message.offset() + 1 >= listening.end {
        listening.end = 0;
        listening.history.read(&listening.events);
    }
}

/// The status log of one channel.
pub(crate) struct KafkaStatusLog {
    channel: String,
    events: mpsc::Receiver<StatusEvent>,
    producer: PolledProducer<Listener>,
    watch: TopicWatch,
}

#[async_trait]
impl StatusLog for KafkaStatusLog {
    async fn next(&mut self) -> Result<StatusEvent, ChannelError> {
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Some(event) => Ok(event),
                // The clients are closed; the session is about to hear of it and must not spin until then.
                None => std::future::pending().await,
            },
            gone = self.watch.gone() => Err(gone),
        }
    }

    fn publish(&mut self, record: StatusRecord) -> Result<(), ChannelError> {
        let topic = status_topic(&self.channel, record.side);
        let sent = self.producer.send(
            BaseRecord::to(&topic)
                .partition(0)
                .key(KEY)
                .payload(&record.bytes),
        );
        fail_point::pass("kafka.status");
        sent.map_err(|(error, _)| crate::error::transport(&self.channel, "publishing status", &error))
    }
}
