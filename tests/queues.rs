//! What only a queue can get wrong: ends that come too early. On a real RabbitMQ.

#![cfg(feature = "rabbitmq")]
#![allow(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pypz::channel::StartAt;
use pypz::prelude::*;
use pypz_testkit::{bare, brokers, names};

/// Sends numbers and is done.
#[derive(OperatorSpec, Default)]
struct Source {
    output: OutputPort<u64>,
    #[parameter(required)]
    count: u64,
}

impl Operator for Source {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        for number in 0..self.count {
            self.output.send(number).await?;
        }
        Ok(Progress::Done)
    }
}

static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Counts what it gets, once everything waits in the queue.
#[derive(OperatorSpec, Default)]
struct Count {
    input: InputPort<u64>,
}

impl Operator for Count {
    async fn on_init(&mut self, _cx: &Context) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let batch = self.input.retrieve().await?;
        TAKEN.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(Progress::UntilInputsEnd)
    }
}

#[tokio::test]
async fn a_reader_never_ends_before_it_has_what_waits_behind_a_finished_writer() {
    let rounds: u64 = std::env::var("PYPZ_TEST_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        // More than one prefetch, less than two.
        let count = 101 + round % 99;
        TAKEN.store(0, Ordering::Relaxed);
        let mut pipeline = Pipeline::new(&names::unique("waiting"));
        let source = pipeline.operator::<Source>("source").count(count);
        let sink = pipeline.operator::<Count>("sink");
        pipeline.connect(source.output(), sink.input());
        pipeline.set_parameter(">>channelLocation", brokers::rabbitmq());
        let config = std::collections::BTreeMap::from([("prefetch", 100)]);
        pipeline.set_parameter(">>channelConfig", config);
        pipeline.execute().await.unwrap();
        assert_eq!(TAKEN.load(Ordering::Relaxed), count, "round {round}");
    }
}

#[tokio::test]
async fn a_replica_whose_messages_another_connection_keeps_fails_by_the_name_of_what_it_waits_for() {
    let name = names::unique("held");
    let (writer, reader) = (format!("{name}.source.output"), format!("{name}.sink.input"));
    let mut spec = bare::channel(&writer, &reader, &brokers::rabbitmq());
    spec.local_readers = vec![0];
    spec.timing.patience = Duration::from_secs(1);
    spec.reader_config
        .insert("heartbeatSeconds".to_owned(), "1".to_owned());
    let channel = Arc::new(spec);
    let (first, second) = (bare::connect(&channel).await, bare::connect(&channel).await);
    let mut alive = first.reader(&channel, 0).unwrap();
    alive.create_resources().await.unwrap();
    alive.open(StartAt::Committed).await.unwrap();
    let mut other = second.reader(&channel, 0).unwrap();
    other.open(StartAt::Committed).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(30), other.end())
        .await
        .unwrap();
    let error = end.unwrap_err().to_string();
    assert!(error.contains(&format!("queue {reader}.reader.0")), "{error}");
    tokio::join!(other.close(), alive.close());
    alive.delete_resources().await.unwrap();
    tokio::join!(first.close(), second.close());
}
