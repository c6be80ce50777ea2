//! Whole pipelines in memory: what is refused before they run, and how they end.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod cycles;
mod full_disk;
mod plugins;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pypz::ExitStatus;
use pypz::executor::Phase;
use pypz::prelude::*;

/// Sends the numbers below `count`, each with itself modulo ten as key; fails, or panics, at `fail_at`.
#[derive(OperatorSpec, Default)]
struct Numbers {
    output: OutputPort<u32>,
    #[parameter(required)]
    count: u32,
    #[parameter(name = "failAt")]
    fail_at: Option<u32>,
    #[parameter(name = "panics")]
    panics: bool,
}

impl Operator for Numbers {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        for number in 0..self.count {
            if self.fail_at == Some(number) {
                assert!(!self.panics, "number {number} is too much");
                anyhow::bail!("no number {number}");
            }
            self.output
                .send(Record::new(number).with_key((number % 10).to_string()))
                .await?;
        }
        Ok(Progress::Done)
    }
}

/// Hands numbers on.
#[derive(OperatorSpec, Default)]
struct Relay {
    input: InputPort<u32>,
    output: OutputPort<u32>,
}

impl Operator for Relay {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let batch = self.input.retrieve().await?;
        self.output.send_all(batch).await?;
        Ok(Progress::UntilInputsEnd)
    }
}

/// Puts what each replica got where a test finds it, by the name of the pipeline.
#[derive(OperatorSpec, Default)]
struct Collect {
    input: InputPort<u32>,
}

type Collected = Vec<(String, u32, u32)>;
static COLLECTED: Mutex<Collected> = Mutex::new(Vec::new());

impl Operator for Collect {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        for number in self.input.retrieve().await? {
            let row = (cx.pipeline().to_owned(), cx.replica_index(), number);
            COLLECTED.lock().unwrap().push(row);
        }
        Ok(Progress::UntilInputsEnd)
    }
}

fn collected(pipeline: &str) -> Vec<(u32, u32)> {
    let rows = COLLECTED.lock().unwrap();
    let mut rows: Vec<_> = rows
        .iter()
        .filter(|(of, ..)| of == pipeline)
        .map(|(_, replica, number)| (*replica, *number))
        .collect();
    rows.sort_unstable();
    rows
}

fn numbers(name: &str, count: u32, replicas: u32, how: Partitioning) -> Pipeline {
    let mut pipeline = Pipeline::new(name);
    let numbers = pipeline.operator::<Numbers>("numbers").count(count);
    let relay = pipeline.operator::<Relay>("relay").replicas(2);
    let collect = pipeline.operator::<Collect>("collect").replicas(replicas);
    pipeline
        .connect(numbers.output(), relay.input())
        .partitioned(Partitioning::ByKey);
    pipeline.connect(relay.output(), collect.input()).partitioned(how);
    pipeline
}

