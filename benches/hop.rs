//! Topic to operator to topic, beside bare rdkafka: `cargo bench -p pypz-benches --bench hop [-- at-least-once|exactly-once|process]`.
//!
//! The first topic is full before the clock begins. At least once positions are committed behind the acknowledgements of what was
//! made from them, exactly once everything is in transactions of 100 ms; both sides have the settings of ours when nothing is set.

#![allow(missing_docs, reason = "a program")]

use std::process::ExitCode;

use pypz_benches::bare::kafka::{self, Promise};
use pypz_benches::figures::{Pairs, beside, is_quick, is_wanted, pairs};
use pypz_benches::hop;
use pypz_benches::relay::{self, Took};

const BYTES: usize = 100;
const PARTITIONS: u32 = 4;

const PROMISES: [(&str, Promise); 2] = [
    ("at-least-once", Promise::AtLeastOnce),
    ("exactly-once", Promise::ExactlyOnce),
];

/// A hop that is a process of its own.
async fn processes() {
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..pairs() {
        bare.push(relay::bare().await);
        ours.push(relay::ours().await);
    }
    for (what, of) in [
        (
            "start to first output",
            (|took: &Took| took.start) as fn(&Took) -> _,
        ),
        ("start again to first output", |took| took.restart),
        ("SIGTERM to exit", |took| took.stop),
    ] {
        let of = |all: &[Took]| all.iter().map(of).collect::<Vec<_>>();
        beside(format!("process/Kafka: {what}"), &of(&ours), &of(&bare));
    }
}

fn main() -> ExitCode {
    if let Some(ended) = relay::as_hop() {
        return ended;
    }
    // Fewer would be a measurement of how both start.
    let records = if is_quick() { 1_000_000 } else { 2_000_000 };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut of_promises = Vec::new();
        for (name, promise) in PROMISES.into_iter().filter(|(name, _)| is_wanted(name)) {
            let mut compared = Pairs::new(
                format!("hop/Kafka: {BYTES} B, {PARTITIONS} partitions, {name}"),
                records,
            );
            let bare = async || kafka::hop(records, BYTES, PARTITIONS as usize, promise).await;
            let exactly_once = promise == Promise::ExactlyOnce;
            let ours = async || hop::run(records, BYTES, PARTITIONS, exactly_once).await;
            compared.measure(pairs(), bare, ours).await;
            compared.report();
            of_promises.push(compared);
        }
        if let [at_least_once, exactly_once] = &of_promises[..] {
            let name = "promise/Kafka: exactly-once by at-least-once".to_owned();
            exactly_once.report_by(at_least_once, name);
        }
        if is_wanted("process") {
            processes().await;
        }
    });
    ExitCode::SUCCESS
}
