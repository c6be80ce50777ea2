//! Ports on RabbitMQ beside bare lapin doing the same work, in turn: `cargo bench -p pypz-testkit`.
//!
//! Both publish persistent, mandatory messages with confirms in a window of 1,024 to a quorum queue of the same arguments, and
//! acknowledge what they took. A measurement is the time from the first record that arrived to the last. What counts is
//! the ratio of the medians; the broker is the one that `PYPZ_TEST_AMQP` names or `cargo xtask brokers up` started.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that prints what it measured"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use pypz::{Context, InputPort, Operator, OutputPort, Pipeline, Progress, Raw, Result};
use pypz_derive::OperatorSpec;
use pypz_rabbitmq_io as _;
use pypz_testkit::{brokers, names};

const PAIRS: usize = 9;
const RECORD_BYTES: usize = 100;
const WINDOW: usize = 1_024;
const PREFETCH: u16 = 64;
const ACKNOWLEDGE_EVERY: u64 = 32;

/// First and last arrival of the run under measurement.
static ARRIVALS: Mutex<Option<(Instant, Instant)>> = Mutex::new(None);

fn arrived() {
    let now = Instant::now();
    ARRIVALS.lock().unwrap().get_or_insert((now, now)).1 = now;
}

fn between() -> Duration {
    let arrivals = ARRIVALS.lock().unwrap().take();
    arrivals.map_or(Duration::ZERO, |(first, last)| last - first)
}

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
            arrived();
        }
        Ok(Progress::UntilInputsEnd)
    }
}

/// One run of ours.
async fn ours(records: usize, batch: usize, records_per_message: usize) -> Duration {
    let mut pipeline = Pipeline::new(&names::unique("bench"));
    let source = pipeline
        .operator::<Source>("source")
        .records(records)
        .batch(batch);
    let sink = pipeline.operator::<Sink>("sink");
    pipeline.connect(source.output(), sink.input());
    pipeline.set_parameter(">>channelLocation", brokers::rabbitmq());
    let config = BTreeMap::from([
        ("recordsPerMessage", records_per_message),
        ("prefetch", PREFETCH.into()),
    ]);
    pipeline.set_parameter(">>channelConfig", config);
    pipeline.execute().await.unwrap();
    between()
}

/// One run of bare lapin, one record a message.
async fn bare(records: usize) -> Duration {
    let uri = format!(
        "{}?frame_max=8192&heartbeat=10",
        brokers::rabbitmq().replace("5673/", "5673/%2f")
    );
    let connect = || Connection::connect(&uri, ConnectionProperties::default());
    let (publishing, consuming) = (connect().await.unwrap(), connect().await.unwrap());
    let queue = names::unique("bare");
    let (sender, receiver) = (
        publishing.create_channel().await.unwrap(),
        consuming.create_channel().await.unwrap(),
    );
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let name = || queue.as_str().into();
    sender.queue_declare(name(), durable, arguments()).await.unwrap();
    sender
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    receiver
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await
        .unwrap();
    let (consume, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = receiver
        .basic_consume(name(), "bare".into(), consume, none)
        .await
        .unwrap();
    let taken = tokio::spawn(take(consumer, records as u64));
    publish(&sender, &queue, records).await;
    taken.await.unwrap();
    sender
        .queue_delete(name(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let _ = publishing.close(200, "done".into()).await;
    let _ = consuming.close(200, "done".into()).await;
    between()
}

/// Takes records and acknowledges many at once.
async fn take(mut consumer: Consumer, records: u64) {
    let mut taken = 0;
    while taken < records {
        let delivery = consumer.next().await.unwrap().unwrap();
        taken += 1;
        arrived();
        if taken % ACKNOWLEDGE_EVERY == 0 || taken == records {
            let many = BasicAckOptions { multiple: true };
            delivery.acker.ack(many).await.unwrap();
        }
    }
}

/// Publishes records with confirms in a window.
async fn publish(sender: &Channel, queue: &str, records: usize) {
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let body = vec![7; RECORD_BYTES];
    let mut confirms = VecDeque::new();
    for _ in 0..records {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let sent = sender.basic_publish("".into(), queue.into(), mandatory, &body, properties);
        confirms.push_back(sent.await.unwrap());
        if confirms.len() >= WINDOW {
            confirms.pop_front().unwrap().await.unwrap();
        }
    }
    for confirm in confirms {
        confirm.await.unwrap();
    }
}

/// The queue that ours has.
fn arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(1_000));
    for (name, value) in [
        ("x-queue-type", "quorum"),
        ("x-overflow", "reject-publish"),
        ("x-dead-letter-exchange", ""),
        ("x-dead-letter-routing-key", "nobody"),
        ("x-dead-letter-strategy", "at-least-once"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    arguments
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// Runs pairs and prints the rates, and the ratio of the medians with its range over the pairs.
fn report(
    what: &str,
    (our_records, our_times): (usize, Vec<Duration>),
    (records, times): (usize, Vec<Duration>),
) {
    let rate = |records: usize, time: f64| records as f64 / time;
    let ratios: Vec<f64> = our_times
        .iter()
        .zip(&times)
        .map(|(ours, bare)| rate(our_records, ours.as_secs_f64()) / rate(records, bare.as_secs_f64()))
        .collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let ours = rate(our_records, median(&mut our_times.clone()));
    let bare = rate(records, median(&mut times.clone()));
    println!(
        "{what}: {ours:.0} records/s, bare lapin {bare:.0}, ratio {:.2} ({least:.2} to {most:.2})",
        ours / bare
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (few, many) = (20_000, 500_000);
        let (mut alone, mut packed, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            theirs.push(bare(few).await);
            alone.push(ours(few, 100, 1).await);
            packed.push(ours(many, 100, 1_000).await);
        }
        report("one record a message", (few, alone), (few, theirs.clone()));
        report("batches of 100, packed", (many, packed), (few, theirs));
    });
}
