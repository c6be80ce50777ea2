//! Readers in sequential mode, behind writers of the other language.

use std::time::Duration;

use pypz::{ExecutionError, ExitStatus, RunReport};

use crate::play::{cases, run};
use crate::stage::{Carrier, Language, Node, Stage, ended};

use Language::{Python, Rust};

const RECORDS: u64 = 10;

/// The writer pauses in the middle, and tells that half is sent: nothing is handed out before it has finished.
async fn rust_reader(carrier: Carrier) {
    let gate = std::env::temp_dir().join(pypz_testkit::names::unique("go"));
    let source = Node::source("w", Python, "Text", RECORDS)
        .with("pauseAfter", 5)
        .with("goOn", gate.display().to_string());
    let stage = behind(carrier, source, Rust);
    let beats = stage.folder.path().join("beats").display().to_string();
    let writer = stage.python("w", &[("MIXED_BEATS", &beats)]);
    let half = async {
        // The second is sent when the first has long been there.
        stage.lines("beats", 2).await;
        assert!(stage.ledger().is_empty(), "{}: {:?}", stage.name, stage.ledger());
        std::fs::write(&gate, "go").unwrap();
    };
    let (rust, ()) = tokio::join!(stage.run_rust(), half);
    let report = rust.unwrap_or_else(|error| panic!("{}: {error}", stage.name));
    assert_eq!(report.status, ExitStatus::Done);
    let ended = ended(writer).await;
    assert_eq!(ended.code, Some(0), "{}: {}", stage.name, ended.stderr);
    complete(&stage);
}

/// pypz-python's own sequential mode waits for our writer's `Stopped`.
async fn python_reader(carrier: Carrier) {
    let stage = behind(carrier, Node::source("w", Rust, "Text", RECORDS), Python);
    run(&stage).await;
    complete(&stage);
}

/// Nothing is handed out while the writer lives; what it has sent is handed out when it is lost, and then the run fails.
async fn of_killed(carrier: Carrier) {
    let source = Node::source("w", Python, "Text", RECORDS)
        .with("pauseAfter", 5)
        .with("goOn", "/never");
    let stage = behind(carrier, source, Rust);
    let beats = stage.folder.path().join("beats").display().to_string();
    let mut writer = stage.python("w", &[("MIXED_BEATS", &beats)]);
    let kill = async {
        // The second is sent when the first has long been there.
        stage.lines("beats", 2).await;
        assert!(stage.ledger().is_empty(), "{}: {:?}", stage.name, stage.ledger());
        writer.kill();
    };
    let (rust, ()) = tokio::join!(stage.run_with(Duration::from_secs(30)), kill);
    incomplete(
        &stage,
        rust,
        &[
            "(pypz-python) was lost",
            "had sent 5 records",
            "5 records of the run were received",
        ],
    );
}

/// A writer that says `Error`, `Stopped` and `Closed` has not finished.
async fn of_failed(carrier: Carrier) {
    let source = Node::source("w", Python, "Text", RECORDS)
        .with("workMs", 1)
        .with("failAfter", 5);
    let stage = behind(carrier, source, Rust);
    let writer = stage.python("w", &[]);
    let rust = stage.run_rust().await;
    incomplete(
        &stage,
        rust,
        &[
            "w.output (pypz-python) failed",
            "5 records of the run were received",
        ],
    );
    assert_ne!(ended(writer).await.code, Some(0), "{}", stage.name);
}

fn incomplete(stage: &Stage, rust: Result<RunReport, ExecutionError>, parts: &[&str]) {
    let error = rust.unwrap_err();
    assert_eq!(error.status, ExitStatus::Incomplete, "{error}");
    for part in parts {
        assert!(error.cause.contains(part), "{error} lacks {part}");
    }
    assert_eq!(stage.ledger(), (0..5).collect::<Vec<i64>>(), "{}", stage.name);
}

/// pypz-python's own sequential mode begins at `Stopped` or `Closed`: a writer of ours that fails says neither.
async fn python_reader_of_failed(carrier: Carrier) {
    let stage = behind(
        carrier,
        Node::source("w", Rust, "Text", RECORDS).with("fails", true),
        Python,
    );
    let mut reader = stage.python("r", &[]);
    let error = stage.run_rust().await.unwrap_err();
    assert_eq!(error.status, ExitStatus::Running, "{error}");
    let said = stage.channel("words").await;
    let life: Vec<&str> = said.lines().filter(|word| *word != "HealthCheck").collect();
    assert_eq!(life, ["Opened", "Started", "Error"], "{}", stage.name);
    assert!(reader.is_running() && stage.ledger().is_empty(), "{}", stage.name);
}

/// A sequential reader behind a writer.
fn behind(carrier: Carrier, source: Node, reader: Language) -> Stage {
    let sink = Node::sink("r", reader, "Text", "w").sequential();
    Stage::new(carrier, "sequential", vec![source, sink])
}

fn complete(stage: &Stage) {
    let expected: Vec<i64> = (0..i64::try_from(RECORDS).unwrap()).collect();
    assert_eq!(stage.ledger(), expected, "{}", stage.name);
}

cases! {
    a_sequential_rust_reader_begins_when_its_python_writer_has_finished: rust_reader;
    a_sequential_python_reader_begins_when_its_rust_writer_has_finished: python_reader;
    a_sequential_rust_reader_of_a_killed_python_writer_gives_out_what_was_sent_and_fails: of_killed;
    a_sequential_rust_reader_of_a_failed_python_writer_gives_out_what_was_sent_and_fails: of_failed;
    a_sequential_python_reader_is_not_told_that_a_failed_rust_writer_has_finished: python_reader_of_failed;
}
