//! One port to another, beside the bare client: `cargo bench -p pypz-benches --bench transport [-- memory|Kafka|RabbitMQ|lone]`, or a part of a
//! figure's name: `-- '100 B, 4'`.
//!
//! Throughput is measured from the first record that arrived to the last. A lone record is sent when the one before it has
//! arrived and everything about it is over; its latency is the time from `send` to the return of `retrieve`.

#![allow(missing_docs, reason = "a program")]

use std::collections::BTreeMap;
use std::time::Duration;

use pypz_benches::bare::kafka::Topic;
use pypz_benches::bare::rabbitmq::Publishing;
use pypz_benches::bare::{channel, kafka, rabbitmq};
use pypz_benches::figures::{Pairs, is_quick, is_wanted, latencies, pairs};
use pypz_benches::pipelines::{Place, Straight, lone_records};

fn records(full: usize) -> usize {
    if is_quick() { full / 10 } else { full }
}

async fn memory() {
    let name = "transport/memory: 100 B in batches of 100";
    let mut compared = Pairs::new(name, records(10_000_000));
    let ours = Straight {
        batch: 100,
        ..Straight::new(Place::Memory, records(10_000_000))
    };
    let bare = async || channel::run(ours.records, ours.bytes, ours.batch).await;
    compared.measure(pairs(), bare, async || ours.run().await).await;
    compared.report();
}

async fn on_kafka(bytes: usize, partitions: u32, count: usize) {
    let plural = if partitions == 1 { "" } else { "s" };
    let name = format!("transport/Kafka: {bytes} B, {partitions} partition{plural}");
    if !is_wanted(&name) {
        return;
    }
    let mut compared = Pairs::new(name, count);
    let ours = Straight {
        bytes,
        replicas: partitions,
        ..Straight::new(Place::Kafka, count)
    };
    let bare = async || kafka::run(count, bytes, partitions as usize, Topic::New).await;
    compared.measure(pairs(), bare, async || ours.run().await).await;
    compared.report();
}

/// Ours sends one record a message beside lapin used in two ways, and packs what is at hand beside the faster of them.
async fn on_rabbitmq() {
    let (few, many) = (records(20_000), records(500_000));
    let alone = Straight {
        batch: 100,
        config: BTreeMap::from([("recordsPerMessage", 1), ("prefetch", rabbitmq::PREFETCH.into())]),
        ..Straight::new(Place::RabbitMq, few)
    };
    let packed = Straight {
        batch: 100,
        config: BTreeMap::from([("prefetch", rabbitmq::PREFETCH.into())]),
        ..Straight::new(Place::RabbitMq, many)
    };
    let mut awaited = Pairs::new(
        "transport/RabbitMQ: one record a message, lapin as documented",
        few,
    );
    let mut at_once = Pairs::new(
        "transport/RabbitMQ: one record a message, lapin at its fastest",
        few,
    );
    let mut together = Pairs::new("transport/RabbitMQ: batches of 100, packed", many);
    for _ in 0..pairs() {
        awaited.bare(rabbitmq::run(few, Publishing::Awaited).await);
        let ours = alone.run().await;
        awaited.ours(ours);
        at_once.ours(ours);
        let bare = rabbitmq::run(few, Publishing::AtOnce).await;
        at_once.bare(bare);
        // So many records a second, of so many more.
        together.bare(bare * u32::try_from(many / few).unwrap_or(1));
        together.ours(packed.run().await);
    }
    for compared in [awaited, at_once, together] {
        compared.report();
    }
}

async fn alone() {
    const IDLE: Duration = Duration::from_millis(15);
    let count = records(1_000);
    for place in [Place::Kafka, Place::RabbitMq] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            bare.extend(match place {
                Place::Kafka => kafka::lone_records(count, IDLE).await,
                _ => rabbitmq::lone_records(count, IDLE).await,
            });
            ours.extend(lone_records(place, count, IDLE).await);
        }
        latencies(
            &format!("latency/{}: a lone record", place.name()),
            &mut ours,
            &mut bare,
        );
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        if is_wanted("memory") {
            memory().await;
        }
        for (bytes, partitions, count) in [
            (100, 1, records(1_000_000)),
            (100, 4, records(1_000_000)),
            (1_000, 1, records(300_000)),
            (1_000, 4, records(300_000)),
        ] {
            on_kafka(bytes, partitions, count).await;
        }
        if is_wanted("RabbitMQ") {
            on_rabbitmq().await;
        }
        if is_wanted("lone") {
            alone().await;
        }
    });
}
