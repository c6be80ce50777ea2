//! The one consumer of a channel in a process: a queue a replica, commits for all of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pypz_core::ChannelError;
use pypz_core::channel::{ChannelSpec, Guarantee};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;
use tokio::sync::Notify;

use crate::clients::{Clients, REQUEST, blocking, insistently};
use crate::committer::{ReaderContext, Times, commit_noted};
use crate::error::words;
use crate::lost::start_of;
use crate::question::{Asked, Question};
use crate::tail::last_records;
use crate::topics::{committed, ends, group};

/// How often the consumer's own queue is polled.
const IDLE: Duration = Duration::from_millis(100);

/// How long a stop waits for a commit that is under way.
const STOP: Duration = Duration::from_secs(1);

/// The queue of one partition and what wakes its reader.
pub(crate) struct Queue {
    pub(crate) queue: PartitionQueue<ReaderContext>,
    pub(crate) filled: Arc<Notify>,
    /// The offset it starts at.
    pub(crate) start: u64,
    /// No record before this offset comes any more.
    pub(crate) floor: Arc<AtomicU64>,
}

/// An offset of each local partition.
pub(crate) type Offsets = BTreeMap<i32, i64>;

/// The consumer of one channel, shared by the readers of the process.
pub(crate) struct ChannelConsumer {
    spec: Arc<ChannelSpec>,
    consumer: Arc<BaseConsumer<ReaderContext>>,
    queues: Mutex<BTreeMap<i32, Queue>>,
    /// The local partitions, and where each was begun to be read.
    starts: BTreeMap<i32, i64>,
    ends: Question<Offsets>,
    lasts: Question<Offsets>,
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
        if spec.guarantee == Guarantee::AtLeastOnce {
            // Positions that do not move in this run are renewed, too. Those of transactions are none of ours.
            let known = partitions.iter().zip(&starts);
            let known: BTreeMap<i32, i64> = known.filter_map(|(p, start)| Some((*p, (*start)?))).collect();
            consumer.context().hold(known);
        }
        let mut assignment = TopicPartitionList::with_capacity(partitions.len());
        let mut queues = BTreeMap::new();
        for (partition, start) in partitions.iter().zip(starts) {
            let start = insistently(patience, || {
                start_of(clients, spec, *partition, start.unwrap_or(0))
            })
            .map_err(|error| failed("looking for its first record", error))?;
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
                    floor: Arc::default(),
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
        let context = ReaderContext::new(Arc::clone(&clients.trouble));
        let config = crate::config::consumer(spec, &clients.user, &group(spec), partitions);
        config.create_with_context(context)
    }

    pub(crate) fn consumer(&self) -> &BaseConsumer<ReaderContext> {
        &self.consumer
    }

    pub(crate) fn spec(&self) -> &ChannelSpec {
        &self.spec
    }

    /// Has noted positions committed without waiting for more of them.
    pub(crate) fn commit_soon(&self) {
        self.wake.unpark();
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
            ends: Question::default(),
            lasts: Question::default(),
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

    /// The end of a partition, when nothing is written any more. All local ones are asked for at once, and once but where members
    /// are plain.
    pub(crate) async fn end(
        self: &Arc<Self>,
        clients: &Arc<Clients>,
        partition: i32,
    ) -> Result<u64, ChannelError> {
        let ends = self.ends(clients).await?;
        Ok(of_partition(&ends, partition))
    }

    async fn ends(self: &Arc<Self>, clients: &Arc<Clients>) -> Result<Arc<Offsets>, ChannelError> {
        let (asked, held) = (Arc::clone(clients), Arc::clone(self));
        let ask = move || {
            let partitions: Vec<i32> = held.starts.keys().copied().collect();
            let found = ends(&asked, held.spec.name(), &partitions)?;
            Ok(partitions.into_iter().zip(found).collect())
        };
        self.ask(&self.ends, clients, ask)
            .answer()
            .await
            .map_err(|error| self.failed(clients, &error))
    }

    /// Has the last records of all local partitions looked for, when nothing is written any more: markers of transactions do not
    /// count. Once, as [`ChannelConsumer::end`].
    pub(crate) async fn look_for_last(
        self: &Arc<Self>,
        clients: &Arc<Clients>,
    ) -> Result<Asked<Offsets>, ChannelError> {
        let ends = self.ends(clients).await?;
        let (asked, held) = (Arc::clone(clients), Arc::clone(self));
        let ask = move || {
            let start = |partition: &i32| held.starts.get(partition).copied().unwrap_or(0);
            let spans = ends
                .iter()
                .map(|(partition, end)| (*partition, (start(partition), *end)));
            last_records(&asked, &held.spec, &spans.collect())
        };
        Ok(self.ask(&self.lasts, clients, ask))
    }

    /// The offset behind the last record of a partition.
    pub(crate) async fn last(
        self: &Arc<Self>,
        clients: &Arc<Clients>,
        partition: i32,
    ) -> Result<u64, ChannelError> {
        let found = self.look_for_last(clients).await?.answer().await;
        let lasts = found.map_err(|error| self.failed(clients, &error))?;
        Ok(of_partition(&lasts, partition))
    }

    fn ask(
        &self,
        question: &Question<Offsets>,
        clients: &Arc<Clients>,
        ask: impl FnOnce() -> Result<Offsets, KafkaError> + Send + 'static,
    ) -> Asked<Offsets> {
        let clients = Arc::clone(clients);
        let ask = async move {
            let _turn = clients.turn().await;
            blocking(ask).await
        };
        match self.spec.is_plain() {
            false => question.ask(ask),
            // A writer of pypz-python that is started again sends all once more, behind every end.
            true => question.ask_again(ask),
        }
    }

    fn failed(&self, clients: &Clients, error: &KafkaError) -> ChannelError {
        clients.failed(self.spec.name(), "asking for the end", error)
    }

    /// Stops the thread; the consumer closes with the last who holds it. Blocks.
    pub(crate) fn stop(&self) {
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

/// The offset of a partition, 0 if there is none.
pub(crate) fn of_partition(ends: &Offsets, partition: i32) -> u64 {
    let end = ends.get(&partition).and_then(|end| u64::try_from(*end).ok());
    end.unwrap_or(0)
}

/// Serves the consumer's own queue and commits what the readers note.
fn serve(consumer: &BaseConsumer<ReaderContext>, stop: &AtomicBool, topic: &str) {
    let mut times = Times::now();
    while !stop.load(Ordering::Acquire) {
        match consumer.poll(Duration::ZERO) {
            None => {}
            Some(Err(error)) => tracing::debug!(topic, "{}", words(&error)),
            Some(Ok(_)) => tracing::error!(topic, "a record came out on the consumer's own queue"),
        }
        commit_noted(consumer, topic, &mut times);
        std::thread::park_timeout(IDLE);
    }
}
