//! Readers in sequential mode, behind writers of the other language.

use pypz::ExitStatus;

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
    let stage = Stage::new(
        carrier,
        "sequential",
        vec![source, Node::sink("r", Rust, "Text", "w").sequential()],
    );
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
    let source = Node::source("w", Rust, "Text", RECORDS);
    let stage = Stage::new(
        carrier,
        "sequential",
        vec![source, Node::sink("r", Python, "Text", "w").sequential()],
    );
    run(&stage).await;
    complete(&stage);
}

fn complete(stage: &Stage) {
    let expected: Vec<i64> = (0..i64::try_from(RECORDS).unwrap()).collect();
    assert_eq!(stage.ledger(), expected, "{}", stage.name);
}

cases! {
    a_sequential_rust_reader_begins_when_its_python_writer_has_finished: rust_reader;
    a_sequential_python_reader_begins_when_its_rust_writer_has_finished: python_reader;
}
