//! The one consumer of a channel in a process: a queue a replica, commits for all of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Committer};
use pypz_core::fail_point;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;
use tokio::sync::{Notify, OnceCell};

use crate::clients::{Clients, REQUEST, Trouble, blocking, insistently};
use crate::error::words;
use crate::tail::last_records;
use crate::topics::{committed, ends, group};

/// How long positions gather before they are committed.
const COMMIT_EVERY: Duration = Duration::from_millis(200);

/// How often the consumer's own queue is polled.
const IDLE: Duration = Duration::from_millis(100);

/// How long a stop waits for a commit that is under way.
const STOP: Duration = Duration::from_secs(1);

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

/// The queue of one partition and what wakes its reader.
pub(crate) struct Queue {
    pub(crate) queue: PartitionQueue<ReaderContext>,
    pub(crate) filled: Arc<Notify>,
    /// The offset it starts at.
    pub(crate) start: u64,
}

/// The consumer of one channel, shared by the readers of the process.
pub(crate) struct ChannelConsumer {
    spec: Arc<ChannelSpec>,
    consumer: Arc<BaseConsumer<ReaderContext>>,
    queues: Mutex<BTreeMap<i32, Queue>>,
    /// The local partitions, and where each was begun to be read.
    starts: BTreeMap<i32, i64>,
    ends: OnceCell<BTreeMap<i32, i64>>,
    lasts: OnceCell<BTreeMap<i32, i64>>,
    stop: Arc<AtomicBool>,
    wake: std::thread::Thread,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl ChannelConsumer {
    /// Splits the queues of all local partitions, then assigns them at their committed positions. Blocks.
    pub(crate) fn open(clients: &Clients, spec: &Arc<ChannelSpec>) -> Result<Self, ChannelError> {
        let failed = |doing: &str, error: KafkaError| clients.failed(spec.name(), doing, &error);
        let (topic, patience) = (spec.name(), spec.timing.patience);
        let mut partitions: Vec<i32> = spec
            .local_readers
            .iter()
            .filter_map(|reader| i32::try_from(spec.partition_of(*reader)).ok())
            .collect();
        partitions.dedup();
        let consumer = Self::create(clients, spec, partitions.len());
        let consumer = consumer.map_err(|error| failed("creating the consumer", error))?;
        let consumer = Arc::new(consumer);
        insistently(patience, || consumer.fetch_metadata(Some(topic), REQUEST))
            .map_err(|error| failed("fetching metadata", error))?;
        let starts = insistently(patience, || committed(&consumer, topic, &partitions))
            .map_err(|error| failed("fetching committed positions", error))?;
        let mut assignment = TopicPartitionList::with_capacity(partitions.len());
        let mut queues = BTreeMap::new();
        for (partition, start) in partitions.iter().zip(starts) {
            let start = start.unwrap_or(0);
            let filled = Arc::new(Notify::new());
            let added = assignment.add_partition_offset(topic, *partition, Offset::Offset(start));
            added.map_err(|error| failed("assigning", error))?;
            // Split before assign: records that arrive in between would come out on the consumer's own queue.
            let Some(mut queue) = consumer.split_partition_queue(topic, *partition) else {
                return Err(failed("splitting the partition's queue", KafkaError::Canceled));
            };
            let waker = Arc::clone(&filled);
            queue.set_nonempty_callback(move || waker.notify_one());
            queues.insert(
                *partition,
                Queue {
                    queue,
                    filled,
                    start: u64::try_from(start).unwrap_or(0),
                },
            );
        }
        consumer
            .assign(&assignment)
            .map_err(|error| failed("assigning", error))?;
        Self::start(spec, consumer, queues)
    }

    /// A consumer with the channel's group and no partitions.
    pub(crate) fn create(
        clients: &Clients,
        spec: &ChannelSpec,
        partitions: usize,
    ) -> Result<BaseConsumer<ReaderContext>, KafkaError> {
        let trouble = Arc::clone(&clients.trouble);
        let context = ReaderContext {
            positions: Mutex::default(),
            changed: Notify::new(),
            trouble,
        };
        let config = crate::config::consumer(spec, &clients.user, &group(spec), partitions);
        config.create_with_context(context)
    }

    pub(crate) fn consumer(&self) -> &BaseConsumer<ReaderContext> {
        &self.consumer
    }

    fn start(
        spec: &Arc<ChannelSpec>,
        consumer: Arc<BaseConsumer<ReaderContext>>,
        queues: BTreeMap<i32, Queue>,
    ) -> Result<Self, ChannelError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (polled, stopped, topic) = (Arc::clone(&consumer), Arc::clone(&stop), spec.name().to_owned());
        let thread = std::thread::Builder::new()
            .name("pypz-kafka-read".into())
            .spawn(move || serve(&polled, &stopped, &topic))
            .map_err(|error| ChannelError::Transport {
                channel: spec.name().to_owned(),
                reason: format!("no thread for the consumer: {error}"),
            })?;
        Ok(Self {
            spec: Arc::clone(spec),
            consumer,
            starts: queues
                .iter()
                .map(|(partition, queue)| (*partition, i64::try_from(queue.start).unwrap_or(0)))
                .collect(),
            queues: Mutex::new(queues),
            ends: OnceCell::new(),
            lasts: OnceCell::new(),
            stop,
            wake: thread.thread().clone(),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The queue of a partition, for its one reader.
    pub(crate) fn take_queue(&self, partition: i32) -> Option<Queue> {
        self.queues
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&partition)
    }

    /// The end of a partition, when nothing is written any more. All local ones are asked for at once, and once.
    pub(crate) async fn end(
        self: &Arc<Self>,
        clients: Arc<Clients>,
        partition: i32,
    ) -> Result<u64, ChannelError> {
        let (asked, ask_for) = (Arc::clone(&clients), Arc::clone(self));
        let ask = || {
            Self::asked(&clients, self.spec.name(), move || {
                let partitions: Vec<i32> = ask_for.starts.keys().copied().collect();
                let found = ends(&asked, ask_for.spec.name(), &partitions)?;
                Ok(partitions.into_iter().zip(found).collect())
            })
        };
        let ends = self.ends.get_or_try_init(ask).await?;
        Ok(of_partition(ends, partition))
    }

    /// The offset behind the last record of a partition, when nothing is written any more: markers of transactions do not
    /// count. Asked once, as [`ChannelConsumer::end`].
    pub(crate) async fn last(
        self: &Arc<Self>,
        clients: Arc<Clients>,
        partition: i32,
    ) -> Result<u64, ChannelError> {
        self.end(Arc::clone(&clients), partition).await?;
        let (asked, held) = (Arc::clone(&clients), Arc::clone(self));
        let ask = || {
            Self::asked(&clients, self.spec.name(), move || {
                let ends = held.ends.get().into_iter().flatten();
                let start = |partition: &i32| held.starts.get(partition).copied().unwrap_or(0);
                let spans = ends.map(|(partition, end)| (*partition, (start(partition), *end)));
                last_records(&asked, &held.spec, &spans.collect())
            })
        };
        let ends = self.lasts.get_or_try_init(ask).await?;
        Ok(of_partition(ends, partition))
    }

    async fn asked(
        clients: &Clients,
        channel: &str,
        ask: impl FnOnce() -> Result<BTreeMap<i32, i64>, KafkaError> + Send + 'static,
    ) -> Result<BTreeMap<i32, i64>, ChannelError> {
        let found = blocking(ask).await;
        found.map_err(|error| clients.failed(channel, "asking for the end", &error))
    }

    /// Stops the thread; the consumer closes with the last who holds it. Blocks.
    pub(crate) fn stop(self: Arc<Self>) {
        self.stop.store(true, Ordering::Release);
        self.wake.unpark();
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let start = Instant::now();
        while !thread.is_finished() && start.elapsed() < STOP {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

fn of_partition(ends: &BTreeMap<i32, i64>, partition: i32) -> u64 {
    let end = ends.get(&partition).and_then(|end| u64::try_from(*end).ok());
    end.unwrap_or(0)
}

/// Serves the consumer's own queue and commits what the readers note.
fn serve(consumer: &BaseConsumer<ReaderContext>, stop: &AtomicBool, topic: &str) {
    let mut committed_at = Instant::now();
    while !stop.load(Ordering::Acquire) {
        match consumer.poll(Duration::ZERO) {
            None => {}
            Some(Err(error)) => tracing::debug!(topic, "{}", words(&error)),
            Some(Ok(_)) => tracing::error!(topic, "a record came out on the consumer's own queue"),
        }
        commit_noted(consumer, topic, &mut committed_at);
        std::thread::park_timeout(IDLE);
    }
}

/// Commits what is noted, if it is time. It waits for the broker, which only this thread may: librdkafka tells nobody how
/// an asynchronous commit of an assigned consumer ended.
fn commit_noted(consumer: &BaseConsumer<ReaderContext>, topic: &str, committed_at: &mut Instant) {
    let context = consumer.context();
    let mut offsets = TopicPartitionList::new();
    {
        let positions = context.lock();
        let is_due = positions.flushing > 0 || committed_at.elapsed() >= COMMIT_EVERY;
        if !is_due || positions.retry_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        for (partition, offset) in &positions.noted {
            if positions.committed.get(partition) != Some(offset) {
                let _ = offsets.add_partition_offset(topic, *partition, Offset::Offset(*offset));
            }
        }
    }
    *committed_at = Instant::now();
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
            .consumer
            .context()
            .lock()
            .noted
            .insert(self.partition, offset);
    }

    async fn flush(&self) -> Result<(), ChannelError> {
        let context = Arc::clone(self.consumer.consumer.context());
        let patience = self.consumer.spec.timing.patience;
        context.lock().flushing += 1;
        self.consumer.wake.unpark();
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
            port: self.consumer.spec.name().to_owned(),
            waited_for: format!(
                "the broker to take the position of partition {}: {}",
                self.partition,
                positions.failure.as_deref().unwrap_or("no answer")
            ),
            seconds: patience.as_secs(),
        })
    }
}
