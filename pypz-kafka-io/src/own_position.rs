//! Positions that do not go with the partitions of a channel's group: where a source is, and how far each reader of a
//! broadcast. Each is kept in a group of its own, with words beside the offset that begin with the run.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Delivery, Resumed, TransactionScope};
use pypz_core::protocol::RunId;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionListElem};

use crate::clients::{Clients, REQUEST, insistently};
use crate::config;
use crate::error::transport;
use crate::trouble::Listener;

/// How many positions are asked for at once.
const ASKED_AT_ONCE: usize = 16;

/// Whose position it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Own {
    /// A replica of a source.
    Source(u32),
    /// A reader of a broadcast.
    Broadcast { input: usize, reader: u32 },
}

/// The groups, as a transaction needs them.
pub(crate) type OwnGroups = BTreeMap<Own, Arc<ConsumerGroupMetadata>>;

/// A group and what is committed in it, offset and words.
type Found = (Option<ConsumerGroupMetadata>, Option<(u64, String)>);

/// Whose positions a scope has, with the channel and the name of the group.
fn of_scope(scope: &TransactionScope) -> Vec<(Own, Arc<ChannelSpec>, String)> {
    let group = |channel: &ChannelSpec, replica: &str| format!("{}@{replica}", channel.name());
    let mut own = Vec::new();
    for (replica, name) in &scope.replicas {
        if let (true, Some(channel)) = (scope.inputs.is_empty(), scope.outputs.first()) {
            own.push((Own::Source(*replica), Arc::clone(channel), group(channel, name)));
        }
        for (input, channel) in scope.inputs.iter().enumerate() {
            if channel.delivery == Delivery::Broadcast {
                let key = Own::Broadcast {
                    input,
                    reader: *replica,
                };
                own.push((key, Arc::clone(channel), group(channel, name)));
            }
        }
    }
    own
}

/// Reads what is committed in this run. Blocks.
pub(crate) fn read(
    clients: &Clients,
    scope: &TransactionScope,
    run: RunId,
    patience: Duration,
) -> Result<(OwnGroups, Resumed), ChannelError> {
    let (mut groups, mut resumed) = (OwnGroups::new(), Resumed::default());
    let run = run.id.to_string();
    for share in of_scope(scope).chunks(ASKED_AT_ONCE) {
        let found: Vec<Result<Found, KafkaError>> = std::thread::scope(|threads| {
            let asked: Vec<_> = share
                .iter()
                .map(|(_, channel, group)| threads.spawn(|| ask(clients, channel, group, patience)))
                .collect();
            let answers = asked.into_iter().map(ScopedJoinHandle::join);
            answers
                .map(|answer| answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        for ((key, channel, _), found) in share.iter().zip(found) {
            let failed = |error| transport(channel.name(), "reading a committed position", &error);
            let (group, found) = found.map_err(failed)?;
            groups.extend(group.map(|group| (*key, Arc::new(group))));
            // What another run has committed says nothing.
            let Some((offset, text)) = found.filter(|(_, text)| text.starts_with(&run)) else {
                continue;
            };
            match *key {
                Own::Source(replica) => {
                    let text = text.get(run.len() + 1..).unwrap_or_default();
                    resumed.sources.insert(replica, text.to_owned());
                }
                Own::Broadcast { input, reader } => {
                    resumed.broadcasts.insert((input, reader), offset);
                }
            }
        }
    }
    Ok((groups, resumed))
}

/// Asks for the position in one group. The consumer that asks is gone afterwards. Blocks.
fn ask(
    clients: &Clients,
    channel: &ChannelSpec,
    group: &str,
    patience: Duration,
) -> Result<Found, KafkaError> {
    let config = config::consumer(channel, &clients.user, group, 1);
    let context = Listener(Arc::clone(&clients.trouble));
    let consumer: BaseConsumer<Listener> = config.create_with_context(context)?;
    let mut asked = TopicPartitionList::new();
    asked.add_partition(channel.name(), 0);
    insistently(patience, || {
        consumer.fetch_metadata(Some(channel.name()), REQUEST)
    })?;
    let found = insistently(patience, || consumer.committed_offsets(asked.clone(), REQUEST))?;
    let position = found
        .find_partition(channel.name(), 0)
        .and_then(|found| match found.offset() {
            Offset::Offset(offset) => Some((u64::try_from(offset).unwrap_or(0), words_of(&found))),
            _ => None,
        });
    Ok((consumer.group_metadata(), position))
}

/// The words beside an offset. The client panics where they are no UTF-8: then they are nobody's of us.
fn words_of(found: &TopicPartitionListElem<'_>) -> String {
    std::panic::catch_unwind(AssertUnwindSafe(|| found.metadata().to_owned())).unwrap_or_default()
}

/// A position, as it is committed: an offset of the channel's first partition, with words.
pub(crate) fn noted(
    channel: &ChannelSpec,
    offset: i64,
    text: &str,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    list.add_partition(channel.name(), 0);
    for mut element in list.elements() {
        element.set_offset(Offset::Offset(offset))?;
        element.set_metadata(text);
    }
    Ok(list)
}
