//! Replicated operators on both sides of a channel.

use crate::play::{cases, run};
use crate::stage::{Carrier, Language, Node, Stage};

use Language::{Python, Rust};

/// The numbers that so many replicas send, each so many times.
fn numbers(writers: i64, records: i64, times: usize) -> Vec<i64> {
    let numbers = (0..writers).flat_map(|writer| (0..records).map(move |n| writer * 1_000_000 + n));
    let mut all: Vec<i64> = numbers.flat_map(|n| std::iter::repeat_n(n, times)).collect();
    all.sort_unstable();
    all
}

/// Three Python readers of one Rust writer.
async fn python_readers(carrier: Carrier) {
    let nodes = vec![
        Node::source("w", Rust, "Text", 120),
        Node::sink("r", Python, "Text", "w").replicas(3),
    ];
    let stage = Stage::new(carrier, "mixed", nodes);
    run(&stage).await;
    assert_eq!(stage.ledger(), numbers(1, 120, 1), "{}", stage.name);
}

/// Four Rust readers of two Python writers.
async fn rust_readers(carrier: Carrier) {
    let nodes = vec![
        Node::source("w", Python, "Nested", 60).replicas(2),
        Node::sink("r", Rust, "Nested", "w").replicas(4),
    ];
    let stage = Stage::new(carrier, "mixed", nodes);
    run(&stage).await;
    assert_eq!(stage.ledger(), numbers(2, 60, 1), "{}", stage.name);
}

/// Each of three Rust readers gets all of a Python writer.
async fn rust_group(carrier: Carrier) {
    let nodes = vec![
        Node::source("w", Python, "Text", 20),
        Node::sink("r", Rust, "Text", "w").replicas(3).broadcast(),
    ];
    let stage = Stage::new(carrier, "mixed", nodes);
    run(&stage).await;
    assert_eq!(stage.ledger(), numbers(1, 20, 3), "{}", stage.name);
}

/// Each of two Python readers in group mode gets all of two Rust writers.
async fn python_group(carrier: Carrier) {
    let nodes = vec![
        Node::source("w", Rust, "Text", 20).replicas(2),
        Node::sink("r", Python, "AllText", "w").replicas(2).broadcast(),
    ];
    let stage = Stage::new(carrier, "mixed", nodes);
    run(&stage).await;
    assert_eq!(stage.ledger(), numbers(2, 20, 2), "{}", stage.name);
}

cases! {
    three_python_readers_share_the_records_of_a_rust_writer: python_readers;
    four_rust_readers_share_the_records_of_two_python_writers: rust_readers;
    each_of_three_rust_readers_gets_all_of_a_python_writer: rust_group;
    each_of_two_python_readers_gets_all_of_two_rust_writers: python_group;
}