#[tokio::test]
async fn round_robin_gives_every_record_to_one_replica() {
    numbers("robin", 5_000, 3, Partitioning::RoundRobin)
        .execute()
        .await
        .unwrap();
    let mut all: Vec<u32> = collected("robin").into_iter().map(|(_, number)| number).collect();
    all.sort_unstable();
    assert_eq!(all, (0..5_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_broadcast_gives_every_record_to_every_replica() {
    numbers("broadcast", 2_000, 3, Partitioning::Broadcast)
        .execute()
        .await
        .unwrap();
    let expected: Vec<(u32, u32)> = (0..3)
        .flat_map(|replica| (0..2_000).map(move |number| (replica, number)))
        .collect();
    assert_eq!(collected("broadcast"), expected);
}

#[tokio::test]
async fn a_record_without_a_key_is_refused_where_partitions_go_by_key() {
    let error = numbers("unkeyed", 10, 3, Partitioning::ByKey)
        .execute()
        .await
        .unwrap_err();
    assert_eq!(error.status, ExitStatus::Running);
    for part in ["relay", "unkeyed.relay", "has no key", "unkeyed.collect.input"] {
        assert!(error.to_string().contains(part), "{error} lacks {part}");
    }
}

#[tokio::test]
async fn the_first_failure_is_the_runs_and_comes_with_operator_and_cause() {
    let mut pipeline = numbers("failing", 100, 2, Partitioning::RoundRobin);
    pipeline.set_parameter("numbers.failAt", 50);
    let error = pipeline.execute().await.unwrap_err();
    assert_eq!(
        (error.status, error.at.as_str()),
        (ExitStatus::Running, "failing.numbers")
    );
    assert!(error.to_string().contains("no number 50"), "{error}");
}

#[tokio::test]
async fn a_panic_is_an_error_with_its_words() {
    let mut pipeline = numbers("panicking", 100, 1, Partitioning::RoundRobin);
    pipeline
        .set_parameter("numbers.failAt", 7)
        .set_parameter("numbers.panics", true);
    let error = pipeline.execute().await.unwrap_err();
    assert!(
        error.to_string().contains("panicked: number 7 is too much"),
        "{error}"
    );
}

#[test]
fn all_problems_come_at_once_with_full_names_and_the_mend() {
    let mut pipeline = Pipeline::new("wrong");
    let numbers = pipeline.operator::<Numbers>("numbers");
    let relay = pipeline.operator::<Relay>("relay").replicas(0);
    let _alone = pipeline.operator::<Collect>("bad name");
    pipeline.operator::<Collect>("relay");
    pipeline.connect(numbers.output(), relay.input());
    pipeline.set_parameter("numbers.failAt", "soon");
    pipeline.set_parameter("numbers.colour", 1);
    pipeline.set_parameter(">>chanelLocation", "memory://");
    pipeline.set_parameter("relay.input.channelLocation", "nowhere");
    pipeline.set_parameter("nobody.count", 1);
    let error = pipeline.validate().unwrap_err().to_string();
    for part in [
        "wrong.numbers: required parameter 'count' (u32) is missing: set_parameter(\"numbers.count\", …)",
        "wrong.numbers: parameter 'failAt' wants Option<u32>, but was given a text",
        "wrong.numbers: there is no parameter 'colour': the declared ones are count, failAt, panics",
        "wrong.relay: 0 replicas",
        "wrong.relay: there are two operators of this name",
        "wrong.relay.output: the output port is not connected",
        "wrong.bad name: name 'bad name' has the forbidden character ' '",
        "wrong.bad name.input: the input port is not connected",
        "wrong: '>>chanelLocation' reaches no instance that has such a parameter",
        "wrong.relay.input: parameter 'channelLocation' wants SCHEME://ADDRESS",
        "wrong.nobody: there is no such operator, port or plugin",
    ] {
        assert!(error.contains(part), "this is missing:\n{part}\nin:\n{error}");
    }
}

#[test]
fn a_scheme_that_is_not_built_in_names_the_feature_or_the_schemes() {
    let mut pipeline = numbers("elsewhere", 1, 1, Partitioning::RoundRobin);
    pipeline.set_parameter(">>channelLocation", "smoke://signals");
    let error = pipeline.validate().unwrap_err().to_string();
    assert!(
        error.contains("no transport serves smoke://") && error.contains("memory://"),
        "{error}"
    );
    if !cfg!(feature = "kafka") {
        pipeline.set_parameter(">>channelLocation", "kafka://localhost:9092");
        let error = pipeline.validate().unwrap_err().to_string();
        assert!(error.contains("needs the feature 'kafka'"), "{error}");
    }
}

#[tokio::test]
async fn a_part_of_a_pipeline_in_memory_is_refused() {
    let error = numbers("partly", 1, 1, Partitioning::RoundRobin)
        .execute_only(["relay@1"])
        .await
        .unwrap_err();
    assert_eq!(error.status, ExitStatus::Configuration);
    assert!(
        error.to_string().contains("memory:// does not leave the process"),
        "{error}"
    );
    let error = numbers("partly", 1, 1, Partitioning::RoundRobin)
        .execute_only(["relay@2"])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("relay has 2 replicas, indices 0 to 1"),
        "{error}"
    );
}

/// Counts for ever.
#[derive(OperatorSpec, Default)]
struct Endless {
    output: OutputPort<u32>,
}

static ENDLESS: AtomicU64 = AtomicU64::new(0);

impl Operator for Endless {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        self.output.send(0).await?;
        ENDLESS.fetch_add(1, Ordering::SeqCst);
        Ok(Progress::Again)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_stops_sources_and_reads_what_lies_in_memory() {
    let mut pipeline = Pipeline::new("drained");
    let endless = pipeline.operator::<Endless>("endless");
    let collect = pipeline.operator::<Collect>("collect").replicas(2);
    pipeline.connect(endless.output(), collect.input());
    let shutdown = pipeline.shutdown();
    let running = tokio::spawn(async move { pipeline.execute().await });
    let started = async {
        while ENDLESS.load(Ordering::SeqCst) < 1_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), started)
        .await
        .expect("the source sends");
    shutdown.advance(Phase::Draining);
    let report = running.await.unwrap().unwrap();
    assert_eq!(report.status, ExitStatus::Drained);
    assert_eq!(
        collected("drained").len() as u64,
        ENDLESS.load(Ordering::SeqCst),
        "nothing that was sent is lost"
    );
}

/// Blocks its thread for longer than a heartbeat.
#[derive(OperatorSpec, Default)]
struct Blocking {
    input: InputPort<u32>,
}

impl Operator for Blocking {
    const THREADING: Threading = Threading::Dedicated;

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        if !self.input.retrieve().await?.is_empty() {
            // Two replicas meet here: on one shared thread they would never.
            GATE.get_or_init(|| std::sync::Barrier::new(2)).wait();
        }
        Ok(Progress::UntilInputsEnd)
    }
}

static GATE: std::sync::OnceLock<std::sync::Barrier> = std::sync::OnceLock::new();

#[tokio::test(flavor = "current_thread")]
async fn dedicated_operators_block_without_holding_each_other_up() {
    let mut pipeline = Pipeline::new("blocking");
    let numbers = pipeline.operator::<Numbers>("numbers").count(2);
    let blocking = pipeline.operator::<Blocking>("blocking").replicas(2);
    pipeline.connect(numbers.output(), blocking.input());
    let run = tokio::time::timeout(Duration::from_secs(30), pipeline.execute());
    assert_eq!(
        run.await.expect("both replicas get through").unwrap().status,
        ExitStatus::Done
    );
}

#[test]
fn a_pipeline_describes_itself_in_words_and_as_a_graph() {
    let pipeline = numbers("described", 3, 4, Partitioning::Broadcast);
    let text = pipeline.describe();
    for line in [
        "  operator collect x 4: Collect",
        "    input input: u32 as Avro",
        "    parameter count: u32, required",
        "  described.relay.output -> described.collect.input (broadcast)",
    ] {
        assert!(
            text.lines().any(|shown| shown == line),
            "{line} is not in\n{text}"
        );
    }
    let graph = pipeline.describe_mermaid();
    assert!(
        graph.starts_with("graph LR\n") && graph.contains("\"output → input, by key\""),
        "{graph}"
    );
}
