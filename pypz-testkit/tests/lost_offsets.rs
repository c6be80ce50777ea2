//! Readers whose records are gone from Kafka, by retention or by hand.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use pypz::{Context, InputPort, Operator, OutputPort, Pipeline, Progress, Result};
use pypz_derive::OperatorSpec;
use pypz_kafka_io as _;
use pypz_testkit::{brokers, names};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::watch;

const RECORDS: u64 = 20_000;

/// What happens to the sink of each pipeline.
struct Story {
    taken: Vec<u64>,
    /// All records are on the broker.
    sent: watch::Sender<bool>,
    /// The sink has records in hand and waits.
    holds: watch::Sender<bool>,
    /// It may go on.
    released: watch::Sender<bool>,
}

static STORIES: LazyLock<Mutex<HashMap<String, Story>>> = LazyLock::new(Mutex::default);

fn story<T>(pipeline: &str, act: impl FnOnce(&mut Story) -> T) -> T {
    let mut stories = STORIES.lock().unwrap();
    act(stories.entry(pipeline.to_owned()).or_insert_with(|| Story {
        taken: Vec::new(),
        sent: watch::Sender::new(false),
        holds: watch::Sender::new(false),
        released: watch::Sender::new(false),
    }))
}

async fn until(mut told: watch::Receiver<bool>) {
    let told = told.wait_for(|told| *told);
    tokio::time::timeout(Duration::from_secs(60), told)
        .await
        .unwrap()
        .unwrap();
}

/// Sends numbers with 200 bytes of text.
#[derive(OperatorSpec, Default)]
struct Numbers {
    output: OutputPort<(u64, String)>,
}

impl Operator for Numbers {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let text = "x".repeat(200);
        for first in (0..RECORDS).step_by(100) {
            let batch: Vec<_> = (first..first + 100)
                .map(|number| (number, text.clone()))
                .collect();
            self.output.send_all(batch).await?;
        }
        self.output.flush().await?;
        story(cx.pipeline(), |story| story.sent.send_replace(true));
        Ok(Progress::Done)
    }
}

/// Takes the first records, holds them until it is released, and then takes the rest.
#[derive(OperatorSpec, Default)]
struct Holding {
    input: InputPort<(u64, String)>,
}

impl Operator for Holding {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let batch: Vec<u64> = self
            .input
            .retrieve()
            .await?
            .into_iter()
            .map(|(number, _)| number)
            .collect();
        let released = story(cx.pipeline(), |story| {
            story.taken.extend(batch);
            story.holds.send_replace(true);
            story.released.subscribe()
        });
        until(released).await;
        Ok(Progress::UntilInputsEnd)
    }
}

fn pipeline(name: &str, policy: &str) -> Pipeline {
    let mut pipeline = Pipeline::new(name);
    pipeline.patience(Duration::from_secs(20));
    let source = pipeline.operator::<Numbers>("source");
    let sink = pipeline.operator::<Holding>("sink");
    pipeline.connect(source.output(), sink.input());
    pipeline.set_parameter(">>channelLocation", format!("kafka://{}", brokers::kafka()));
    // What the sink has not taken stays on the broker.
    pipeline.set_parameter(">>bufferBytes", 64 * 1024);
    pipeline.set_parameter(">>maxRecordBytes", 16 * 1024);
    pipeline.set_parameter(
        ">>channelConfig",
        HashMap::from([("fetch.message.max.bytes", 64 * 1024)]),
    );
    pipeline.set_parameter("sink.>onLostOffset", policy);
    pipeline
}

/// Deletes the records of the sink's channel before an offset.
async fn delete_before(pipeline: &str, offset: u64) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers::kafka());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let mut before = TopicPartitionList::new();
    let topic = format!("{pipeline}.sink.input");
    let offset = Offset::Offset(i64::try_from(offset).unwrap());
    before.add_partition_offset(&topic, 0, offset).unwrap();
    let deleted = admin.delete_records(&before, &AdminOptions::new()).await.unwrap();
    deleted
        .elements()
        .iter()
        .for_each(|element| element.error().unwrap());
}

/// Runs a pipeline whose sink holds its first records while those before `GONE` are deleted. Returns what it took and its end.
async fn run(policy: &str) -> (Vec<u64>, Result<(), String>) {
    let name = names::unique("lost");
    let mut running = pipeline(&name, policy);
    let task = tokio::spawn(async move { running.execute().await });
    until(story(&name, |story| story.holds.subscribe())).await;
    until(story(&name, |story| story.sent.subscribe())).await;
    delete_before(&name, GONE).await;
    story(&name, |story| story.released.send_replace(true));
    let ended = task.await.unwrap().map(drop).map_err(|error| error.to_string());
    if ended.is_err() {
        let mut rest = pipeline(&name, "latest");
        rest.fresh();
        rest.execute().await.unwrap();
    }
    (story(&name, |story| std::mem::take(&mut story.taken)), ended)
}

/// The first record that is not deleted.
const GONE: u64 = 15_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_records_are_gone_ends_by_name_unless_told_otherwise() {
    let (_, ended) = run("fail").await;
    let said = ended.unwrap_err();
    assert!(said.contains("is gone") && said.contains("exit 123"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_at_the_first_record_that_is_left_where_that_is_the_policy() {
    let (taken, ended) = run("earliest").await;
    ended.unwrap();
    let held = taken
        .iter()
        .zip(0..)
        .take_while(|(taken, expected)| *taken == expected)
        .count();
    assert!(
        held > 0 && (held as u64) < GONE,
        "{held} records were read before the others were deleted"
    );
    assert!(
        taken.iter().skip(held).copied().eq(GONE..RECORDS),
        "not all that was left came"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_behind_the_last_record_where_that_is_the_policy() {
    let (taken, ended) = run("latest").await;
    ended.unwrap();
    assert!(
        taken.iter().copied().eq(0..taken.len() as u64),
        "it jumped to a record that is not new"
    );
    assert!(
        (taken.len() as u64) < GONE,
        "{} records were read before the others were deleted",
        taken.len()
    );
}
