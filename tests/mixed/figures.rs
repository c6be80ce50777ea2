//! The figure of the migration page: one pipeline all in Python, half and half, and all in Rust.

use std::time::{Duration, Instant};

use crate::stage::{Carrier, Language, Node, Stage, ended};

use Language::{Python, Rust};

const RECORDS: u64 = 5_000;

/// The CPU time of this process and of the children that it has waited for, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    // User and system time of its own and of its children, in hundredths of a second.
    let times = fields.split_whitespace().skip(11).take(4);
    times.map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --all-features --test mixed figures -- --ignored --nocapture"]
#[allow(clippy::print_stdout, reason = "it prints what it measures")]
async fn a_pipeline_gets_faster_operator_by_operator() {
    for (writer, reader) in [(Python, Python), (Python, Rust), (Rust, Python), (Rust, Rust)] {
        let nodes = vec![
            Node::source("w", writer, "Text", RECORDS),
            Node::sink("r", reader, "Text", "w"),
        ];
        let stage = Stage::new(Carrier::Kafka, "figures", nodes);
        let (start, used) = (Instant::now(), cpu());
        let python: Vec<_> = stage
            .in_python()
            .iter()
            .map(|name| stage.python(name, &[]))
            .collect();
        let all = usize::try_from(RECORDS).unwrap();
        let reading = async {
            stage.lines("ledger.0", 1).await;
            let first = Instant::now();
            stage.lines("ledger.0", all).await;
            first.elapsed()
        };
        let rust = async {
            if [writer, reader].contains(&Rust) {
                stage.run_rust().await.unwrap();
            }
        };
        let (read, ()): (Duration, ()) = tokio::join!(reading, rust);
        for process in python {
            assert_eq!(ended(process).await.code, Some(0));
        }
        let wall = start.elapsed().as_secs_f64();
        let rate = all as f64 / read.as_secs_f64().max(0.02);
        let used = cpu() - used;
        println!("{writer:?} -> {reader:?}: {rate:.0} records/s, {wall:.1} s in all, {used:.1} s of CPU");
        assert_eq!(stage.ledger().len(), all);
    }
}
