//! A hop that is a process of its own: how long it takes from its start to its first output, and from SIGTERM to its end.
//!
//! A source sends a record a millisecond all the time, so there is always one to relay. The process is started, stopped by SIGTERM,
//! and started again where it stopped; sources and sinks go on meanwhile.

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pypz::prelude::*;
use pypz_testkit::names;
use pypz_testkit::processes::Running;
use tokio::sync::Notify;

use crate::arrivals;
use crate::bare::kafka;
use crate::pipelines::{Place, Sink, Step};

/// The variable that tells a process which hop it is.
const HOP: &str = "PYPZ_BENCH_HOP";

/// How long a process may take for what is measured here.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long a process relays before it is stopped, and is away before it is started again.
const MEANWHILE: Duration = Duration::from_secs(1);

/// What a hop took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// From the start of the process to its first output at the sink.
    pub start: Duration,
    /// The same for the process that goes on where the first was stopped.
    pub restart: Duration,
    /// From SIGTERM to the end of the process.
    pub stop: Duration,
}

/// Sends a record a millisecond until it is told to end.
#[derive(OperatorSpec, Default)]
struct Trickle {
    output: OutputPort<Vec<u8>, Raw>,
}

static ENOUGH: Notify = Notify::const_new();

impl Operator for Trickle {
    async fn on_running(&mut self, cx: &Context) -> Result<Progress> {
        let mut turns = tokio::time::interval(Duration::from_millis(1));
        let enough = ENOUGH.notified();
        tokio::pin!(enough);
        loop {
            tokio::select! {
                () = &mut enough => break,
                _ = turns.tick() => self.output.send(vec![7; 100]).await?,
            }
        }
        cx.advance("done");
        Ok(Progress::Done)
    }
}

fn pipeline(name: &str) -> Pipeline {
    let mut pipeline = Place::Kafka.named(name);
    let source = pipeline.operator::<Trickle>("source");
    let relay = pipeline.operator::<Step>("relay");
    let sink = pipeline.operator::<Sink>("sink");
    pipeline.connect(source.output(), relay.input());
    pipeline.connect(relay.output(), sink.input());
    pipeline
}

/// Runs the hop that this process is, if it is one.
#[must_use]
pub fn as_hop() -> Option<ExitCode> {
    let hop = std::env::var(HOP).ok()?;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    Some(match hop.split_once(' ') {
        Some((from, to)) => {
            runtime.block_on(kafka::relay(from, to));
            ExitCode::SUCCESS
        }
        None => runtime.block_on(pipeline(&hop).run_only(["relay"])),
    })
}

fn start(hop: &str) -> Running {
    arrivals::take();
    Running::start(Command::new(std::env::current_exe().unwrap()).env(HOP, hop))
}

async fn first_output(since: Instant) -> Duration {
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    loop {
        looks.tick().await;
        if let Some((first, _)) = arrivals::look() {
            return first - since;
        }
        assert!(since.elapsed() < DEADLINE, "no output");
    }
}

async fn end(hop: Running) -> Option<i32> {
    let ended = tokio::task::spawn_blocking(move || hop.wait(DEADLINE));
    let ended = ended.await.unwrap();
    assert!(matches!(ended.code, Some(0 | 143)), "{ended:?}");
    ended.code
}

/// Starts, stops and starts a hop; returns the second process, which still runs.
async fn measure(hop: &str) -> (Took, Running) {
    let since = Instant::now();
    let first = start(hop);
    let started = first_output(since).await;
    tokio::time::sleep(MEANWHILE).await;
    let since = Instant::now();
    first.terminate();
    end(first).await;
    let stop = since.elapsed();
    tokio::time::sleep(MEANWHILE).await;
    let since = Instant::now();
    let second = start(hop);
    let restart = first_output(since).await;
    let took = Took {
        start: started,
        restart,
        stop,
    };
    (took, second)
}

/// A hop of ours, whose source and sink are in this process.
pub async fn ours() -> Took {
    let name = names::unique("bench");
    let mut rest = pipeline(&name);
    let relaying = async {
        let (took, second) = measure(&name).await;
        ENOUGH.notify_one();
        assert_eq!(end(second).await, Some(0));
        took
    };
    let (rest, took) = tokio::join!(rest.execute_only(["source", "sink"]), relaying);
    rest.unwrap();
    took
}

/// A hop of the bare client; so are what writes for it and what reads from it.
pub async fn bare() -> Took {
    let ends = Arc::new(kafka::Ends::open().await);
    let (writing, reading) = (Arc::clone(&ends), Arc::clone(&ends));
    let writing = tokio::task::spawn_blocking(move || writing.trickle());
    let reading = tokio::task::spawn_blocking(move || reading.take());
    let (took, second) = measure(&ends.hop()).await;
    second.terminate();
    end(second).await;
    ends.stop();
    writing.await.unwrap();
    reading.await.unwrap();
    Arc::into_inner(ends).unwrap().delete().await;
    took
}
