//! The topics of a channel: their names, creation, deletion, and what lies in them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Delivery, PoisonPolicy};
use pypz_core::fail_point;
use pypz_core::protocol::Side;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode;

use crate::clients::{Clients, REQUEST, blocking, insistently};
use crate::committer::ReaderContext;
use crate::config::FRAMING_BYTES;
use crate::consumer::ChannelConsumer;
use crate::plain;
use crate::tail::last_records;

/// The longest name of a topic.
const LONGEST_TOPIC: usize = 249;

/// What Kafka accepts as one record unless a topic says otherwise.
const BROKER_RECORD_BYTES: usize = 1_000_000;

/// The topic of one side's status.
pub(crate) fn status_topic(channel: &str, side: Side) -> String {
    match side {
        Side::Readers => format!("{channel}.input.state"),
        Side::Writers => format!("{channel}.output.state"),
    }
}

/// The consumer group under which a channel's positions are kept, named as pypz-python names it.
pub(crate) fn group(spec: &ChannelSpec) -> String {
    let channel = spec.name();
    match (spec.delivery, spec.layout.readers.len()) {
        (Delivery::Shared | Delivery::ByKey, 2..) => format!("{channel}.{channel}"),
        _ => format!("{channel}@{channel}.{channel}"),
    }
}

/// A name that is too long for a topic.
pub(crate) fn name_problem(spec: &ChannelSpec) -> Option<String> {
    let longest = status_topic(spec.name(), Side::Writers);
    (longest.len() > LONGEST_TOPIC).then(|| {
        format!(
            "topic {longest} would have {} characters, Kafka's limit is {LONGEST_TOPIC}: use shorter names",
            longest.len()
        )
    })
}

/// Creates the three topics, or finds that they are there and right.
pub(crate) async fn create(clients: &Arc<Clients>, spec: &ChannelSpec) -> Result<(), ChannelError> {
    let channel = spec.name();
    let partitions = i32::try_from(spec.partitions()).unwrap_or(i32::MAX);
    let record_limit = (spec.max_record_bytes + FRAMING_BYTES).to_string();
    let states = Side::BOTH.map(|side| status_topic(channel, side));
    // -1 leaves the number of copies to the broker's own default.
    let copies = || TopicReplication::Fixed(-1);
    let mut data = NewTopic::new(channel, partitions, copies());
    if spec.max_record_bytes > BROKER_RECORD_BYTES {
        data = data.set("max.message.bytes", &record_limit);
    }
    let mut topics = vec![
        data,
        NewTopic::new(&states[0], 1, copies()),
        NewTopic::new(&states[1], 1, copies()),
    ];
    let dead = spec.dead_letters_name();
    if spec.on_poison == PoisonPolicy::DeadLetter {
        let letters = NewTopic::new(&dead, 1, copies());
        topics.push(if spec.max_record_bytes > BROKER_RECORD_BYTES {
            letters.set("max.message.bytes", &record_limit)
        } else {
            letters
        });
    }
    let options = AdminOptions::new()
        .request_timeout(Some(REQUEST))
        .operation_timeout(Some(REQUEST));
    let created = clients.admin.create_topics(&topics, &options).await;
    let created = created.map_err(|error| clients.failed(channel, "creating topics", &error))?;
    for outcome in created {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(clients.failed(
                    channel,
                    &format!("creating topic {topic}"),
                    &KafkaError::AdminOp(code),
                ));
            }
        }
    }
    fail_point::pass("kafka.topics.created");
    exists(clients, spec, spec.timing.patience).await
}

/// Waits until all three topics are there with leaders, and checks how many partitions they have.
pub(crate) async fn exists(
    clients: &Arc<Clients>,
    spec: &ChannelSpec,
    patience: Duration,
) -> Result<(), ChannelError> {
    let channel = spec.name().to_owned();
    let mut wanted = vec![
        (channel.clone(), spec.partitions()),
        (status_topic(&channel, Side::Readers), 1),
        (status_topic(&channel, Side::Writers), 1),
    ];
    if spec.on_poison == PoisonPolicy::DeadLetter {
        wanted.push((spec.dead_letters_name(), 1));
    }
    for (topic, wanted) in wanted {
        let asked = topic.clone();
        let look = move |clients: &Clients, left| match clients.partitions(&asked, left)? {
            Some(found) => Ok(found),
            None => Err(KafkaError::MetadataFetch(
                RDKafkaErrorCode::UnknownTopicOrPartition,
            )),
        };
        let found = clients
            .retried(
                patience,
                &format!("topic {topic}, which the principal reader creates"),
                look,
            )
            .await?;
        if found != wanted as usize {
            let (clients, counted) = (Arc::clone(clients), topic.clone());
            let records = blocking(move || records_in(&clients, &counted, found)).await;
            let lies = records.map_or_else(
                |_| "an unknown number of".to_owned(),
                |records| records.to_string(),
            );
            return Err(ChannelError::Mismatch {
                object: format!("topic {topic}"),
                reason: format!(
                    "it has {found} partitions with {lies} records in them, the pipeline wants {wanted}: finish the run with the old number of replicas first, or delete the topic"
                ),
            });
        }
    }
    Ok(())
}

