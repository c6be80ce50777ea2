//! Partition fan-out: one source, as many sinks as partitions.
//!
//! `cargo bench --bench fanout` measures memory; with `--features kafka` also Apache Kafka, at the broker that
//! `PYPZ_TEST_KAFKA` names or `cargo xtask brokers up` started. A measurement is the time from the first record that a
//! sink got to the last, so it has neither start nor end in it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pypz::prelude::*;

const RECORD_BYTES: usize = 100;
const BATCH: u64 = 1_000;

/// First and last arrival of the run under measurement.
static ARRIVALS: Mutex<Option<(Instant, Instant)>> = Mutex::new(None);

#[derive(OperatorSpec, Default)]
struct Source {
    output: OutputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    records: u64,
}

impl Operator for Source {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let mut left = self.records;
        while left > 0 {
            let batch = left.min(BATCH);
            let records = (0..batch).map(|n| Record::new(vec![7; RECORD_BYTES]).with_key(n.to_le_bytes()));
            self.output.send_all(records.collect::<Vec<_>>()).await?;
            left -= batch;
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
            let mut arrivals = ARRIVALS.lock().expect("no bench panics while it holds this");
            arrivals.get_or_insert((now, now)).1 = now;
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// Runs a pipeline and returns the time from the first arrival to the last.
fn run(
    runtime: &tokio::runtime::Runtime,
    location: &str,
    replicas: u32,
    how: Partitioning,
    records: u64,
) -> Duration {
    *ARRIVALS.lock().expect("no bench panics while it holds this") = None;
    let mut pipeline = Pipeline::new(&format!("bench-{}", std::process::id()));
    let source = pipeline.operator::<Source>("source").records(records);
    let sink = pipeline.operator::<Sink>("sink").replicas(replicas);
    pipeline.connect(source.output(), sink.input()).partitioned(how);
    pipeline.set_parameter(">>channelLocation", location);
    runtime.block_on(pipeline.execute()).expect("the pipeline runs");
    let arrivals = ARRIVALS.lock().expect("no bench panics while it holds this");
    arrivals.map_or(Duration::ZERO, |(first, last)| last - first)
}

fn locations() -> Vec<(&'static str, String)> {
    let mut locations = vec![("memory", "memory://".to_owned())];
    if cfg!(feature = "kafka") {
        locations.push(("kafka", format!("kafka://{}", pypz_testkit::brokers::kafka())));
    }
    locations
}

fn fanout(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for (transport, location) in locations() {
        for (name, how) in [
            ("round-robin", Partitioning::RoundRobin),
            ("key", Partitioning::ByKey),
            ("broadcast", Partitioning::Broadcast),
        ] {
            let mut group = criterion.benchmark_group(format!("fanout/{transport}/{name}"));
            group.sample_size(10);
            for replicas in [1, 10, 100] {
                let records = match how {
                    Partitioning::Broadcast => 2_000_000 / u64::from(replicas) / 10,
                    _ => 200_000,
                };
                group.throughput(Throughput::Elements(records));
                group.bench_with_input(
                    BenchmarkId::from_parameter(replicas),
                    &replicas,
                    |bencher, replicas| {
                        bencher.iter_custom(|runs| {
                            (0..runs)
                                .map(|_| run(&runtime, &location, *replicas, how, records))
                                .sum()
                        });
                    },
                );
            }
        }
    }
}

criterion_group!(benches, fanout);
criterion_main!(benches);
