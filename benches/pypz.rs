//! The same work done by genuine pypz-python: `cargo bench -p pypz-benches --bench pypz [-- Kafka|RabbitMQ]`.
//!
//! A source and a sink, in pypz-python as two processes of an own pipeline, here in one process. It sends fewer records, because it
//! takes seconds for a thousand; what is compared is the rate from the first record that arrived to the last.

#![allow(missing_docs, clippy::unwrap_used, reason = "a program")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pypz_benches::figures::{Pairs, Repeated, is_quick, is_wanted};
use pypz_benches::pipelines::{Place, Straight};
use pypz_testkit::{brokers, names, python};

const BYTES: usize = 100;

/// How long pypz-python may take for a run.
const DEADLINE: Duration = Duration::from_secs(180);

/// The broker as pypz-python writes it, and the names of its ports there.
fn carrier(place: Place) -> (String, &'static str, &'static str) {
    match place {
        Place::RabbitMq => {
            let location = brokers::rabbitmq();
            let (_, address) = location.rsplit_once('@').unwrap_or(("", &location));
            let address = address.trim_end_matches('/').to_owned();
            (address, "amqp", "pypz.plugins.rmq_io.ports:RMQChannel")
        }
        _ => (
            brokers::kafka(),
            "kafka",
            "pypz.plugins.kafka_io.ports:KafkaChannel",
        ),
    }
}

fn pipeline(place: Place, records: usize, times: &Path) -> String {
    let (address, _, ports) = carrier(place);
    let (name, times) = (names::unique("measured"), times.display());
    format!(
        "name: {name}
parameters: {{'>>channelLocation': '{address}'}}
spec:
  name: pypz.core.specs.pipeline:Pipeline
  nestedInstances:
  - name: source
    parameters: {{records: {records}, size: {BYTES}}}
    spec:
      name: measured:Source
      nestedInstances:
      - {{name: output, spec: {{name: '{ports}OutputPort'}}}}
  - name: sink
    parameters: {{records: {records}, times: '{times}'}}
    spec:
      name: measured:Sink
      nestedInstances:
      - {{name: input, spec: {{name: '{ports}InputPort'}}}}
    connections:
    - inputPortName: input
      source: {{instanceName: source, outputPortName: output}}
"
    )
}

/// Runs both processes: the time from the first arrival to the last, and of the whole.
fn run(place: Place, records: usize) -> (Duration, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let (file, times) = (folder.path().join("pipeline.yaml"), folder.path().join("times"));
    std::fs::write(&file, pipeline(place, records, &times)).unwrap();
    let code = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let mixed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mixed/python");
    let path = format!("{}:{}", code.display(), mixed.display());
    let start = Instant::now();
    let started = ["sink", "source"].map(|operator| {
        Command::new(python::interpreter())
            .arg(mixed.join("run.py"))
            .arg(&file)
            .arg(operator)
            .env("PYTHONPATH", &path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("MIXED_TRANSPORT", carrier(place).1)
            .spawn()
            .unwrap()
    });
    for mut process in started {
        while process.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < DEADLINE, "pypz-python has not ended");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
    let whole = start.elapsed();
    let times = std::fs::read_to_string(times).unwrap();
    let seconds: Vec<f64> = times
        .split_whitespace()
        .map(|time| time.parse().unwrap())
        .collect();
    let [first, last] = seconds[..] else {
        panic!("not all records came: {times}");
    };
    (Duration::from_secs_f64(last - first), whole)
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rounds = if is_quick() { 1 } else { 3 };
    for (place, theirs) in [(Place::Kafka, 1_000), (Place::RabbitMq, 5_000)] {
        let name = place.name();
        if !is_wanted(name) {
            continue;
        }
        let mut compared = Pairs::new(format!("pypz/{name}: {BYTES} B, one reader"), theirs);
        let mut whole = Repeated::milliseconds(format!(
            "pypz/{name}: pypz-python's whole run of {theirs} records"
        ));
        let ours = Straight::new(place, 500_000);
        for _ in 0..rounds {
            let (time, all) = run(place, theirs);
            compared.bare(time);
            whole.took(all);
            // As if it had sent as few.
            let time = runtime.block_on(ours.run());
            compared.ours(time.mul_f64(theirs as f64 / ours.records as f64));
        }
        compared.report();
        whole.report();
    }
}
