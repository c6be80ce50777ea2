//! rdkafka alone: the same properties, the same number of threads that do the work, the same copies of each record.

mod hop;
mod relay;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use pypz_testkit::{brokers, names};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, ClientContext};

pub use self::hop::{Promise, hop};
pub use self::relay::{Ends, relay};

/// How many records in a row go to one partition, as ours do under load.
const RUN: usize = 1_000;

/// How often positions are committed.
const COMMIT_EVERY: Duration = Duration::from_millis(200);

const ANSWER: Duration = Duration::from_secs(30);

fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers::kafka());
    config.set("reconnect.backoff.ms", "100");
    config.set("enable.sparse.connections", "false");
    config
}

fn producer_config() -> ClientConfig {
    let mut config = config();
    for (name, value) in [
        ("linger.ms", "0"),
        ("queue.buffering.max.messages", "100000"),
        ("queue.buffering.max.kbytes", "65536"),
        ("acks", "all"),
        ("enable.idempotence", "true"),
    ] {
        config.set(name, value);
    }
    config
}

fn consumer(group: &str, partitions: usize) -> BaseConsumer {
    let mut config = config();
    let share = (65_536 / partitions).max(16).to_string();
    let wait = if partitions == 1 {
        100
    } else {
        (partitions / 2).clamp(50, 500)
    };
    let least = (100_000 / partitions).max(100).to_string();
    for (name, value) in [
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("fetch.queue.backoff.ms", "2"),
        ("fetch.wait.max.ms", &wait.to_string()),
        ("queued.max.messages.kbytes", &share),
        ("queued.min.messages", &least),
    ] {
        config.set(name, value);
    }
    config.create().unwrap()
}

/// Counts what is acknowledged.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicU64>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        assert!(delivered.is_ok(), "{delivered:?}");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Topics that are deleted with it.
struct Topics {
    admin: AdminClient<DefaultClientContext>,
    names: Vec<String>,
}

impl Topics {
    async fn create<const N: usize>(partitions: usize) -> (Self, [String; N]) {
        let admin: AdminClient<DefaultClientContext> = config().create().unwrap();
        let names: [String; N] = std::array::from_fn(|_| names::unique("bare"));
        let partitions = i32::try_from(partitions).unwrap();
        let new = names
            .iter()
            .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)));
        let new: Vec<_> = new.collect();
        admin.create_topics(&new, &AdminOptions::new()).await.unwrap();
        let topics = Self {
            admin,
            names: names.to_vec(),
        };
        (topics, names)
    }

    async fn delete(self) {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let deleted = self.admin.delete_topics(&names, &AdminOptions::new());
        deleted.await.unwrap();
    }
}

fn assign(consumer: &BaseConsumer, topic: &str, partitions: usize) {
    consumer.fetch_metadata(Some(topic), ANSWER).unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions).unwrap() {
        all.add_partition_offset(topic, partition, Offset::Offset(0))
            .unwrap();
    }
    consumer.assign(&all).unwrap();
}

fn send<C>(producer: &ThreadedProducer<C>, topic: &str, partition: i32, payload: &[u8])
where
    C: ProducerContext<DeliveryOpaque = ()> + 'static,
{
    loop {
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).partition(partition).payload(payload);
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => panic!("{error}"),
        }
    }
}

/// Makes records, as our source does, and sends them in runs to the partitions in turn; waits until all are acknowledged.
fn produce(topic: &str, partitions: usize, records: usize, bytes: usize) {
    let counting = Counting::default();
    let producer: ThreadedProducer<Counting> =
        producer_config().create_with_context(counting.clone()).unwrap();
    producer.client().fetch_metadata(Some(topic), ANSWER).unwrap();
    for batch in 0..records / RUN {
        let partition = i32::try_from(batch % partitions).unwrap();
        for payload in vec![vec![7; bytes]; RUN] {
            send(&producer, topic, partition, &payload);
        }
    }
    producer.flush(ANSWER).unwrap();
    assert_eq!(counting.0.load(Ordering::Relaxed), records as u64);
}

fn commit(consumer: &BaseConsumer, topic: &str, positions: &[i64]) {
    let mut offsets = TopicPartitionList::new();
    for (partition, position) in (0..).zip(positions) {
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(*position))
            .unwrap();
    }
    consumer.commit(&offsets, CommitMode::Async).unwrap();
}

/// Whether every partition has had a record before the clock begins: a broker takes its time for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    New,
    Warm,
}

/// Sends a record to every partition and waits until all are there.
fn warm(consumer: &BaseConsumer, topic: &str, partitions: usize) {
    let producer: ThreadedProducer<Counting> = producer_config()
        .create_with_context(Counting::default())
        .unwrap();
    for partition in 0..i32::try_from(partitions).unwrap() {
        send(&producer, topic, partition, &[7]);
    }
    for _ in 0..partitions {
        consumer.poll(ANSWER).unwrap().unwrap();
    }
}

/// From a producer to a consumer of all partitions: the time between the first and the last arrival.
pub async fn run(records: usize, bytes: usize, partitions: usize, topic_is: Topic) -> Duration {
    let (topics, [topic]) = Topics::create::<1>(partitions).await;
    let consumer = consumer(&topic, partitions);
    assign(&consumer, &topic, partitions);
    let (go, begun) = sync_channel(1);
    let written = {
        let topic = topic.clone();
        std::thread::spawn(move || {
            begun.recv().unwrap();
            produce(&topic, partitions, records, bytes);
        })
    };
    let read = std::thread::spawn(move || {
        if topic_is == Topic::Warm {
            warm(&consumer, &topic, partitions);
        }
        go.send(()).unwrap();
        let (mut taken, mut first, mut batch) = (0, None, Vec::new());
        let mut positions = vec![0; partitions];
        let mut committed = Instant::now();
        while taken < records {
            let Some(message) = consumer.poll(ANSWER) else {
                panic!("{taken} of {records} records came");
            };
            let message = message.unwrap();
            first.get_or_insert_with(Instant::now);
            if batch.len() == RUN {
                batch.clear();
            }
            batch.push(message.payload().unwrap_or_default().to_vec());
            if let Some(position) = positions.get_mut(message.partition() as usize) {
                *position = message.offset() + 1;
            }
            taken += 1;
            if taken % RUN == 0 && committed.elapsed() >= COMMIT_EVERY {
                commit(&consumer, &topic, &positions);
                committed = Instant::now();
            }
        }
        first.map_or(Duration::ZERO, |first: Instant| first.elapsed())
    });
    let time = tokio::task::spawn_blocking(move || {
        written.join().unwrap();
        read.join().unwrap()
    });
    let time = time.await.unwrap();
    topics.delete().await;
    time
}

/// One record after the other through a topic: how long each took.
pub async fn lone_records(records: usize, idle: Duration) -> Vec<Duration> {
    let (topics, [topic]) = Topics::create::<1>(1).await;
    let name = topic.clone();
    let times = tokio::task::spawn_blocking(move || {
        let producer: ThreadedProducer<Counting> = producer_config()
            .create_with_context(Counting::default())
            .unwrap();
        producer.client().fetch_metadata(Some(&name), ANSWER).unwrap();
        let consumer = consumer(&name, 1);
        assign(&consumer, &name, 1);
        let mut times = Vec::new();
        for _ in 0..records {
            std::thread::sleep(idle);
            let sent = Instant::now();
            send(&producer, &name, 0, &[7; 100]);
            consumer.poll(ANSWER).unwrap().unwrap();
            times.push(sent.elapsed());
        }
        times
    });
    let times = times.await.unwrap();
    topics.delete().await;
    times
}
