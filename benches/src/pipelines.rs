//! Pipelines that do what the bare clients do.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pypz::prelude::*;
use pypz_testkit::{brokers, names};
use tokio::sync::Notify;

use crate::{arrivals, process};

/// Where the channels of a measurement live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Memory,
    Kafka,
    RabbitMq,
}

impl Place {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Kafka => "Kafka",
            Self::RabbitMq => "RabbitMQ",
        }
    }

    fn location(self) -> String {
        match self {
            Self::Memory => "memory://".to_owned(),
            Self::Kafka => format!("kafka://{}", brokers::kafka()),
            Self::RabbitMq => brokers::rabbitmq(),
        }
    }

    pub(crate) fn pipeline(self) -> Pipeline {
        self.named(&names::unique("bench"))
    }

    pub(crate) fn named(self, name: &str) -> Pipeline {
        let mut pipeline = Pipeline::new(name);
        pipeline.set_parameter(">>channelLocation", self.location());
        pipeline
    }
}

/// Sends records of equal length in batches.
#[derive(OperatorSpec, Default)]
struct Source {
    output: OutputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    records: usize,
    #[parameter(required)]
    bytes: usize,
    #[parameter(required)]
    batch: usize,
    #[parameter]
    keyed: bool,
    /// How many records, one a partition, arrive before the clock begins.
    #[parameter]
    warm: usize,
    /// Records a second; 0 for as fast as it goes.
    #[parameter]
    rate: usize,
}

impl Operator for Source {
    async fn on_init(&mut self, _cx: &Context) -> Result<()> {
        arrivals::take();
        Ok(())
    }

    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        if self.warm > 0 {
            self.output.send_all(vec![vec![7]; self.warm]).await?;
            arrivals::wait_for(self.warm).await;
        }
        let pause = match self.rate {
            0 => Duration::ZERO,
            rate => Duration::from_secs(1) * u32::try_from(self.batch)? / u32::try_from(rate)?,
        };
        let mut turns = tokio::time::interval(pause.max(Duration::from_millis(1)));
        for number in 0..self.records / self.batch {
            if self.rate > 0 {
                turns.tick().await;
            }
            if self.keyed {
                let records = (0..self.batch).map(|at| {
                    Record::new(vec![7; self.bytes]).with_key((number * self.batch + at).to_le_bytes())
                });
                self.output.send_all(records.collect::<Vec<_>>()).await?;
            } else {
                self.output
                    .send_all(vec![vec![7; self.bytes]; self.batch])
                    .await?;
            }
        }
        cx.advance("done");
        Ok(Progress::Done)
    }
}

/// Notes when records arrive.
#[derive(OperatorSpec, Default)]
pub(crate) struct Sink {
    input: InputPort<Vec<u8>, Raw>,
    /// Seconds that one of the replicas takes for a batch; its arrivals do not count.
    #[parameter]
    stalls: u64,
    /// Whether it has had its first batch, which takes no longer than others.
    warm: bool,
}

