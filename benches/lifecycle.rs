//! Starts, ends, idle processes and many replicas: `cargo bench -p pypz-benches --bench lifecycle [-- start|idle|replicas|slow|partitions|rate]`.

#![allow(missing_docs, reason = "a program")]

use std::time::Duration;

use pypz_benches::arrivals;
use pypz_benches::bare::kafka::{self, Topic};
use pypz_benches::figures::{Pairs, Repeated, is_quick, is_wanted, pairs};
use pypz_benches::pipelines::{Place, Straight, chain, idle};

const PLACES: [Place; 3] = [Place::Memory, Place::Kafka, Place::RabbitMq];

/// Waits until the clients of the run before have closed, which nobody waits for, and the broker has deleted its topics.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Four operators: the start to the first record at the last one, and the last record to the end.
async fn starts() {
    for place in PLACES {
        let name = place.name();
        let mut first = Repeated::milliseconds(format!("start/{name}: to the first record, 4 operators"));
        let mut last = Repeated::milliseconds(format!("end/{name}: from the last record, 4 operators"));
        for _ in 0..pairs() {
            settle().await;
            let (to_first, to_end) = chain(place, 3, 1).await;
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
            let (all, status) = idle(place, replicas, seconds).await;
            share.was(all);
            share.report();
            if replicas > 1 {
                let name = format!("idle/{}: for heartbeats and status of {replicas}", place.name());
                let mut share = Repeated::new(name, "% of a core");
                share.was(status);
                share.report();
            }
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
                settle().await;
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
        more(
            &sizes,
            &format!("replicas/{}", place.name()),
            "1,000 more than of 1",
        );
    }
}

/// Ten operators with a replica each, and with a hundred.
async fn operators() {
    for place in PLACES {
        let mut sizes = Vec::new();
        for replicas in [1, 100] {
            settle().await;
            chain(place, 10, replicas).await;
            sizes.push(Straight::size());
        }
        more(
            &sizes,
            &format!("replicas/{}", place.name()),
            "10 operators of 100 more than of 1",
        );
    }
}

/// What the second process has beyond the first: threads and memory.
fn more(sizes: &[(u64, u64)], name: &str, what: &str) {
    if let [(threads, bytes), (threads_of_many, bytes_of_many)] = sizes[..] {
        let mut more = Repeated::new(format!("{name}: threads of {what}"), "threads");
        more.was(threads_of_many as f64 - threads as f64);
        more.report();
        let mut more = Repeated::new(format!("{name}: memory of {what}"), "MiB");
        more.was((bytes_of_many as f64 - bytes as f64) / 1_048_576.0);
        more.report();
    }
}

/// A thousand replicas of which one takes seconds for a batch: what the others get, with it and without it.
async fn slow() {
    for place in [Place::Memory, Place::Kafka] {
        let records = if is_quick() { 200_000 } else { 1_000_000 };
        let name = format!("slow/{}: 999 replicas beside one that is slow", place.name());
        let even = Straight {
            replicas: 1_000,
            warm: true,
            ..Straight::new(place, records)
        };
        let uneven = Straight {
            stalls: 3,
            ..even.clone()
        };
        let mut compared = Pairs::new(name, records);
        let ours = async || uneven.run().await;
        compared
            .measure(pairs().min(5), async || even.run().await, ours)
            .await;
        compared.report();
    }
}

const PARTITIONS: [u32; 4] = [1, 10, 100, 1_000];

/// Throughput over the number of partitions of warm topics, beside the bare client's own curve and beside one partition.
async fn partitions() {
    let records = if is_quick() { 100_000 } else { 1_000_000 };
    let mut curve =
        PARTITIONS.map(|partitions| Pairs::new(format!("partitions/Kafka: {partitions}"), records));
    // Size by size within each round: what the machine does meanwhile meets all of them.
    for _ in 0..pairs() {
        for (compared, partitions) in curve.iter_mut().zip(PARTITIONS) {
            let run = Straight {
                replicas: partitions,
                warm: true,
                ..Straight::new(Place::Kafka, records)
            };
            let bare = async || kafka::run(records, run.bytes, partitions as usize, Topic::Warm).await;
            compared.measure(1, bare, async || run.run().await).await;
        }
    }
    for compared in &curve {
        compared.report();
    }
    let [one, _, hundred, thousand] = &curve;
    for (many, partitions) in [(hundred, 100), (thousand, 1_000)] {
        many.report_by(one, format!("curve/Kafka: {partitions} partitions by one"));
    }
}

/// A fixed rate over the number of partitions.
async fn rates() {
    const RATE: usize = 200_000;
    let seconds = if is_quick() { 1 } else { 5 };
    for partitions in PARTITIONS {
        let run = Straight {
            replicas: partitions,
            warm: true,
            rate: RATE,
            ..Straight::new(Place::Kafka, RATE * seconds)
        };
        let mut rate = Repeated::rates(format!("rate/Kafka: {partitions} partitions"));
        for _ in 0..3 {
            rate.was(run.records as f64 / run.run().await.as_secs_f64());
        }
        rate.report();
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
            operators().await;
        }
        if is_wanted("slow") {
            slow().await;
        }
        if is_wanted("partitions") {
            partitions().await;
        }
        if is_wanted("rate") {
            rates().await;
        }
    });
}
