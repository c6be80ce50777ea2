//! Partition fan-out: one source, as many sinks as partitions.
//!
//! `cargo bench -p pypz-benches --bench fanout [-- memory|Kafka]`, at the broker that `PYPZ_TEST_KAFKA` names or
//! `cargo xtask brokers up` started. A measurement is the time from the first record that a sink got to the last, so it has neither
//! start nor end in it.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pypz::Partitioning;
use pypz_benches::pipelines::{Place, Straight};

fn fanout(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for (place, many) in [(Place::Memory, 2_000_000), (Place::Kafka, 200_000)] {
        for (name, how) in [
            ("round-robin", Partitioning::RoundRobin),
            ("key", Partitioning::ByKey),
            ("broadcast", Partitioning::Broadcast),
        ] {
            let mut group = criterion.benchmark_group(format!("fanout/{}/{name}", place.name()));
            group.sample_size(10);
            for replicas in [1_u32, 10, 100, 1_000] {
                let records = match how {
                    // A thousand sinks get a thousand records each, in broadcast two thousand.
                    Partitioning::Broadcast => many.min(2_000_000 / u64::from(replicas)),
                    _ => many.max(1_000 * u64::from(replicas)),
                };
                group.throughput(Throughput::Elements(records));
                group.bench_with_input(
                    BenchmarkId::from_parameter(replicas),
                    &replicas,
                    |bencher, replicas| {
                        bencher.iter_custom(|runs| {
                            let run = Straight {
                                replicas: *replicas,
                                how,
                                batch: if how == Partitioning::Broadcast {
                                    100
                                } else {
                                    1_000
                                },
                                ..Straight::new(place, records as usize)
                            };
                            (0..runs).map(|_| runtime.block_on(run.run())).sum()
                        });
                    },
                );
            }
        }
    }
}

criterion_group!(benches, fanout);
criterion_main!(benches);
