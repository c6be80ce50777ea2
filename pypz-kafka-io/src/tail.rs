//! Where a log really ends: behind its last record.
//!
//! A transaction leaves a marker behind its records, which has an offset and is never given out, and so do the records of an
//! aborted one. A log's end offset is then greater than any that a reader reaches.

use std::collections::BTreeMap;
use std::time::Instant;

use pypz_core::channel::ChannelSpec;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode;

use crate::clients::{Clients, LOOK_AGAIN, REQUEST, insistently};
use crate::config;
use crate::topics::group;
use crate::trouble::Listener;

/// How many offsets before its end a log is looked at first; eight times as many each time that none is a record.
const FIRST_LOOK: i64 = 64;

/// One partition whose end is looked for.
struct Tail {
    start: i64,
    end: i64,
    /// Behind the last record that was found.
    found: Option<i64>,
    /// How far back the look goes that is under way.
    back: i64,
    is_read: bool,
}

/// The offset behind the last committed record of each partition, given where each starts and ends; the start where there is
/// none. Nobody may write meanwhile. Blocks.
pub(crate) fn last_records(
    clients: &Clients,
    spec: &ChannelSpec,
    partitions: &BTreeMap<i32, (i64, i64)>,
) -> Result<BTreeMap<i32, i64>, KafkaError> {
    let mut tails: BTreeMap<i32, Tail> = BTreeMap::new();
    for (partition, (start, end)) in partitions {
        let tail = Tail {
            start: *start,
            end: *end,
            found: None,
            back: FIRST_LOOK,
            is_read: start >= end,
        };
        tails.insert(*partition, tail);
    }
    if tails.values().all(|tail| tail.is_read) {
        return Ok(partitions
            .iter()
            .map(|(partition, (start, _))| (*partition, *start))
            .collect());
    }
    let mut config = config::consumer(spec, &clients.user, &group(spec), tails.len());
    config.set("enable.partition.eof", "true");
    // An end is told when a fetch has waited in vain.
    config.set("fetch.wait.max.ms", "10");
    // What lies before the first record that is left is not asked for.
    config.set("auto.offset.reset", "earliest");
    let context = Listener(std::sync::Arc::clone(&clients.trouble));
    let consumer: BaseConsumer<Listener> = config.create_with_context(context)?;
    insistently(REQUEST, || consumer.fetch_metadata(Some(spec.name()), REQUEST))?;
    transactions_are_over(&consumer, spec, &tails)?;
    while tails.values().any(|tail| !tail.is_read) {
        look(&consumer, spec, &mut tails)?;
        for tail in tails
            .values_mut()
            .filter(|tail| tail.is_read && tail.found.is_none())
        {
            // Nothing but markers so far: look farther back, if there is anything.
            if tail.end - tail.back > tail.start {
                (tail.back, tail.is_read) = (tail.back.saturating_mul(8), false);
            }
        }
    }
    Ok(tails
        .into_iter()
        .map(|(partition, tail)| (partition, tail.found.unwrap_or(tail.start)))
        .collect())
}

/// Waits until every transaction is decided in each of the partitions: a commit is answered before its markers are there.
fn transactions_are_over(
    consumer: &BaseConsumer<Listener>,
    spec: &ChannelSpec,
    tails: &BTreeMap<i32, Tail>,
) -> Result<(), KafkaError> {
    let start = Instant::now();
    for (partition, tail) in tails {
        let decided = || -> Result<bool, KafkaError> {
            let ask = || consumer.fetch_watermarks(spec.name(), *partition, REQUEST);
            insistently(spec.timing.patience, ask).map(|(_, decided)| decided >= tail.end)
        };
        while !decided()? {
            if start.elapsed() > spec.timing.patience {
                tracing::warn!(channel = spec.name(), partition, "a transaction stays open");
                return Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::OperationTimedOut,
                ));
            }
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }
    Ok(())
}

/// Reads the tails that are not read yet to their ends.
fn look(
    consumer: &BaseConsumer<Listener>,
    spec: &ChannelSpec,
    tails: &mut BTreeMap<i32, Tail>,
) -> Result<(), KafkaError> {
    let mut assignment = TopicPartitionList::new();
    for (partition, tail) in tails.iter().filter(|(_, tail)| !tail.is_read) {
        let from = (tail.end - tail.back).max(tail.start);
        assignment.add_partition_offset(spec.name(), *partition, Offset::Offset(from))?;
    }
    consumer.assign(&assignment)?;
    let mut heard = Instant::now();
    while tails.values().any(|tail| !tail.is_read) {
        let left = spec.timing.patience.saturating_sub(heard.elapsed());
        match consumer.poll(left.min(REQUEST)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                if let Some(tail) = tails.get_mut(&message.partition()) {
                    tail.found = tail.found.max(Some(message.offset() + 1));
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                heard = Instant::now();
                if let Some(tail) = tails.get_mut(&partition) {
                    tail.is_read = true;
                }
            }
            Some(Err(error)) if left.is_zero() => return Err(error),
            Some(Err(_)) => {}
            None if left.is_zero() => {
                return Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::OperationTimedOut,
                ));
            }
            None => {}
        }
    }
    Ok(())
}
