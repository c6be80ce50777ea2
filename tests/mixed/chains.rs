//! Chains of operators in both languages, in whatever order they start.

use pypz::ExitStatus;

use crate::stage::{Carrier, DEADLINE, Language, Node, Stage, ended, rounds};

use Language::{Python, Rust};

/// Which part begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Python,
    Nobody,
}

/// Runs a chain to its end on both sides.
async fn run(stage: &Stage, first: First) {
    let mut python: Vec<_> = stage
        .in_python()
        .iter()
        .map(|operator| stage.python(operator, &[]))
        .collect();
    if first == First::Python {
        python = tokio::task::spawn_blocking(move || {
            for process in &mut python {
                process.wait_for_line(DEADLINE, |line| line == "ready");
            }
            python
        })
        .await
        .unwrap();
    }
    let rust = stage.run_rust().await;
    let mut codes = Vec::new();
    for process in python {
        let ended = ended(process).await;
        codes.push((ended.code, ended.stderr));
    }
    let report = rust.unwrap_or_else(|error| panic!("{}: {error}\n{codes:?}", stage.name));
    assert_eq!(report.status, ExitStatus::Done);
    for (code, stderr) in codes {
        assert_eq!(code, Some(0), "{}: {stderr}", stage.name);
    }
}

/// Every chain of one shape: three kinds of records, 1, 10 and 2,000 of them.
async fn every(carrier: Carrier, languages: [Option<Language>; 3]) {
    for kind in ["Text", "Nested", "Listed"] {
        for records in [1, 10, 2_000] {
            chain(carrier, languages, kind, records).await;
        }
    }
}

async fn chain(carrier: Carrier, languages: [Option<Language>; 3], kind: &str, records: u64) {
    for round in 0..rounds() {
        let [first, middle, last] = languages;
        let mut nodes = vec![Node::source("w", first.unwrap(), kind, records)];
        let mut from = "w";
        if let Some(language) = middle {
            nodes.push(Node::pass("p", language, kind, from));
            from = "p";
        }
        nodes.push(Node::sink("r", last.unwrap(), kind, from));
        let stage = Stage::new(carrier, "mixed", nodes);
        let first = match (round + records) % 2 {
            0 => First::Python,
            _ => First::Nobody,
        };
        run(&stage, first).await;
        let expected: Vec<i64> = (0..i64::try_from(records).unwrap()).collect();
        assert_eq!(stage.ledger(), expected, "{}", stage.name);
    }
}

macro_rules! chains {
    ($($name:ident: [$first:expr, $middle:expr, $last:expr], $kind:literal, $records:literal;)*) => {
        mod kafka {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                chain(Carrier::Kafka, [Some($first), $middle, Some($last)], $kind, $records).await;
            })*
        }

        mod rabbitmq {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                chain(Carrier::RabbitMq, [Some($first), $middle, Some($last)], $kind, $records).await;
            })*
        }
    };
}

chains! {
    one_text_from_python_to_rust: [Python, None, Rust], "Text", 1;
    ten_lists_from_python_to_rust: [Python, None, Rust], "Listed", 10;
    two_thousand_nested_records_from_python_to_rust: [Python, None, Rust], "Nested", 2000;
    one_list_from_rust_to_python: [Rust, None, Python], "Listed", 1;
    ten_nested_records_from_rust_to_python: [Rust, None, Python], "Nested", 10;
    two_thousand_texts_from_rust_to_python: [Rust, None, Python], "Text", 2000;
    ten_texts_from_python_through_rust_to_python: [Python, Some(Rust), Python], "Text", 10;
    ten_lists_from_rust_through_python_to_rust: [Rust, Some(Python), Rust], "Listed", 10;
}

macro_rules! all {
    ($($name:ident: [$first:expr, $middle:expr, $last:expr];)*) => {
        mod all_on_kafka {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "takes an hour with 20 rounds: cargo xtask test --mixed-full"]
            async fn $name() {
                every(Carrier::Kafka, [Some($first), $middle, Some($last)]).await;
            })*
        }

        mod all_on_rabbitmq {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "takes an hour with 20 rounds: cargo xtask test --mixed-full"]
            async fn $name() {
                every(Carrier::RabbitMq, [Some($first), $middle, Some($last)]).await;
            })*
        }
    };
}

all! {
    from_python_to_rust: [Python, None, Rust];
    from_rust_to_python: [Rust, None, Python];
    from_python_through_rust_to_python: [Python, Some(Rust), Python];
    from_rust_through_python_to_rust: [Rust, Some(Python), Rust];
}
