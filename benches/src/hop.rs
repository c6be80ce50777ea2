//! A pipeline that reads one topic and writes another, as the bare client does it.

use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use pypz::prelude::*;
use tokio::sync::watch;

use crate::pipelines::Place;

/// How far the hop under measurement is.
struct Hop {
    filled: watch::Sender<bool>,
    relayed: watch::Sender<bool>,
    begun: Mutex<Option<Instant>>,
    ended: Mutex<Vec<Instant>>,
}

static HOP: LazyLock<Hop> = LazyLock::new(|| Hop {
    filled: watch::Sender::new(false),
    relayed: watch::Sender::new(false),
    begun: Mutex::new(None),
    ended: Mutex::new(Vec::new()),
});

async fn until(sender: &watch::Sender<bool>) {
    let mut told = sender.subscribe();
    let _ = told.wait_for(|told| *told).await;
}

/// Fills the topic that the hop begins at.
#[derive(OperatorSpec, Default)]
struct Filling {
    output: OutputPort<Vec<u8>, Raw>,
    #[parameter(required)]
    records: usize,
    #[parameter(required)]
    bytes: usize,
}

impl Operator for Filling {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        for _ in 0..self.records / 1_000 {
            self.output.send_all(vec![vec![7; self.bytes]; 1_000]).await?;
        }
        cx.advance("done");
        Ok(Progress::Done)
    }

    async fn on_shutdown(&mut self, _cx: &Context) -> Result<()> {
        self.output.flush().await?;
        HOP.filled.send_replace(true);
        Ok(())
    }
}

/// Hands records on, as they are.
#[derive(OperatorSpec, Default)]
struct Relaying {
    input: InputPort<Vec<u8>, Raw>,
    output: OutputPort<Vec<u8>, Raw>,
}

impl Operator for Relaying {
    async fn on_init(&mut self, _cx: &Context) -> Result<()> {
        until(&HOP.filled).await;
        HOP.begun.lock().unwrap().get_or_insert_with(Instant::now);
        Ok(())
    }

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let batch = self.input.retrieve().await?;
        self.output.send_all(batch).await?;
        Ok(Progress::UntilInputsEnd)
    }

    async fn on_shutdown(&mut self, cx: &Context) -> Result<()> {
        self.output.flush().await?;
        let mut ended = HOP.ended.lock().unwrap();
        ended.push(Instant::now());
        if ended.len() == cx.replicas() as usize {
            HOP.relayed.send_replace(true);
        }
        Ok(())
    }
}

/// Takes what was handed on, once that is over.
#[derive(OperatorSpec, Default)]
struct Taking {
    input: InputPort<Vec<u8>, Raw>,
}

impl Operator for Taking {
    async fn on_init(&mut self, _cx: &Context) -> Result<()> {
        until(&HOP.relayed).await;
        Ok(())
    }

    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        self.input.retrieve().await?;
        Ok(Progress::UntilInputsEnd)
    }
}

/// From a full topic to another one: the time until the last record that was made is acknowledged.
pub async fn run(records: usize, bytes: usize, partitions: u32, exactly_once: bool) -> Duration {
    HOP.filled.send_replace(false);
    HOP.relayed.send_replace(false);
    *HOP.begun.lock().unwrap() = None;
    HOP.ended.lock().unwrap().clear();
    let mut pipeline = Place::Kafka.pipeline();
    let source = pipeline
        .operator::<Filling>("source")
        .records(records)
        .bytes(bytes);
    let relay = pipeline.operator::<Relaying>("relay").replicas(partitions);
    let sink = pipeline.operator::<Taking>("sink").replicas(partitions);
    pipeline.connect(source.output(), relay.input());
    pipeline.connect(relay.output(), sink.input());
    // What waits for the sink stays on the broker.
    pipeline.set_parameter("sink.>bufferBytes", 4 << 20);
    if exactly_once {
        pipeline.exactly_once();
    }
    pipeline.execute().await.unwrap();
    let ended = HOP.ended.lock().unwrap().iter().max().copied();
    let begun = HOP.begun.lock().unwrap().take();
    ended
        .zip(begun)
        .map_or(Duration::ZERO, |(ended, begun)| ended - begun)
}
