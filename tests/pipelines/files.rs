//! Pipelines of files, as a user of the example and one of pypz-python have them.

use std::path::Path;
use std::process::Command;

use pypz_testkit::processes::{Ended, Running};
use pypz_testkit::python;
use serde_json::{Value, json};

use crate::{DEADLINE, expected, read, run};

const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/pipelines/flights.yaml");

/// Loads a file with genuine pypz-python, with the classes of a folder, and returns what it says of the pipeline.
fn load(file: &Path, classes: &Path, written: &Path) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pipelines/load.py");
    let mut command = Command::new(python::interpreter());
    command
        .arg(script)
        .args([file, written])
        .env("PYTHONPATH", classes);
    let Ended { code, stdout, stderr } = Running::start(&mut command).wait(DEADLINE);
    assert_eq!(code, Some(0), "{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_file_of_the_flights_runs_and_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output.json");
    let set = format!("report.output={}", text(&output));
    let ended = run(&["run", FLIGHTS, "--set", &set]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(read(&output), expected("flights-2013-01.expected.json"));
}

#[test]
fn what_show_prints_runs_and_is_right() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["yaml", "json"] {
        let (file, output) = (
            folder.path().join(format!("f.{format}")),
            folder.path().join("o.json"),
        );
        let shown = run(&["show", "flights", "--format", format]);
        assert_eq!(shown.code, Some(0), "{}", shown.stderr);
        std::fs::write(&file, shown.stdout).unwrap();
        let ended = run(&[
            "run",
            text(&file),
            "--set",
            &format!("report.output={}", text(&output)),
        ]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(
            read(&output),
            expected("flights-2013-01.expected.json"),
            "{format}"
        );
    }
}

#[test]
fn validate_prints_all_problems_with_their_places_and_says_64() {
    let valid = run(&["validate", FLIGHTS]);
    assert_eq!(valid.code, Some(0), "{}", valid.stderr);
    assert!(
        valid.stdout.contains("pipeline 'flights' is valid"),
        "{}",
        valid.stdout
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    let bad = std::fs::read_to_string(FLIGHTS)
        .unwrap()
        .replace("outputPortName: lines", "outputPortName: line")
        .replace("input: examples", "inputs: examples")
        .replace("replicationFactor: 2", "replicationFactor: two");
    std::fs::write(&file, bad).unwrap();
    for command in ["validate", "describe", "run"] {
        let ended = run(&[command, text(&file)]);
        assert_eq!(ended.code, Some(64), "{}", ended.stderr);
        for said in [
            "bad.yaml:10:9: flights.source: there is no parameter 'inputs'",
            "bad.yaml:20:59: flights.clean: source has no output port 'line'",
            "bad.yaml:34:28: flights.airports: 'replicationFactor' is a number of copies",
        ] {
            assert!(ended.stderr.contains(said), "{}", ended.stderr);
            assert!(ended.stderr.contains("has 4 problems"), "{}", ended.stderr);
        }
    }
}

#[test]
fn pypz_loads_the_same_file_with_the_classes_that_stubs_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (classes, written) = (folder.path().join("classes"), folder.path().join("written.yaml"));
    let shown = run(&["show", "flights", "--location", "kafka://localhost:9092"]);
    let on_kafka = folder.path().join("kafka.yaml");
    std::fs::write(&on_kafka, &shown.stdout).unwrap();
    assert!(
        shown.stdout.contains("\">>channelLocation\": localhost:9092"),
        "{}",
        shown.stdout
    );
    for (file, port) in [
        (Path::new(FLIGHTS), "BlankInputPortPlugin"),
        (&on_kafka, "KafkaChannelInputPort"),
    ] {
        let ended = run(&["stubs", text(file), "--out", text(&classes)]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let loaded = load(file, &classes, &written);
        assert_eq!(
            loaded["airports"],
            json!({
                "class": "flights.operators.Airports",
                "mocked": false,
                "groupSize": 3,
                "parameters": {},
                "ports": {
                    "flights": {
                        "class": port,
                        "groupMode": true,
                        "schema": "Flight",
                        "from": ["clean.flights"],
                    },
                    "summaries": {
                        "class": port.replace("Input", "Output"),
                        "groupMode": null,
                        "schema": "AirportSummary",
                        "from": [],
                    },
                },
            })
        );
        assert_eq!(loaded["source"]["parameters"]["rate"], 0);
        assert_eq!(loaded["clean"]["parameters"]["skipMalformed"], false);
        assert_eq!(
            loaded["report"]["ports"]["airports"]["from"],
            json!(["airports.summaries"])
        );
        // And what pypz writes of it is the same pipeline to us.
        let described = |file: &Path| {
            let ended = run(&["describe", text(file)]);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            let mut lines: Vec<String> = ended.stdout.lines().map(str::to_owned).collect();
            // It writes the connections of a port in the order of a set.
            lines.sort();
            lines
        };
        assert_eq!(described(&written), described(file));
    }
}

#[test]
fn pypz_loads_what_is_written_without_any_class_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signals.yaml");
    let shown = run(&[
        "show",
        "signals",
        "--location",
        "amqp://guest:guest@localhost:5672/",
    ]);
    assert!(
        shown.stdout.contains("\">>channelLocation\": \"localhost:5672\"")
            || shown.stdout.contains("\">>channelLocation\": localhost:5672"),
        "{}",
        shown.stdout
    );
    std::fs::write(&file, &shown.stdout).unwrap();
    let loaded = load(&file, folder.path(), &folder.path().join("written.yaml"));
    assert_eq!(loaded["window13"]["mocked"], true);
    assert_eq!(
        loaded["compare"]["ports"]["summaries"]["class"],
        "RMQChannelInputPort"
    );
    assert_eq!(
        loaded["compare"]["ports"]["summaries"]["from"],
        json!(["window13.summary", "window4.summary", "window52.summary"])
    );
}

#[test]
fn a_file_that_somebody_wrote_is_not_overwritten_by_stubs() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("flights/operators.py");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(&own, "class Source: ...\n").unwrap();
    let ended = run(&["stubs", FLIGHTS, "--out", text(folder.path())]);
    assert_eq!(ended.code, Some(64), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("was not written by this command"),
        "{}",
        ended.stderr
    );
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "class Source: ...\n");
}
