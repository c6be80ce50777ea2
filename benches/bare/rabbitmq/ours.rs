//! Pipelines of a source and a sink.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pypz::{Context, InputPort, Operator, OutputPort, Pipeline, Progress, Raw, Result};
use pypz_derive::OperatorSpec;
use pypz_rabbitmq_io as _;
use pypz_testkit::{brokers, names};
use tokio::sync::Notify;

use crate::{IDLE, PREFETCH, RECORD_BYTES};

/// First and last arrival of the run under measurement.
static ARRIVALS: Mutex<Option<(Instant, Instant)>> = Mutex::new(None);

/// When each lone record was sent and how long it took; the last is on its way.
static LONE: Mutex<Vec<(Instant, Duration)>> = Mutex::new(Vec::new());
static ARRIVED: Notify = Notify::const_new();

#[derive(OperatorSpec, Default)]
struct Source {
    output: OutputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    records: usize,
    #[parameter(required)]
    batch: usize,
}

impl Operator for Source {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        for _ in 0..self.records / self.batch {
            self.output
                .send_all(vec![vec![7; RECORD_BYTES]; self.batch])
                .await?;
        }
        Ok(Progress::Done)
    }
}

#[derive(OperatorSpec, Default)]
struct Sink {
    input: InputPort<Vec<u8>, Raw>,
}

impl Operator for Sink {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        if !self.input.retrieve().await?.is_empty() {
            let now = Instant::now();
            ARRIVALS.lock().unwrap().get_or_insert((now, now)).1 = now;
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// Sends a record when the one before it has arrived.
#[derive(OperatorSpec, Default)]
struct LoneSource {
    output: OutputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    records: usize,
}

impl Operator for LoneSource {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        for _ in 0..self.records {
            tokio::time::sleep(IDLE).await;
            LONE.lock().unwrap().push((Instant::now(), Duration::ZERO));
            self.output.send(vec![7; RECORD_BYTES]).await?;
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

fn configure(pipeline: &mut Pipeline, records_per_message: usize) {
    pipeline.set_parameter(">>channelLocation", brokers::rabbitmq());
    let config = BTreeMap::from([
        ("recordsPerMessage", records_per_message),
        ("prefetch", PREFETCH.into()),
    ]);
    pipeline.set_parameter(">>channelConfig", config);
}

/// The time between the first and the last arrival of one run.
pub(crate) async fn run(records: usize, batch: usize, records_per_message: usize) -> Duration {
    let mut pipeline = Pipeline::new(&names::unique("bench"));
    let source = pipeline
        .operator::<Source>("source")
        .records(records)
        .batch(batch);
    let sink = pipeline.operator::<Sink>("sink");
    pipeline.connect(source.output(), sink.input());
    configure(&mut pipeline, records_per_message);
    pipeline.execute().await.unwrap();
    let arrivals = ARRIVALS.lock().unwrap().take();
    arrivals.map_or(Duration::ZERO, |(first, last)| last - first)
}

/// How long each of some records took that travelled alone.
pub(crate) async fn lone_records(records: usize) -> Vec<Duration> {
    let mut pipeline = Pipeline::new(&names::unique("bench"));
    let source = pipeline.operator::<LoneSource>("source").records(records);
    let sink = pipeline.operator::<LoneSink>("sink");
    pipeline.connect(source.output(), sink.input());
    configure(&mut pipeline, 1_000);
    pipeline.execute().await.unwrap();
    let measured = std::mem::take(&mut *LONE.lock().unwrap());
    measured.into_iter().map(|(_, took)| took).collect()
}
