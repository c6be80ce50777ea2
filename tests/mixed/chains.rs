//! Chains of operators in both languages, in whatever order they start.

use crate::play::{cases, run};
use crate::stage::{Carrier, Language, Node, Stage};

use Language::{Python, Rust};

/// First operator, one in the middle if there is one, and last.
type Languages = [Option<Language>; 3];

const fn two(first: Language, last: Language) -> Languages {
    [Some(first), None, Some(last)]
}

const fn three(first: Language, middle: Language, last: Language) -> Languages {
    [Some(first), Some(middle), Some(last)]
}

/// Every chain of one shape: three kinds of records, 1, 10 and 2,000 of them.
async fn every(carrier: Carrier, languages: Languages) {
    for kind in ["Text", "Nested", "Listed"] {
        for records in [1, 10, 2_000] {
            chain(carrier, languages, kind, records).await;
        }
    }
}

async fn chain(carrier: Carrier, [first, middle, last]: Languages, kind: &str, records: u64) {
    let mut nodes = vec![Node::source("w", first.unwrap(), kind, records)];
    let mut from = "w";
    if let Some(language) = middle {
        nodes.push(Node::pass("p", language, kind, from));
        from = "p";
    }
    nodes.push(Node::sink("r", last.unwrap(), kind, from));
    let stage = Stage::new(carrier, "mixed", nodes);
    run(&stage).await;
    let expected: Vec<i64> = (0..i64::try_from(records).unwrap()).collect();
    assert_eq!(stage.ledger(), expected, "{}", stage.name);
}

cases! {
    one_text_from_python_to_rust: |carrier| chain(carrier, two(Python, Rust), "Text", 1);
    ten_lists_from_python_to_rust: |carrier| chain(carrier, two(Python, Rust), "Listed", 10);
    two_thousand_nested_records_from_python_to_rust: |carrier| chain(carrier, two(Python, Rust), "Nested", 2_000);
    one_list_from_rust_to_python: |carrier| chain(carrier, two(Rust, Python), "Listed", 1);
    ten_nested_records_from_rust_to_python: |carrier| chain(carrier, two(Rust, Python), "Nested", 10);
    two_thousand_texts_from_rust_to_python: |carrier| chain(carrier, two(Rust, Python), "Text", 2_000);
    ten_texts_from_python_through_rust_to_python: |carrier| chain(carrier, three(Python, Rust, Python), "Text", 10);
    ten_lists_from_rust_through_python_to_rust: |carrier| chain(carrier, three(Rust, Python, Rust), "Listed", 10);
}

/// All shapes with all kinds.
mod all {
    use super::*;

    cases! {
        #[ignore = "takes an hour with 20 rounds: cargo xtask test --mixed-full"]
        from_python_to_rust: |carrier| every(carrier, two(Python, Rust));
        #[ignore = "takes an hour with 20 rounds: cargo xtask test --mixed-full"]
        from_rust_to_python: |carrier| every(carrier, two(Rust, Python));
        #[ignore = "takes an hour with 20 rounds: cargo xtask test --mixed-full"]
        from_python_through_rust_to_python: |carrier| every(carrier, three(Python, Rust, Python));
        #[ignore = "takes an hour with 20 rounds: cargo xtask test --mixed-full"]
        from_rust_through_python_to_rust: |carrier| every(carrier, three(Rust, Python, Rust));
    }
}