fn records_in(clients: &Clients, topic: &str, partitions: usize) -> Result<i64, KafkaError> {
    let mut records = 0;
    for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        let (low, high) = clients.watermarks(topic, partition)?;
        records += high - low;
    }
    Ok(records)
}

/// How many questions about partitions are on their way at once.
const ASKED_AT_ONCE: usize = 8;

/// The end of each of the partitions, in their order. Blocks.
pub(crate) fn ends(clients: &Clients, topic: &str, partitions: &[i32]) -> Result<Vec<i64>, KafkaError> {
    let share = partitions.len().div_ceil(ASKED_AT_ONCE).max(1);
    let ask = |share: &[i32]| -> Result<Vec<i64>, KafkaError> {
        share
            .iter()
            .map(|partition| clients.watermarks(topic, *partition).map(|(_, end)| end))
            .collect()
    };
    let shares: Vec<Result<Vec<i64>, KafkaError>> = std::thread::scope(|scope| {
        let asked: Vec<_> = partitions
            .chunks(share)
            .map(|share| scope.spawn(move || ask(share)))
            .collect();
        asked
            .into_iter()
            .map(|asked| asked.join().unwrap_or(Err(KafkaError::Canceled)))
            .collect()
    });
    shares
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map(|shares| shares.concat())
}

/// The committed position of each of the partitions, `None` where there is none. Blocks.
pub(crate) fn committed(
    consumer: &BaseConsumer<ReaderContext>,
    topic: &str,
    partitions: &[i32],
) -> Result<Vec<Option<i64>>, KafkaError> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition(topic, *partition);
    }
    let found = consumer.committed_offsets(asked, REQUEST)?;
    let offset = |partition: &i32| match found
        .find_partition(topic, *partition)
        .map(|found| found.offset())
    {
        Some(Offset::Offset(offset)) => Some(offset),
        _ => None,
    };
    Ok(partitions.iter().map(offset).collect())
}

/// Who asks about positions: the channel's own consumer where it is open, else one that is made for it.
enum Asking {
    Open(Arc<ChannelConsumer>),
    Own(BaseConsumer<ReaderContext>),
}

impl Asking {
    fn new(
        clients: &Clients,
        spec: &ChannelSpec,
        open: Option<Arc<ChannelConsumer>>,
    ) -> Result<Self, KafkaError> {
        Ok(match open {
            Some(consumer) => Self::Open(consumer),
            None => Self::Own(ChannelConsumer::create(clients, spec, 1)?),
        })
    }

    fn consumer(&self) -> &BaseConsumer<ReaderContext> {
        match self {
            Self::Open(shared) => shared.consumer(),
            Self::Own(consumer) => consumer,
        }
    }
}

/// Every partition with its end and how many records in it are unread. Blocks.
fn unread(
    clients: &Clients,
    consumer: &BaseConsumer<ReaderContext>,
    spec: &ChannelSpec,
) -> Result<Vec<(i32, i64, u64)>, KafkaError> {
    let partitions: Vec<i32> = (0..i32::try_from(spec.partitions()).unwrap_or(i32::MAX)).collect();
    let topic = spec.name();
    let ends = ends(clients, topic, &partitions)?;
    let committed = insistently(REQUEST, || committed(consumer, topic, &partitions))?;
    let mut rows: Vec<(i32, i64, u64)> = Vec::new();
    let mut unsure: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
    for ((partition, end), committed) in partitions.into_iter().zip(ends).zip(committed) {
        let start = committed.unwrap_or(0);
        if start < end {
            unsure.insert(partition, (start, end));
        }
        rows.push((partition, end, 0));
    }
    // What lies there may be no records, but the markers of transactions.
    let last = last_records(clients, spec, &unsure)?;
    for (partition, _, unread) in &mut rows {
        if let (Some((start, _)), Some(last)) = (unsure.get(partition), last.get(partition)) {
            *unread = u64::try_from(last - start).unwrap_or(0);
        }
    }
    Ok(rows)
}

