//! Writers that go on when their readers, of the other language, have acknowledged what they sent.

use crate::play::{cases, run};
use crate::stage::{Carrier, Language, Node, Stage};

use Language::{Python, Rust};

/// How many records a writer sends at once, and how often.
const PART: u64 = 7;
const PARTS: u64 = 3;

/// A writer looks in the ledger whether what it was told is true, and fails if it is not.
async fn agreed(carrier: Carrier, writer: Language, reader: Language, replicas: u32) {
    let source = Node::step("w", writer, "Text", PART * PARTS).with("part", PART);
    let sink = Node::confirm("r", reader, "Text", "w").replicas(replicas);
    let stage = Stage::new(carrier, "agreed", vec![source, sink]);
    run(&stage).await;
    let expected: Vec<i64> = (0..i64::try_from(PART * PARTS).unwrap()).collect();
    assert_eq!(stage.ledger(), expected, "{}", stage.name);
}

cases! {
    a_rust_writer_waits_until_python_readers_have_acknowledged: |carrier| agreed(carrier, Rust, Python, 2);
    a_python_writer_waits_until_rust_readers_have_acknowledged: |carrier| agreed(carrier, Python, Rust, 2);
}
