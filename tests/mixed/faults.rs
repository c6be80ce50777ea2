//! What goes wrong with pypz-python, and must not go wrong in silence here; and what its ports are told of how things go.

use std::collections::BTreeMap;
use std::time::Duration;

use pypz::{ExecutionError, ExitStatus, RunReport};
use pypz_testkit::processes::Running;

use crate::play::cases;
use crate::stage::{Carrier, Language, Node, Stage, ended};

use Language::{Python, Rust};

/// Python writes so many texts and Rust reads them; the writer waits after `pause_after` until the file `go` is there.
fn stage(carrier: Carrier, records: u64, pause_after: i64) -> Stage {
    let folder = std::env::temp_dir().join(pypz_testkit::names::unique("go"));
    let source = Node::source("w", Python, "Text", records)
        .with("pauseAfter", pause_after)
        .with("goOn", folder.display().to_string());
    Stage::new(carrier, "mixed", vec![source, Node::sink("r", Rust, "Text", "w")])
}

/// Lets the writer go on.
fn go(stage: &Stage) {
    let source = stage.nodes.first().unwrap();
    let gate = source.parameters.get("goOn").and_then(|gate| gate.as_str());
    std::fs::write(gate.unwrap(), "go").unwrap();
}

async fn python(process: Running, stage: &Stage) {
    let ended = ended(process).await;
    assert_eq!(ended.code, Some(0), "{}: {}", stage.name, ended.stderr);
}

fn done(stage: &Stage, rust: Result<RunReport, ExecutionError>) {
    let report = rust.unwrap_or_else(|error| panic!("{}: {error}", stage.name));
    assert_eq!(report.status, ExitStatus::Done);
}

async fn killed(carrier: Carrier) {
    let stage = stage(carrier, 100, 60);
    let beats = stage.folder.path().join("beats").display().to_string();
    let mut writer = stage.python("w", &[("MIXED_BEATS", &beats)]);
    let kill = async {
        stage.lines("ledger.0", 60).await;
        // The second is sent when the first has long been there.
        stage.lines("beats", 2).await;
        writer.kill();
    };
    let (rust, ()) = tokio::join!(stage.run_with(Duration::from_secs(30)), kill);
    let error = rust.unwrap_err();
    assert_eq!(error.status, ExitStatus::Incomplete, "{error}");
    for part in [
        "(pypz-python) was lost",
        "had sent 60 records",
        "60 records of the run were received",
    ] {
        assert!(error.cause.contains(part), "{error} lacks {part}");
    }
    let objects = stage.channel("objects").await;
    assert!(
        objects
            .lines()
            .any(|object| object == format!("{}.r.input", stage.name)),
        "{objects}"
    );
}

/// Its heartbeats and its records are rarer than the patience that it has itself, and its clock is off.
async fn slow(carrier: Carrier, clock: &str) {
    let source = Node::source("w", Python, "Text", 4).with("workMs", 4_000);
    let sink = Node::sink("r", Rust, "Text", "w");
    let stage = Stage::new(carrier, "mixed", vec![source, sink]);
    let slow = [
        ("MIXED_CLOCK", clock),
        ("MIXED_HEARTBEAT", "9000"),
        ("MIXED_PATIENCE", "3000"),
    ];
    let writer = stage.python("w", &slow);
    done(&stage, stage.run_rust().await);
    python(writer, &stage).await;
    assert_eq!(stage.ledger(), (0..4).collect::<Vec<i64>>(), "{}", stage.name);
}

async fn leftovers(carrier: Carrier) {
    let stage = stage(carrier, 10, -1);
    stage.channel("leftovers").await;
    let writer = async {
        // A writer that began before the run is another case: it is told by name.
        stage.lines("ledger.0.open", 1).await;
        python(stage.python("w", &[]), &stage).await;
    };
    // Whoever fails first is told: the writer waits for the reader.
    let reader = async { done(&stage, stage.run_rust().await) };
    tokio::join!(reader, writer);
    assert_eq!(stage.ledger(), (0..10).collect::<Vec<i64>>(), "{}", stage.name);
}

