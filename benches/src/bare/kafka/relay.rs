//! A hop that is a process of its own, and what is on both sides of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::signal::unix::{SignalKind, signal};

use super::{ANSWER, COMMIT_EVERY, Counting, Topics, assign, commit, consumer, producer_config, send};
use crate::arrivals;

/// Relays from one topic to another until SIGTERM, from where the last one stopped: nothing is left unacknowledged or uncommitted.
pub async fn relay(from: &str, to: &str) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut terminated = signal(SignalKind::terminate()).unwrap();
    let (from, to, stopped) = (from.to_owned(), to.to_owned(), Arc::clone(&stop));
    let relayed = tokio::task::spawn_blocking(move || relay_until(&stopped, &from, &to));
    terminated.recv().await;
    stop.store(true, Ordering::Release);
    relayed.await.unwrap();
}

fn relay_until(stop: &AtomicBool, from: &str, to: &str) {
    let counting = Counting::default();
    let producer: ThreadedProducer<Counting> =
        producer_config().create_with_context(counting.clone()).unwrap();
    producer.client().fetch_metadata(Some(to), ANSWER).unwrap();
    let consumer = consumer(from, 1);
    consumer.fetch_metadata(Some(from), ANSWER).unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition(from, 0);
    let committed = consumer.committed_offsets(assignment, ANSWER).unwrap();
    let mut position = match committed.find_partition(from, 0).map(|found| found.offset()) {
        Some(Offset::Offset(offset)) => offset,
        _ => 0,
    };
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(from, 0, Offset::Offset(position))
        .unwrap();
    consumer.assign(&assignment).unwrap();
    let (mut sent, mut committed) = (0, Instant::now());
    while !stop.load(Ordering::Acquire) {
        if let Some(message) = consumer.poll(Duration::from_millis(20)) {
            let message = message.unwrap();
            send(&producer, to, 0, message.payload().unwrap_or_default());
            (sent, position) = (sent + 1, message.offset() + 1);
        }
        if committed.elapsed() >= COMMIT_EVERY && counting.0.load(Ordering::Relaxed) == sent {
            commit(&consumer, from, &[position]);
            committed = Instant::now();
        }
    }
    producer.flush(ANSWER).unwrap();
    let mut last = TopicPartitionList::new();
    last.add_partition_offset(from, 0, Offset::Offset(position))
        .unwrap();
    consumer.commit(&last, CommitMode::Sync).unwrap();
}

/// What writes to a hop of the bare client and what reads from it.
#[allow(missing_debug_implementations, reason = "an admin client has none")]
pub struct Ends {
    topics: Topics,
    stop: AtomicBool,
}

impl Ends {
    pub async fn open() -> Self {
        let (topics, _) = Topics::create::<2>(1).await;
        Self {
            topics,
            stop: AtomicBool::new(false),
        }
    }

    /// The topics of the hop, as [`relay`] is told them.
    pub fn hop(&self) -> String {
        self.topics.names.join(" ")
    }

    /// Writes a record a millisecond.
    pub fn trickle(&self) {
        let producer: ThreadedProducer<Counting> = producer_config()
            .create_with_context(Counting::default())
            .unwrap();
        while !self.stop.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
            send(&producer, &self.topics.names[0], 0, &[7; 100]);
        }
        producer.flush(ANSWER).unwrap();
    }

    /// Notes what the hop wrote.
    pub fn take(&self) {
        let topic = &self.topics.names[1];
        let consumer = consumer(topic, 1);
        assign(&consumer, topic, 1);
        while !self.stop.load(Ordering::Acquire) {
            if let Some(message) = consumer.poll(Duration::from_millis(20)) {
                message.unwrap();
                arrivals::note(1);
            }
        }
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub async fn delete(self) {
        self.topics.delete().await;
    }
}