/// Commits the end of every partition. Returns how many records were unread.
pub(crate) async fn skip_to_end(
    clients: &Arc<Clients>,
    spec: &Arc<ChannelSpec>,
    open: Option<Arc<ChannelConsumer>>,
) -> Result<u64, ChannelError> {
    let (held, planned) = (Arc::clone(clients), Arc::clone(spec));
    let skipped = blocking(move || {
        let asking = Asking::new(&held, &planned, open)?;
        let consumer = asking.consumer();
        let rows = unread(&held, consumer, &planned)?;
        let mut offsets = TopicPartitionList::with_capacity(rows.len());
        for (partition, end, _) in &rows {
            offsets.add_partition_offset(planned.name(), *partition, Offset::Offset(*end))?;
        }
        consumer.commit(&offsets, CommitMode::Sync)?;
        Ok(rows.iter().map(|(_, _, unread)| unread).sum())
    });
    skipped
        .await
        .map_err(|error: KafkaError| clients.failed(spec.name(), "marking records as read", &error))
}

/// How many dead letters there are, and 0 if there never was a place for them. Blocks.
fn dead_letters(clients: &Clients, spec: &ChannelSpec) -> Result<u64, KafkaError> {
    let dead = spec.dead_letters();
    if spec.on_poison != PoisonPolicy::DeadLetter || clients.partitions(dead.name(), REQUEST)?.is_none() {
        return Ok(0);
    }
    let (low, high) = clients.watermarks(dead.name(), 0)?;
    let last = last_records(clients, &dead, &BTreeMap::from([(0, (low, high))]))?;
    Ok(last
        .get(&0)
        .and_then(|last| u64::try_from(last - low).ok())
        .unwrap_or(0))
}

/// Deletes the topics and the group, unless records are unread. Dead letters are kept for whoever looks after them.
pub(crate) async fn delete(
    clients: &Arc<Clients>,
    spec: &Arc<ChannelSpec>,
    open: Option<Arc<ChannelConsumer>>,
) -> Result<(), ChannelError> {
    let channel = spec.name();
    let (held, planned) = (Arc::clone(clients), Arc::clone(spec));
    let left = blocking(move || {
        if held.partitions(planned.name(), REQUEST)?.is_none() {
            return Ok(None);
        }
        let unread = unread(&held, Asking::new(&held, &planned, open)?.consumer(), &planned)?;
        Ok(Some((unread, dead_letters(&held, &planned)?)))
    });
    let left = left
        .await
        .map_err(|error: KafkaError| clients.failed(channel, "looking for unread records", &error))?;
    let (rows, dead) = left.unwrap_or_default();
    let unread: u64 = rows.iter().map(|(_, _, unread)| unread).sum();
    if unread > 0 {
        return Err(ChannelError::Unread {
            object: format!("topic {channel}"),
            unread,
        });
    }
    plain::left(clients, spec).await?;
    let states = Side::BOTH.map(|side| status_topic(channel, side));
    let options = AdminOptions::new()
        .request_timeout(Some(REQUEST))
        .operation_timeout(Some(REQUEST));
    let letters = spec.dead_letters_name();
    let mut topics = vec![channel, &states[0], &states[1]];
    match (spec.on_poison, dead) {
        (PoisonPolicy::DeadLetter, 0) => topics.push(&letters),
        (PoisonPolicy::DeadLetter, dead) => tracing::warn!("{dead} dead letters are kept in topic {letters}"),
        _ => {}
    }
    let deleted = clients.admin.delete_topics(&topics, &options).await;
    for outcome in deleted.map_err(|error| clients.failed(channel, "deleting topics", &error))? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((topic, code)) => {
                return Err(clients.failed(
                    channel,
                    &format!("deleting topic {topic}"),
                    &KafkaError::AdminOp(code),
                ));
            }
        }
    }
    fail_point::pass("kafka.topics.deleted");
    // The group holds nothing any more; one that was never used is not there.
    let groups: Vec<String> = plain::groups(spec).chain([group(spec)]).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let _ = clients.admin.delete_groups(&groups, &options).await;
    Ok(())
}