impl Operator for Sink {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let records = self.input.retrieve().await?.len();
        let is_slow = std::mem::replace(&mut self.warm, true) && self.stalls > 0;
        if is_slow && cx.replica_index() == cx.replicas() / 2 {
            tokio::time::sleep(Duration::from_secs(self.stalls)).await;
        } else if records > 0 {
            arrivals::note(records);
            SIZE.lock().unwrap().get_or_insert_with(process::size);
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// Threads and resident bytes when the first record arrived.
static SIZE: Mutex<Option<(u64, u64)>> = Mutex::new(None);

/// One source and the replicas of a sink.
#[derive(Debug, Clone)]
pub struct Straight {
    pub place: Place,
    pub records: usize,
    pub bytes: usize,
    pub batch: usize,
    pub replicas: u32,
    pub how: Partitioning,
    /// Whether every partition has had a record before the clock begins.
    pub warm: bool,
    /// Records a second; 0 for as fast as it goes.
    pub rate: usize,
    /// Seconds that one replica takes for each batch.
    pub stalls: u64,
    pub config: BTreeMap<&'static str, usize>,
}

impl Straight {
    /// Records of 100 bytes in batches of 1,000, one replica, in turn.
    #[must_use]
    pub const fn new(place: Place, records: usize) -> Self {
        Self {
            place,
            records,
            bytes: 100,
            batch: 1_000,
            replicas: 1,
            how: Partitioning::RoundRobin,
            warm: false,
            rate: 0,
            stalls: 0,
            config: BTreeMap::new(),
        }
    }

    /// When it was started, and when it had ended; arrivals are in [`arrivals`].
    pub async fn execute(&self) -> (Instant, Instant) {
        let mut pipeline = self.place.pipeline();
        let source = pipeline
            .operator::<Source>("source")
            .records(self.records)
            .bytes(self.bytes)
            .batch(self.batch)
            .keyed(self.how == Partitioning::ByKey)
            .warm(if self.warm { self.replicas as usize } else { 0 })
            .rate(self.rate);
        let sink = pipeline
            .operator::<Sink>("sink")
            .replicas(self.replicas)
            .stalls(self.stalls);
        pipeline
            .connect(source.output(), sink.input())
            .partitioned(self.how);
        if !self.config.is_empty() {
            pipeline.set_parameter(">>channelConfig", self.config.clone());
        }
        *SIZE.lock().unwrap() = None;
        let start = Instant::now();
        pipeline.execute().await.unwrap();
        (start, Instant::now())
    }

    /// The time from the first arrival to the last.
    pub async fn run(&self) -> Duration {
        arrivals::take();
        self.execute().await;
        arrivals::span()
    }

    /// Threads and resident bytes when the first record of the last run arrived.
    #[must_use]
    pub fn size() -> (u64, u64) {
        SIZE.lock().unwrap().unwrap_or_default()
    }
}

/// When each lone record was sent and how long it took; the last is on its way.
static LONE: Mutex<Vec<(Instant, Duration)>> = Mutex::new(Vec::new());
static ARRIVED: Notify = Notify::const_new();

/// Sends a record when the one before it has arrived.
#[derive(OperatorSpec, Default)]
struct LoneSource {
    output: OutputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    records: usize,
    /// Milliseconds before each record.
    #[parameter(required)]
    idle: u64,
}

impl Operator for LoneSource {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        for _ in 0..self.records {
            tokio::time::sleep(Duration::from_millis(self.idle)).await;
            LONE.lock().unwrap().push((Instant::now(), Duration::ZERO));
            self.output.send(vec![7; 100]).await?;
            ARRIVED.notified().await;
        }
        Ok(Progress::Done)
    }
}

#[derive(OperatorSpec, Default)]
struct LoneSink {
    input: InputPort<Vec<u8>, Raw>,
}

impl Operator for LoneSink {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        if !self.input.retrieve().await?.is_empty() {
            if let Some((sent, took)) = LONE.lock().unwrap().last_mut() {
                *took = sent.elapsed();
            }
            ARRIVED.notify_one();
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// How long each of some records took that travelled alone.
pub async fn lone_records(place: Place, records: usize, idle: Duration) -> Vec<Duration> {
    let mut pipeline = place.pipeline();
    let source = pipeline
        .operator::<LoneSource>("source")
        .records(records)
        .idle(u64::try_from(idle.as_millis()).unwrap());
    let sink = pipeline.operator::<LoneSink>("sink");
    pipeline.connect(source.output(), sink.input());
    pipeline.execute().await.unwrap();
    let measured = std::mem::take(&mut *LONE.lock().unwrap());
    measured.into_iter().map(|(_, took)| took).collect()
}

/// Hands records on.
#[derive(OperatorSpec, Default)]
pub(crate) struct Step {
    input: InputPort<Vec<u8>, Raw>,
    output: OutputPort<Vec<u8>, Raw>,
}

impl Operator for Step {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let batch = self.input.retrieve().await?;
        self.output.send_all(batch).await?;
        Ok(Progress::UntilInputsEnd)
    }
}

/// A source, so many operators behind it in a row: from the start to the first record at the last one, and from the last record to
/// the end. Sizes are in [`Straight::size`].
pub async fn chain(place: Place, behind: usize, replicas: u32) -> (Duration, Duration) {
    let mut pipeline = place.pipeline();
    let source = pipeline
        .operator::<Source>("source")
        .records(10_000)
        .bytes(100)
        .batch(100);
    let mut from = source.output();
    for number in 1..behind {
        let step = pipeline
            .operator::<Step>(&format!("step_{number}"))
            .replicas(replicas);
        pipeline.connect(from, step.input());
        from = step.output();
    }
    let sink = pipeline.operator::<Sink>("sink").replicas(replicas);
    pipeline.connect(from, sink.input());
    *SIZE.lock().unwrap() = None;
    arrivals::take();
    let start = Instant::now();
    pipeline.execute().await.unwrap();
    let end = Instant::now();
    let (first, last) = arrivals::take().unwrap();
    (first - start, end - last)
}

/// Waits for a while with nothing to send.
#[derive(OperatorSpec, Default)]
struct Quiet {
    output: OutputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    seconds: u64,
}

static QUIET: Mutex<Option<(f64, f64)>> = Mutex::new(None);

/// Those that carry heartbeats and status, but for the client's own.
const OF_STATUS: [&str; 2] = ["pypz-control", "pypz-kafka-stat"];

impl Operator for Quiet {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        self.output.send(Vec::new()).await?;
        // Everything about the start is over then.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (all, status, start) = (process::cpu(), process::cpu_of(&OF_STATUS), Instant::now());
        tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        let share = |used: Duration| used.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0;
        let used = (process::cpu() - all, process::cpu_of(&OF_STATUS) - status);
        *QUIET.lock().unwrap() = Some((share(used.0), share(used.1)));
        Ok(Progress::Done)
    }
}

/// The share of a core, in percent, that a pipeline takes whose source is quiet for so long, and how much of it for heartbeats and
/// status.
pub async fn idle(place: Place, replicas: u32, seconds: u64) -> (f64, f64) {
    let mut pipeline = place.pipeline();
    let source = pipeline.operator::<Quiet>("source").seconds(seconds);
    let sink = pipeline.operator::<Sink>("sink").replicas(replicas);
    pipeline.connect(source.output(), sink.input());
    pipeline.execute().await.unwrap();
    arrivals::take();
    QUIET.lock().unwrap().take().unwrap()
}