async fn hostile(carrier: Carrier) {
    let stage = stage(carrier, 10, 5);
    let writer = stage.python("w", &[]);
    let attack = async {
        stage.lines("ledger.0", 5).await;
        stage.channel("hostile").await;
        go(&stage);
    };
    let reader = async { done(&stage, stage.run_rust().await) };
    tokio::join!(reader, attack);
    python(writer, &stage).await;
    assert_eq!(stage.ledger(), (0..10).collect::<Vec<i64>>(), "{}", stage.name);
}

/// Nothing is left on the broker of a run that is done.
async fn tidy(carrier: Carrier) {
    let stage = stage(carrier, 10, -1);
    let writer = stage.python("w", &[]);
    done(&stage, stage.run_rust().await);
    python(writer, &stage).await;
    assert_eq!(stage.channel("objects").await.trim(), "", "{}", stage.name);
}

/// Of both sides' signs of life, those of ours have the figures that pypz-python's have.
async fn figures(carrier: Carrier) {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("go").display().to_string();
    let measured = |node: Node| node.with(">channelConfig", serde_json::json!({"metricsEnabled": true}));
    let source = Node::source("w", Python, "Text", 10)
        .with("pauseAfter", 5)
        .with("goOn", gate.clone());
    let nodes = vec![
        measured(source),
        measured(Node::pass("p", Rust, "Text", "w")),
        measured(Node::sink("r", Python, "Text", "p")),
    ];
    let stage = Stage::new(carrier, "mixed", nodes);
    let (writer, reader) = (stage.python("w", &[]), stage.python("r", &[]));
    let look = async {
        stage.lines("ledger.0", 5).await;
        for (from, to, ours, theirs) in [
            ("w", "p", "p.input", "w.output"),
            ("p", "r", "p.output", "r.input"),
        ] {
            let said = stage.channel_between(from, to, "figures").await;
            let said: BTreeMap<String, Vec<String>> = serde_json::from_str(&said).unwrap();
            let of = |port: &str| said[&format!("{}.{port}", stage.name)].join(" ");
            // They have the same but for what the sides are called.
            let renamed = |figures: String| figures.replace("Read", "Output").replace("received", "sent");
            assert_eq!(renamed(of(ours)), renamed(of(theirs)));
            assert!(of(ours).contains(if to == "p" {
                "averageRecordPerReadCycle"
            } else {
                "averageRecordPerOutputCycle"
            }));
        }
        std::fs::write(&gate, "go").unwrap();
    };
    let ours = async { done(&stage, stage.run_rust().await) };
    tokio::join!(ours, look);
    python(writer, &stage).await;
    python(reader, &stage).await;
    assert_eq!(stage.ledger(), (0..10).collect::<Vec<i64>>(), "{}", stage.name);
}

async fn ahead(carrier: Carrier) {
    slow(carrier, "600").await;
}

async fn behind(carrier: Carrier) {
    slow(carrier, "-600").await;
}

/// A pipeline whose writer never comes ends by name, after the patience.
async fn absent(carrier: Carrier) {
    let stage = stage(carrier, 10, -1);
    let error = stage.run_with(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.status, ExitStatus::Deadline, "{error}");
    let name = format!("{}.w.output was never seen", stage.name);
    assert!(error.cause.contains(&name), "{error}");
}

cases! {
    a_python_writer_that_is_killed_ends_the_run_with_how_many_of_how_many: killed;
    a_slow_python_writer_whose_clock_is_ten_minutes_ahead_loses_nothing: ahead;
    a_slow_python_writer_whose_clock_is_ten_minutes_behind_loses_nothing: behind;
    leftovers_of_an_earlier_run_neither_end_a_run_nor_mix_with_it: leftovers;
    the_signs_of_life_of_measured_ports_have_the_figures_of_pypz_python: figures;
    hostile_status_is_counted_and_costs_nothing_else: hostile;
    nothing_is_left_on_the_broker_of_a_run_that_is_done: tidy;
    a_python_writer_that_never_comes_is_named: absent;
}
