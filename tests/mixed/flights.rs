//! The flights job of the example from one file, with `clean` in Python and everything else in Rust.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pypz_testkit::processes::{Ended, Running};
use pypz_testkit::{brokers, names, python};
use serde_json::Value;
use tempfile::TempDir;

use crate::play::rounds;
use crate::stage::{Carrier, DEADLINE, ended_within};

/// How many lines of the month are read; all of them with `PYPZ_MIXED_FULL`, where a reader of pypz-python takes minutes.
const LINES: usize = 2_000;

/// Whether all of the month is read, in the first round.
fn is_full() -> bool {
    std::env::var_os("PYPZ_MIXED_FULL").is_some()
}

/// How long a part may take: two readers of pypz-python take minutes for the month.
fn deadline() -> Duration {
    match is_full() {
        true => Duration::from_secs(3_600),
        false => DEADLINE,
    }
}

async fn ended(running: Running) -> Ended {
    ended_within(running, deadline()).await
}

/// The month's data that comes with the example.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/data")
        .join(name)
}

/// The example, which cargo builds beside the tests.
fn example(arguments: &[&str]) -> Running {
    let test = std::env::current_exe().unwrap();
    let built = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/pipelines");
    assert!(
        built.exists(),
        "the example is not built: cargo build --example pipelines"
    );
    Running::start(Command::new(built).args(arguments).env_remove("RUST_LOG"))
}

/// The beginning of the month, or all of it.
fn input(folder: &TempDir, is_whole: bool) -> PathBuf {
    let whole = data("flights-2013-01.csv.gz");
    if is_whole {
        return whole;
    }
    let mut text = String::new();
    let file = std::io::BufReader::new(std::fs::File::open(whole).unwrap());
    flate2::bufread::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    let first: Vec<&str> = text.lines().take(LINES + 1).collect();
    let cut = folder.path().join("flights.csv");
    std::fs::write(&cut, first.join("\n") + "\n").unwrap();
    assert!(std::fs::read(&cut).unwrap().lines().count() > LINES);
    cut
}

/// The file of the job. `clean` is of a module that the example has no type for.
fn yaml(name: &str, address: &str, carrier: Carrier, input: &Path, output: &Path) -> String {
    let module = match carrier {
        Carrier::Kafka => "pypz.plugins.kafka_io.ports:KafkaChannel",
        Carrier::RabbitMq => "pypz.plugins.rmq_io.ports:RMQChannel",
    };
    let (input, output) = (input.display(), output.display());
    let port = |name: &str, way: &str| format!("{{name: {name}, spec: {{name: '{module}{way}Port'}}}}");
    let [
        lines_out,
        lines_in,
        flights_out,
        flights_in,
        summaries,
        carriers,
        airports,
    ] = [
        port("lines", "Output"),
        port("lines", "Input"),
        port("flights", "Output"),
        port("flights", "Input"),
        port("summaries", "Output"),
        port("carriers", "Input"),
        port("airports", "Input"),
    ];
    format!(
        "
name: {name}
parameters: {{'>>channelLocation': '{address}'}}
spec:
  name: pypz.core.specs.pipeline:Pipeline
  nestedInstances:
  - name: source
    parameters: {{input: '{input}'}}
    spec: {{name: 'flights.operators:Source', nestedInstances: [{lines_out}]}}
  - name: clean
    parameters: {{replicationFactor: 1}}
    spec: {{name: 'mixed_flights:Clean', nestedInstances: [{lines_in}, {flights_out}]}}
    connections:
    - {{inputPortName: lines, source: {{instanceName: source, outputPortName: lines}}}}
  - name: carriers
    spec: {{name: 'flights.operators:Carriers', nestedInstances: [{flights_in}, {summaries}]}}
    connections:
    - {{inputPortName: flights, source: {{instanceName: clean, outputPortName: flights}}}}
  - name: airports
    parameters: {{replicationFactor: 2}}
    spec:
      name: flights.operators:Airports
      nestedInstances:
      - {{name: flights, parameters: {{partitioning: broadcast}}, spec: {{name: '{module}InputPort'}}}}
      - {summaries}
    connections:
    - {{inputPortName: flights, source: {{instanceName: clean, outputPortName: flights}}}}
  - name: report
    parameters: {{output: '{output}'}}
    spec: {{name: 'flights.operators:Report', nestedInstances: [{carriers}, {airports}]}}
    connections:
    - {{inputPortName: carriers, source: {{instanceName: carriers, outputPortName: summaries}}}}
    - {{inputPortName: airports, source: {{instanceName: airports, outputPortName: summaries}}}}
"
    )
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn right(what: &str, ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{what}: {}\n{}", ended.stderr, ended.stdout);
}

async fn flights(carrier: Carrier) {
    for round in 0..rounds() {
        flights_once(carrier, is_full() && round == 0).await;
    }
}

async fn flights_once(carrier: Carrier, is_whole: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (input, output, expected) = (input(&folder, is_whole), path("mixed.json"), path("rust.json"));
    let (address, transport) = match carrier {
        Carrier::Kafka => (brokers::kafka(), "kafka"),
        Carrier::RabbitMq => {
            let location = brokers::rabbitmq();
            let address = location
                .rsplit_once('@')
                .map_or(location.as_str(), |(_, address)| address);
            (address.trim_end_matches('/').to_owned(), "amqp")
        }
    };
    let file = path("flights.yaml");
    let name = names::unique("flights");
    std::fs::write(&file, yaml(&name, &address, carrier, &input, &output)).unwrap();
    let text = |path: &Path| path.display().to_string();
    // The same lines in Rust alone.
    let alone = ["flights", "--input", &text(&input), "--output", &text(&expected)];
    right("rust alone", &ended(example(&alone)).await);
    let stubs = ["stubs", &text(&file), "--out", &text(folder.path())];
    right("stubs", &ended(example(&stubs)).await);

    let code = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mixed/python");
    let python = ["clean", "clean_0"].map(|operator| {
        let mut command = Command::new(python::interpreter());
        command
            .arg(code.join("run.py"))
            .args([file.as_path(), Path::new(operator)])
            .env(
                "PYTHONPATH",
                format!("{}:{}", code.display(), folder.path().display()),
            )
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("MIXED_TRANSPORT", transport);
        Running::start(&mut command)
    });
    let patience = DEADLINE.as_secs().to_string();
    let rust = ended(example(&["run", &text(&file), "--patience", &patience])).await;
    right("rust", &rust);
    for process in python {
        right("python", &ended(process).await);
    }
    assert_eq!(read(&output), read(&expected));
    if is_whole {
        assert_eq!(read(&output), read(&data("flights-2013-01.expected.json")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flights_with_clean_in_python_are_those_of_rust_alone_on_kafka() {
    flights(Carrier::Kafka).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flights_with_clean_in_python_are_those_of_rust_alone_on_rabbitmq() {
    flights(Carrier::RabbitMq).await;
}
