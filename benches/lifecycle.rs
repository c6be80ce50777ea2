//! Starts, ends, idle processes and many replicas: `cargo bench -p pypz-benches --bench lifecycle [-- start|idle|replicas|partitions]`.

#![allow(missing_docs, reason = "a program")]

use pypz_benches::arrivals;
use pypz_benches::bare::kafka;
use pypz_benches::figures::{Pairs, Repeated, is_quick, is_wanted, pairs};
use pypz_benches::pipelines::{Place, Straight, chain, idle};

const PLACES: [Place; 3] = [Place::Memory, Place::Kafka, Place::RabbitMq];

/// Four operators: the start to the first record at the last one, and the last record to the end.
async fn starts() {
    for place in PLACES {
        let name = place.name();
        let mut first = Repeated::milliseconds(format!("start/{name}: to the first record, 4 operators"));
        let mut last = Repeated::milliseconds(format!("end/{name}: from the last record, 4 operators"));
        for _ in 0..pairs() {
            let (to_first, to_end) = chain(place, 1).await;
            first.took(to_first);
            last.took(to_end);
        }
        first.report();
        last.report();
    }
}

async fn idles() {
    let seconds = if is_quick() { 2 } else { 10 };
    for place in PLACES {
        for replicas in [1, 1_000] {
            let name = format!("idle/{}: CPU of {replicas} waiting replicas", place.name());
            let mut share = Repeated::new(name, "% of a core");
            share.was(idle(place, replicas, seconds).await);
            share.report();
        }
    }
}

/// One replica and a thousand in one process: threads, memory, start and end.
async fn replicas() {
    for place in PLACES {
        let mut sizes = Vec::new();
        for replicas in [1, 1_000] {
            let run = Straight {
                replicas,
                ..Straight::new(place, 1_000_000)
            };
            let name = place.name();
            let mut first =
                Repeated::milliseconds(format!("start/{name}: to the first record, {replicas} replicas"));
            let mut last =
                Repeated::milliseconds(format!("end/{name}: from the last record, {replicas} replicas"));
            for _ in 0..3 {
                arrivals::take();
                let (start, end) = run.execute().await;
                if let Some((arrived, done)) = arrivals::take() {
                    first.took(arrived - start);
                    last.took(end - done);
                }
            }
            sizes.push(Straight::size());
            first.report();
            last.report();
        }
        if let [(threads, bytes), (threads_of_many, bytes_of_many)] = sizes[..] {
            let name = place.name();
            let mut more = Repeated::new(
                format!("replicas/{name}: threads of 1,000 more than of 1"),
                "threads",
            );
            more.was(threads_of_many as f64 - threads as f64);
            more.report();
            let mut more = Repeated::new(format!("replicas/{name}: memory of 1,000 more than of 1"), "MiB");
            more.was((bytes_of_many as f64 - bytes as f64) / 1_048_576.0);
            more.report();
        }
    }
}

/// Throughput over the number of partitions, beside the bare client's own curve.
async fn partitions() {
    let records = if is_quick() { 100_000 } else { 1_000_000 };
    for partitions in [1, 10, 100, 1_000] {
        let mut compared = Pairs::new(format!("partitions/Kafka: {partitions}"), records);
        let run = Straight {
            replicas: partitions,
            ..Straight::new(Place::Kafka, records)
        };
        for _ in 0..pairs().min(5) {
            compared.bare(kafka::run(records, run.bytes, partitions as usize).await);
            compared.ours(run.run().await);
        }
        compared.report();
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        if is_wanted("start") {
            starts().await;
        }
        if is_wanted("idle") {
            idles().await;
        }
        if is_wanted("replicas") {
            replicas().await;
        }
        if is_wanted("partitions") {
            partitions().await;
        }
    });
}
