//! What a record costs in allocations between `send` and `retrieve`: none of its own, on the threads that run user code.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use pypz::prelude::*;
use pypz_testkit::names;

/// Sends numbers, which need no memory of their own.
#[derive(OperatorSpec, Default)]
struct Numbers {
    output: OutputPort<u64>,
    #[parameter(required)]
    records: u64,
}

impl Operator for Numbers {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        for first in (0..self.records).step_by(1_000) {
            self.output
                .send_all((first..first + 1_000).collect::<Vec<u64>>())
                .await?;
        }
        Ok(Progress::Done)
    }
}

/// Hands them on.
#[derive(OperatorSpec, Default)]
struct Relay {
    input: InputPort<u64>,
    output: OutputPort<u64>,
}

impl Operator for Relay {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let batch = self.input.retrieve().await?;
        self.output.send_all(batch).await?;
        Ok(Progress::UntilInputsEnd)
    }
}

#[derive(OperatorSpec, Default)]
struct Sink {
    input: InputPort<u64>,
}

impl Operator for Sink {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        self.input.retrieve().await?;
        Ok(Progress::UntilInputsEnd)
    }
}

/// Allocations on this thread, which runs all three operators.
fn allocations(location: &str, records: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut pipeline = Pipeline::new(&names::unique("allocations"));
    let source = pipeline.operator::<Numbers>("source").records(records);
    let relay = pipeline.operator::<Relay>("relay").replicas(2);
    let sink = pipeline.operator::<Sink>("sink").replicas(2);
    pipeline.connect(source.output(), relay.input());
    pipeline.connect(relay.output(), sink.input());
    pipeline.set_parameter(">>channelLocation", location);
    let counted = allocation_counter::measure(|| {
        runtime.block_on(pipeline.execute()).unwrap();
    });
    counted.count_total
}

/// How many allocations a record costs that is one of many more.
fn each(location: &str) -> f64 {
    const FEW: u64 = 50_000;
    const MANY: u64 = 450_000;
    let (few, many) = (allocations(location, FEW), allocations(location, MANY));
    many.saturating_sub(few) as f64 / (MANY - FEW) as f64
}

#[test]
fn in_memory_a_record_costs_no_allocation_of_its_own() {
    let each = each("memory://");
    assert!(each < 0.05, "{each} allocations a record");
}

#[cfg(feature = "kafka")]
#[test]
fn on_kafka_a_record_costs_the_allocations_of_the_client_only() {
    // Of the crate rdkafka 0.39: the topic's name as a C string to send a record, and an event to read one; over two channels.
    const OF_THE_CLIENT: f64 = 2.0 * 2.0;
    let location = format!("kafka://{}", pypz_testkit::brokers::kafka());
    let each = each(&location);
    assert!(each < OF_THE_CLIENT + 0.1, "{each} allocations a record");
}

#[cfg(feature = "rabbitmq")]
#[test]
fn on_rabbitmq_a_record_among_many_costs_no_allocation_of_its_own() {
    let each = each(&pypz_testkit::brokers::rabbitmq());
    assert!(each < 0.1, "{each} allocations a record");
}
