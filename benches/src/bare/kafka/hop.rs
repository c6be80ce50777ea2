//! From a full topic to another one, as a careful program does it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::message::Message;
use rdkafka::producer::{Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{
    ANSWER, COMMIT_EVERY, Counting, RUN, Topics, assign, commit, consumer, produce, producer_config, send,
};

/// How often a transaction is committed.
const TRANSACTION_EVERY: Duration = Duration::from_millis(100);

/// What a hop promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    AtLeastOnce,
    ExactlyOnce,
}

/// From a full topic to another one, in order, positions committed after the acknowledgement of what was made from them: the time
/// until the last record is acknowledged or committed.
pub async fn hop(records: usize, bytes: usize, partitions: usize, promise: Promise) -> Duration {
    let (topics, [from, to]) = Topics::create::<2>(partitions).await;
    let (source, target) = (from.clone(), to.clone());
    let time = tokio::task::spawn_blocking(move || {
        produce(&source, partitions, records, bytes);
        match promise {
            Promise::AtLeastOnce => hop_at_least_once(&source, &target, records, partitions),
            Promise::ExactlyOnce => hop_exactly_once(&source, &target, records, partitions),
        }
    });
    let time = time.await.unwrap();
    topics.delete().await;
    time
}

fn hop_at_least_once(from: &str, to: &str, records: usize, partitions: usize) -> Duration {
    let start = Instant::now();
    let counting = Counting::default();
    let producer: ThreadedProducer<Counting> =
        producer_config().create_with_context(counting.clone()).unwrap();
    producer.client().fetch_metadata(Some(to), ANSWER).unwrap();
    let consumer = consumer(from, partitions);
    assign(&consumer, from, partitions);
    let mut positions = vec![0; partitions];
    let mut waiting: Option<(u64, Vec<i64>)> = None;
    let mut looked = Instant::now();
    for sent in 1..=records as u64 {
        let message = consumer.poll(ANSWER).unwrap().unwrap();
        send(
            &producer,
            to,
            message.partition(),
            message.payload().unwrap_or_default(),
        );
        if let Some(position) = positions.get_mut(message.partition() as usize) {
            *position = message.offset() + 1;
        }
        if sent % RUN as u64 == 0 && looked.elapsed() >= COMMIT_EVERY {
            looked = Instant::now();
            if let Some((needed, positions)) = &waiting
                && counting.0.load(Ordering::Relaxed) >= *needed
            {
                commit(&consumer, from, positions);
                waiting = None;
            }
            waiting.get_or_insert_with(|| (sent, positions.clone()));
        }
    }
    producer.flush(ANSWER).unwrap();
    let time = start.elapsed();
    commit(&consumer, from, &positions);
    time
}

fn hop_exactly_once(from: &str, to: &str, records: usize, partitions: usize) -> Duration {
    let start = Instant::now();
    let counting = Counting::default();
    let mut config = producer_config();
    config.set("transactional.id", to).set("retry.backoff.ms", "5");
    let producer: ThreadedProducer<Counting> = config.create_with_context(counting.clone()).unwrap();
    producer.client().fetch_metadata(Some(to), ANSWER).unwrap();
    producer.init_transactions(ANSWER).unwrap();
    let consumer = consumer(from, partitions);
    assign(&consumer, from, partitions);
    let group = consumer.group_metadata().unwrap();
    let mut positions = vec![0; partitions];
    producer.begin_transaction().unwrap();
    let mut begun = Instant::now();
    for sent in 1..=records as u64 {
        let message = consumer.poll(ANSWER).unwrap().unwrap();
        send(
            &producer,
            to,
            message.partition(),
            message.payload().unwrap_or_default(),
        );
        if let Some(position) = positions.get_mut(message.partition() as usize) {
            *position = message.offset() + 1;
        }
        let is_due = sent % RUN as u64 == 0 && begun.elapsed() >= TRANSACTION_EVERY;
        if is_due || sent == records as u64 {
            while counting.0.load(Ordering::Relaxed) < sent {
                std::thread::sleep(Duration::from_micros(100));
            }
            let mut offsets = TopicPartitionList::new();
            for (partition, position) in (0..).zip(&positions) {
                let offset = Offset::Offset(*position);
                offsets.add_partition_offset(from, partition, offset).unwrap();
            }
            producer
                .send_offsets_to_transaction(&offsets, &group, ANSWER)
                .unwrap();
            producer.commit_transaction(ANSWER).unwrap();
            if sent < records as u64 {
                producer.begin_transaction().unwrap();
            }
            begun = Instant::now();
        }
    }
    start.elapsed()
}
