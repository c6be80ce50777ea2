//! One pipeline all in Python, half and half, and all in Rust: `cargo bench -p pypz-benches --bench mixed`. The table of
//! `docs/migration.md`.
//!
//! The operators are those of the mixed tests, on Kafka: a source of short texts and a sink that looks at every byte.

#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    reason = "a program, with the parts of the mixed tests that it needs"
)]

use std::time::{Duration, Instant};

use pypz_benches::figures::{Repeated, is_quick, is_wanted};
use stage::{Carrier, DEADLINE, Language, Node, Stage, ended_within};

use Language::{Python, Rust};

#[path = "../tests/mixed/operators.rs"]
mod operators;
#[path = "../tests/mixed/records.rs"]
mod records;
#[path = "../tests/mixed/stage.rs"]
mod stage;

/// The CPU time of this process and of the children that it has waited for.
fn cpu() -> Duration {
    /// Linux counts in hundredths of a second, whatever its own clock does.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let times = fields.split_whitespace().skip(11).take(4);
    TICK * times.map(|field| field.parse::<u32>().unwrap()).sum()
}

/// The time from the first arrival to the last, of the whole, and of the processors.
async fn run(writer: Language, reader: Language, records: u64) -> [Duration; 3] {
    let nodes = vec![
        Node::source("w", writer, "Text", records),
        Node::sink("r", reader, "Text", "w"),
    ];
    let stage = Stage::new(Carrier::Kafka, "figures", nodes);
    let (start, used) = (Instant::now(), cpu());
    let python: Vec<_> = stage
        .in_python()
        .iter()
        .map(|name| stage.python(name, &[]))
        .collect();
    let all = usize::try_from(records).unwrap();
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
    let (read, ()) = tokio::join!(reading, rust);
    for process in python {
        assert_eq!(ended_within(process, DEADLINE).await.code, Some(0));
    }
    assert_eq!(stage.ledger().len(), all);
    [read, start.elapsed(), cpu() - used]
}

fn main() {
    if !is_wanted("mixed") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (rounds, records) = if is_quick() { (1, 500) } else { (3, 5_000) };
    for (writer, reader) in [(Python, Python), (Python, Rust), (Rust, Python), (Rust, Rust)] {
        let name = |what: &str| format!("mixed/{writer:?} to {reader:?}, {records} texts: {what}");
        let mut figures =
            ["first to last arrival", "start to exit", "CPU"].map(|what| Repeated::milliseconds(name(what)));
        for _ in 0..rounds {
            let times = runtime.block_on(run(writer, reader, records));
            for (figure, time) in figures.iter_mut().zip(times) {
                figure.took(time);
            }
        }
        for figure in figures {
            figure.report();
        }
    }
}
