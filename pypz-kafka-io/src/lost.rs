//! A reader whose records are gone: where it goes on, if its policy lets it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, LostOffsetPolicy};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::clients::Clients;
use crate::consumer::ChannelConsumer;
use crate::error::words;

/// Where a partition that starts at `start` begins to be read: there, unless its records are gone and the policy says where
/// else. `None` if that is an error. Blocks.
pub(crate) fn start_of(
    clients: &Clients,
    spec: &ChannelSpec,
    partition: i32,
    start: i64,
) -> Result<i64, KafkaError> {
    if spec.on_lost_offset == LostOffsetPolicy::Fail {
        return Ok(start);
    }
    let watermarks = clients.watermarks(spec.name(), partition)?;
    let Some(to) = target(spec.on_lost_offset, start, watermarks) else {
        return Ok(start);
    };
    say(spec, partition, start, to);
    Ok(to)
}

/// Where to go on, if the offset is not between the first record and the end.
const fn target(policy: LostOffsetPolicy, offset: i64, (low, high): (i64, i64)) -> Option<i64> {
    if low <= offset && offset <= high {
        return None;
    }
    match policy {
        LostOffsetPolicy::Earliest => Some(low),
        LostOffsetPolicy::Latest => Some(high),
        _ => None,
    }
}

fn say(spec: &ChannelSpec, partition: i32, from: i64, to: i64) {
    let topic = spec.name();
    tracing::warn!(
        topic,
        partition,
        "the record at offset {from} is gone (retention, or deleted by hand): goes on at offset {to}, as onLostOffset says"
    );
}

/// A jump that is under way, and how it ended.
pub(crate) struct Jump(Arc<OnceLock<Result<(), KafkaError>>>);

impl Jump {
    /// Begins one on the channel's consumer. `floor` rises to where the partition goes on.
    pub(crate) fn begin(
        clients: Arc<Clients>,
        spec: Arc<ChannelSpec>,
        consumer: Arc<ChannelConsumer>,
        partition: i32,
        position: u64,
        floor: Arc<AtomicU64>,
    ) -> Self {
        let ended = Arc::new(OnceLock::new());
        let jump = Self(Arc::clone(&ended));
        tokio::task::spawn_blocking(move || {
            let from = i64::try_from(position).unwrap_or(i64::MAX);
            let jumped = clients.watermarks(spec.name(), partition).and_then(|watermarks| {
                // What was lost a moment ago may be found now: then the partition is read on from where it was.
                let to = target(spec.on_lost_offset, from, watermarks).unwrap_or(from);
                // The partition has stopped at the error and takes no seek; its queue stays split.
                let mut place = TopicPartitionList::with_capacity(1);
                place.add_partition_offset(spec.name(), partition, Offset::Offset(to))?;
                consumer.consumer().incremental_unassign(&place)?;
                consumer.consumer().incremental_assign(&place)?;
                say(&spec, partition, from, to);
                floor.fetch_max(u64::try_from(to).unwrap_or(0), Ordering::Release);
                Ok(())
            });
            let _ = ended.set(jumped);
        });
        jump
    }

    /// Whether it is done.
    ///
    /// # Errors
    ///
    /// [`ChannelError::Transport`] if it failed.
    pub(crate) fn is_done(&self, spec: &ChannelSpec) -> Result<bool, ChannelError> {
        match self.0.get() {
            None => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(ChannelError::Transport {
                channel: spec.name().to_owned(),
                reason: format!(
                    "its records are gone, and going on behind them failed: {}",
                    words(error)
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_offset_goes_where_the_policy_says_and_one_that_is_there_stays() {
        use LostOffsetPolicy::{Earliest, Fail, Latest};
        for (policy, offset, expected) in [
            (Earliest, 4, Some(5)),
            (Latest, 4, Some(9)),
            (Fail, 4, None),
            (Earliest, 5, None),
            (Latest, 9, None),
            (Earliest, 10, Some(5)),
            (Latest, 10, Some(9)),
        ] {
            assert_eq!(target(policy, offset, (5, 9)), expected, "{policy:?} at {offset}");
        }
    }
}
