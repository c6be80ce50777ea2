//! Positions on their way to the broker: noted by the replicas, committed by the channel's consumer, renewed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::Committer;
use pypz_core::fail_point;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;
use tokio::sync::Notify;

use crate::consumer::ChannelConsumer;
use crate::error::words;
use crate::trouble::Trouble;

/// How long positions gather before they are committed.
const COMMIT_EVERY: Duration = Duration::from_millis(200);

/// How often positions are committed that have not changed: the broker forgets one `offsets.retention.minutes` (7 days) after
/// its last commit, also while its reader lives.
const RENEW_EVERY: Duration = Duration::from_secs(3_600);

/// A consumer that was not served for so long belonged to a process that stood still.
const STOOD_STILL: Duration = Duration::from_secs(10);

/// Positions of the replicas: noted by them, sent to the broker, held by the broker.
#[derive(Default)]
struct Positions {
    noted: BTreeMap<i32, i64>,
    committed: BTreeMap<i32, i64>,
    retry_at: Option<Instant>,
    /// How many wait for their position to be committed.
    flushing: usize,
    failure: Option<String>,
}

/// What the consumer's callbacks write to.
pub(crate) struct ReaderContext {
    positions: Mutex<Positions>,
    changed: Notify,
    trouble: Arc<Trouble>,
}

impl ReaderContext {
    pub(crate) fn new(trouble: Arc<Trouble>) -> Self {
        Self {
            positions: Mutex::default(),
            changed: Notify::new(),
            trouble,
        }
    }

    /// Takes over positions that the broker holds, to renew them, too.
    pub(crate) fn hold(&self, known: BTreeMap<i32, i64>) {
        let mut positions = self.lock();
        (positions.noted, positions.committed) = (known.clone(), known);
    }

    fn lock(&self) -> MutexGuard<'_, Positions> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for ReaderContext {
    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.note(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.trouble.log(level, fac, message);
    }
}

impl ConsumerContext for ReaderContext {}

/// When what was done last.
pub(crate) struct Times {
    looked: Instant,
    committed: Instant,
    renewed: Instant,
}

impl Times {
    pub(crate) fn now() -> Self {
        let now = Instant::now();
        Self {
            looked: now,
            committed: now,
            renewed: now,
        }
    }

    /// Whether it is time to commit what has not changed. Not in a process that stood still: others may have gone on from
    /// these positions meanwhile.
    fn renews(&mut self, now: Instant) -> bool {
        if now - self.looked > STOOD_STILL {
            self.renewed = now;
        }
        self.looked = now;
        let is_due = now - self.renewed >= RENEW_EVERY;
        if is_due {
            self.renewed = now;
        }
        is_due
    }
}

/// Commits what is noted, if it is time. It waits for the broker, which only this thread may: librdkafka tells nobody how
/// an asynchronous commit of an assigned consumer ended.
pub(crate) fn commit_noted(consumer: &BaseConsumer<ReaderContext>, topic: &str, times: &mut Times) {
    let context = consumer.context();
    let mut offsets = TopicPartitionList::new();
    let renews = times.renews(Instant::now());
    {
        let positions = context.lock();
        let is_due = positions.flushing > 0 || renews || times.committed.elapsed() >= COMMIT_EVERY;
        if !is_due || positions.retry_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        for (partition, offset) in &positions.noted {
            if renews || positions.committed.get(partition) != Some(offset) {
                let _ = offsets.add_partition_offset(topic, *partition, Offset::Offset(*offset));
            }
        }
    }
    times.committed = Instant::now();
    if offsets.count() == 0 {
        return;
    }
    fail_point::pass("kafka.commit");
    let committed = consumer.commit(&offsets, CommitMode::Sync);
    fail_point::pass("kafka.committed");
    let mut positions = context.lock();
    match committed {
        Ok(()) => {
            positions.retry_at = None;
            positions.failure = None;
            for element in offsets.elements() {
                if let Offset::Offset(offset) = element.offset() {
                    positions.committed.insert(element.partition(), offset);
                }
            }
        }
        Err(error) => {
            // Tried again: until a deadline passes, a position that is committed late costs nothing.
            positions.failure = Some(words(&error));
            positions.retry_at = Some(Instant::now() + COMMIT_EVERY);
        }
    }
    drop(positions);
    context.changed.notify_waiters();
}

/// Commits the position of one partition through the channel's consumer.
pub(crate) struct PartitionCommitter {
    pub(crate) consumer: Arc<ChannelConsumer>,
    pub(crate) partition: i32,
}

#[async_trait]
impl Committer for PartitionCommitter {
    fn commit(&self, offset: u64) {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        self.consumer
            .consumer()
            .context()
            .lock()
            .noted
            .insert(self.partition, offset);
    }

    async fn flush(&self) -> Result<(), ChannelError> {
        let context = Arc::clone(self.consumer.consumer().context());
        let patience = self.consumer.spec().timing.patience;
        context.lock().flushing += 1;
        self.consumer.commit_soon();
        let done = async {
            loop {
                let changed = context.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let is_done = {
                    let positions = context.lock();
                    positions.noted.get(&self.partition) == positions.committed.get(&self.partition)
                        || !positions.noted.contains_key(&self.partition)
                };
                if is_done {
                    return;
                }
                changed.await;
            }
        };
        let flushed = tokio::time::timeout(patience, done).await;
        let mut positions = context.lock();
        positions.flushing -= 1;
        flushed.map_err(|_| ChannelError::Deadline {
            port: self.consumer.spec().name().to_owned(),
            waited_for: format!(
                "the broker to take the position of partition {}: {}",
                self.partition,
                positions.failure.as_deref().unwrap_or("no answer")
            ),
            seconds: patience.as_secs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_renewed_every_hour_unless_the_process_stood_still() {
        let mut times = Times::now();
        let start = times.renewed;
        let mut renewals = Vec::new();
        for second in (5..=2 * 3_600).step_by(5) {
            // It stands still for a minute, half an hour after the first renewal.
            if (5_400..5_460).contains(&second) {
                continue;
            }
            if times.renews(start + Duration::from_secs(second)) {
                renewals.push(second);
            }
        }
        assert_eq!(
            renewals,
            [3_600],
            "the second would be due at 7,200 but the pause begins the hour anew"
        );
    }
}
